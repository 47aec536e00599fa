"""The tokenizers of pretrained encoders."""

from __future__ import annotations

import json
import os
import pathlib
import re
from typing import TYPE_CHECKING

from keras_qa.text import tokenizer_files
from keras_qa.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    import tokenizers

FILE = tokenizer_files.TOKENIZER_JSON
UNKNOWN = ("[UNK]", "<unk>", "<|endoftext|>")
MASKS = ("[MASK]", "<mask>")
PADDINGS = ("[PAD]", "<pad>", "<|pad|>", "<|endoftext|>")


class SubwordTokenizer(Tokenizer):
    """Splits texts into the WordPiece, BPE or Unigram pieces of a pretrained encoder.

    A special token spelled in a text, such as «[SEP]», is ordinary letters, even if the vocabulary
    holds it as a piece.

    Args:
        tokenizer: A `tokenizers.Tokenizer`, which is copied, or its JSON. Use
            `SubwordTokenizer.from_file` to read one from a file.

    Attributes:
        padding_id: Id of the padding.
        unknown_id: Id of unknown pieces, or `None` if the vocabulary covers every character.
        before, between, after: Ids of the special tokens before a question, between it and its
            text, and after the text. In BERT: `[CLS]`, `[SEP]` and `[SEP]`.
        segments: Segment ids of the five parts of a pair, in order, one tuple each: one id per
            special token, and one id for all pieces of the question or the text.

    Raises:
        ValueError: If the tokenizer puts no special token before a pair of texts. The model scores
            «no answer» at this position.

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
        super().__init__(tokenizer)
        padding = self._padding
        ids = [padding["pad_id"]] if padding else map(self._tokenizer.token_to_id, PADDINGS)
        self.padding_id: int = next((id for id in ids if id is not None), 0)
        self._read_special_tokens()
        # Only Unigram vocabularies hold special tokens as pieces that a text may spell.
        self._splits_special_tokens = type(self._tokenizer.model).__name__ == "Unigram"
        self.unknown_id: int | None
        if self._splits_special_tokens:
            settings = json.loads(self._tokenizer.to_str())
            self.unknown_id = settings["model"].get("unk_id")
            self._pre_tokenizer = settings["pre_tokenizer"]
            self._split_special_tokens()
        else:
            # `to_str` takes some 20 ms for 30,000 pieces.
            token = self._tokenizer.model.unk_token
            self.unknown_id = None if token is None else self._tokenizer.token_to_id(token)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> SubwordTokenizer:
        """Reads a tokenizer from a file or a folder.

        Args:
            path: The file `tokenizer.json`, or a folder in Hugging Face's layout with
                `tokenizer.json`, with `vocab.txt`, with `vocab.json` and `merges.txt`, or with a
                SentencePiece model (extra `sentencepiece`).

        Returns:
            A `SubwordTokenizer`.

        Raises:
            FileNotFoundError: If there is no such file.
            ImportError: If a SentencePiece model needs a missing library.
            ValueError: If the file holds no tokenizer for pairs of texts.
        """
        file = pathlib.Path(path).expanduser()
        if file.is_dir():
            if not (file / FILE).is_file():
                return cls(tokenizer_files.build_tokenizer(file))
            file = file / FILE
        if not file.is_file():
            raise FileNotFoundError(
                f"`path` must be a `{FILE}` or a folder that holds one. Received: "
                f"path={str(path)!r}. In `transformers`, `save_pretrained` of a fast tokenizer "
                "writes it."
            )
        try:
            return cls(file.read_text("utf-8-sig"))
        except ValueError as error:
            raise ValueError(f"`{file}` cannot be loaded: {error}") from None

    def to_json(self) -> str:
        """The tokenizer as JSON, in the format of the `tokenizers` library."""
        text = self._tokenizer.to_str()
        if not self._splits_special_tokens:
            return text
        # Without the step that the constructor adds.
        settings = {**json.loads(text), "pre_tokenizer": self._pre_tokenizer}
        return json.dumps(settings, ensure_ascii=False, separators=(",", ":"))

    def special_tokens(self) -> dict[str, str]:
        """The special tokens, by their names in `transformers`."""
        ids = {
            "cls_token": self.before[0],
            "sep_token": self.after[-1],
            "pad_token": self.padding_id,
        }
        id_to_token = self._tokenizer.id_to_token
        by_name = {
            name: token for name, id in ids.items() if (token := id_to_token(id)) is not None
        }
        for name, tokens in (("unk_token", UNKNOWN), ("mask_token", MASKS)):
            candidates = (t for t in tokens if self._tokenizer.token_to_id(t) is not None)
            if (token := next(candidates, None)) is not None:
                by_name[name] = token
        return by_name

    def _split_special_tokens(self) -> None:
        """Splits spelled special tokens after their first letter, so that none is a piece."""
        from tokenizers import Regex, pre_tokenizers

        added = self._tokenizer.get_added_tokens_decoder().values()
        tokens = {token.content for token in added if token.special}
        around = (*self.before, *self.between, *self.after)
        tokens |= {self._tokenizer.id_to_token(id) or "" for id in around}
        spelled = sorted(token for token in tokens if len(token) > 1)
        firsts = [f"{re.escape(token[0])}(?={re.escape(token[1:])})" for token in spelled]
        if firsts:
            split = pre_tokenizers.Split(Regex("|".join(firsts)), "merged_with_previous")
            before = self._tokenizer.pre_tokenizer
            self._tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
                [split] if before is None else [before, split]
            )

    def _read_special_tokens(self) -> None:
        pair = self._tokenizer.encode("a", "b")
        parts: list[list[tuple[int, int]]] = [[]]
        last = None
        for id, segment, sequence in zip(pair.ids, pair.type_ids, pair.sequence_ids, strict=True):
            if sequence != last:
                # Add an empty part if no special token separates the two sequences.
                parts += [[], []] if None not in (sequence, last) else [[]]
                last = sequence
            parts[-1].append((id, segment))
        if last is not None:
            parts.append([])
        if len(parts) != 5 or not parts[0]:
            raise ValueError(
                "`tokenizer` must put a special token before a question and its text, like "
                f"BERT's [CLS]: it stands for no answer. Received: {pair.tokens}. Use the "
                "tokenizer of an encoder such as BERT or RoBERTa."
            )
        self.before, self.between, self.after = (
            tuple(id for id, _ in parts[position]) for position in (0, 2, 4)
        )
        self.segments = tuple(
            tuple(segment for _, segment in (part[:1] if position in (1, 3) else part))
            for position, part in enumerate(parts)
        )
