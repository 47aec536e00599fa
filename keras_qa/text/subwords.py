"""The tokenizer of a pretrained backbone, with the special tokens that its file names."""

from __future__ import annotations

import json
import os
import pathlib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from keras_qa.files.json_files import parse_object
from keras_qa.text import pieces, tokenizer_files
from keras_qa.text.parsing import tokenizer_from

if TYPE_CHECKING:
    import tokenizers

FILE = tokenizer_files.WHOLE
UNKNOWN = ("[UNK]", "<unk>", "<|endoftext|>")
MASKS = ("[MASK]", "<mask>")
PADDINGS = ("[PAD]", "<pad>", "<|pad|>", "<|endoftext|>")


class SubwordTokenizer:
    """Splits text into the WordPiece, BPE or Unigram pieces of a pretrained backbone.

    Truncation and padding that the file asks for are turned off: windows do
    both. A text that says «[SEP]» means these letters, not the special token,
    whether or not the vocabulary holds it as a piece.

    Args:
        tokenizer: A `tokenizers.Tokenizer`, or its JSON. Use
            `SubwordTokenizer.from_file` to read one from a file.

    Attributes:
        padding_id: Id of the padding.
        unknown_id: Id of what the vocabulary does not hold, or `None` where
            it holds every character.
        before, between, after: Ids of the special tokens that stand before a
            question, between it and its text, and after the text: `[CLS]`,
            `[SEP]` and `[SEP]` in BERT.
        segments: Segment ids of the five parts of a pair in their order, a
            tuple each: as many as special tokens, or one for all pieces of
            the question or the text.

    Raises:
        ValueError: If the tokenizer sets no special token before a pair of
            texts, where the model says that there is no answer.

    Examples:
        >>> from keras_qa.text import SubwordTokenizer
        >>> from tokenizers import Tokenizer, models, pre_tokenizers, processors
        >>> words = {"[PAD]": 0, "[CLS]": 1, "[SEP]": 2, "[UNK]": 3, "bath": 4, "##room": 5}
        >>> plain = Tokenizer(models.WordPiece(words, unk_token="[UNK]"))
        >>> plain.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        >>> plain.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
        >>> tokenizer = SubwordTokenizer(plain)
        >>> ids, offsets = tokenizer.encode("bathroom?")
        >>> ids.tolist(), offsets.tolist(), tokenizer.before
        ([4, 5, 3], [[0, 4], [4, 8], [8, 9]], (1,))
    """

    def __init__(self, tokenizer: tokenizers.Tokenizer | str) -> None:
        if not isinstance(tokenizer, str):
            tokenizer = tokenizer.to_str()
        tokenizer = tokenizer_from(tokenizer)
        padding = tokenizer.padding
        tokenizer.no_truncation()
        tokenizer.no_padding()
        tokenizer.encode_special_tokens = True
        self._tokenizer = tokenizer
        settings = json.loads(tokenizer.to_str())
        self._by_words = pieces.splits_at_spaces(settings)
        ids = [padding["pad_id"]] if padding else map(tokenizer.token_to_id, PADDINGS)
        self.padding_id: int = next((id for id in ids if id is not None), 0)
        model = settings["model"]
        token = model.get("unk_token")
        self.unknown_id: int | None = (
            tokenizer.token_to_id(token) if isinstance(token, str) else model.get("unk_id")
        )
        self._read_specials()
        # Pieces of the other kinds are never as long as what spells a special token.
        self._cuts_specials = model["type"] == "Unigram"
        self._cut = settings["pre_tokenizer"]
        if self._cuts_specials:
            self._keep_letters()

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> SubwordTokenizer:
        """Reads a tokenizer from its file, or from the files that it stands for.

        Args:
            path: The file `tokenizer.json`, or a folder that holds it; or a
                folder in Hugging Face's layout with `vocab.txt`, with
                `vocab.json` and `merges.txt`, or with a SentencePiece model
                (extra `sentencepiece`).

        Returns:
            A `SubwordTokenizer`.

        Raises:
            FileNotFoundError: If there is no such file.
            ImportError: If a SentencePiece model needs a library that is missing.
            ValueError: If it holds no tokenizer, or none for pairs of texts.
        """
        file = pathlib.Path(path).expanduser()
        if file.is_dir():
            if not (file / FILE).is_file():
                return cls(tokenizer_files.build(file))
            file = file / FILE
        if not file.is_file():
            raise FileNotFoundError(
                f"`path` must be a `{FILE}` or a folder that holds one. Received: "
                f"path={str(path)!r}. In `transformers`, `save_pretrained` of a fast tokenizer "
                "writes it."
            )
        content = file.read_bytes()
        if not isinstance(parse_object(content, file).get("model"), dict):
            raise ValueError(
                f"`{file}` holds no tokenizer: expected an object with `model`, as the "
                "`tokenizers` library saves it."
            )
        return cls(content.decode("utf-8-sig"))

    @property
    def vocabulary_size(self) -> int:
        """Number of ids, special tokens included."""
        return self._tokenizer.get_vocab_size()

    def encode(self, text: str) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """Gives the ids of a text's pieces, and where each piece stands.

        Args:
            text: The text.

        Returns:
            `(pieces,)` int32 ids without special tokens, and `(pieces, 2)`
            int32 offsets such that `text[start:end]` is the piece as written.
        """
        found = self.pieces([text])
        return found.ids, found.offsets

    def pieces(self, texts: Sequence[str]) -> pieces.Pieces:
        """Gives the ids of many texts' pieces, and where each piece stands.

        Args:
            texts: The texts.

        Returns:
            A `Pieces` of arrays, the pieces of all texts end to end.
        """
        return pieces.encode(self._tokenizer, texts, self._by_words)

    def to_json(self) -> str:
        """The whole tokenizer as JSON, in the format of the `tokenizers` library."""
        text = self._tokenizer.to_str()
        if not self._cuts_specials:
            return text
        # As it was given: whoever reads this makes the cut again.
        settings = {**json.loads(text), "pre_tokenizer": self._cut}
        return json.dumps(settings, ensure_ascii=False, separators=(",", ":"))

    def special_tokens(self) -> dict[str, str]:
        """The special tokens by the names that `transformers` has for them."""
        ids = {
            "cls_token": self.before[0],
            "sep_token": self.after[-1],
            "pad_token": self.padding_id,
        }
        tokens_of = self._tokenizer.id_to_token
        found = {name: token for name, id in ids.items() if (token := tokens_of(id)) is not None}
        for name, tokens in (("unk_token", UNKNOWN), ("mask_token", MASKS)):
            known = (t for t in tokens if self._tokenizer.token_to_id(t) is not None)
            if (token := next(known, None)) is not None:
                found[name] = token
        return found

    def _keep_letters(self) -> None:
        """Cuts what spells a special token behind its first letter, so that it is no piece."""
        from tokenizers import Regex, pre_tokenizers

        added = self._tokenizer.get_added_tokens_decoder().values()
        tokens = {token.content for token in added if token.special}
        around = (*self.before, *self.between, *self.after)
        tokens |= {self._tokenizer.id_to_token(id) or "" for id in around}
        spelled = sorted(token for token in tokens if len(token) > 1)
        firsts = [f"{re.escape(token[0])}(?={re.escape(token[1:])})" for token in spelled]
        if firsts:
            cut = pre_tokenizers.Split(Regex("|".join(firsts)), "merged_with_previous")
            before = self._tokenizer.pre_tokenizer
            self._tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
                [cut] if before is None else [before, cut]
            )

    def _read_specials(self) -> None:
        pair = self._tokenizer.encode("a", "b")
        parts: list[list[tuple[int, int]]] = [[]]
        last = None
        for id, segment, sequence in zip(pair.ids, pair.type_ids, pair.sequence_ids, strict=True):
            if sequence != last:
                # Two sequences may follow each other with nothing between.
                parts += [[], []] if None not in (sequence, last) else [[]]
                last = sequence
            parts[-1].append((id, segment))
        if last is not None:
            parts.append([])
        if len(parts) != 5 or not parts[0]:
            raise ValueError(
                "The tokenizer sets no special token before a question and its text, as BERT's "
                f"[CLS], and its position stands for no answer. It sets: {pair.tokens}. Use the "
                "tokenizer of an encoder such as BERT or RoBERTa."
            )
        self.before, self.between, self.after = (
            tuple(id for id, _ in parts[place]) for place in (0, 2, 4)
        )
        # Every piece of a sequence has the same segment: one stands for them.
        self.segments = tuple(
            tuple(segment for _, segment in (part[:1] if place in (1, 3) else part))
            for place, part in enumerate(parts)
        )
