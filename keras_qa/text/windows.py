"""Long texts as overlapping windows that a reader can take, with their question."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_qa._arguments import check_positive_integers, entry, to_integer, to_optional_integer
from keras_qa.example import Example
from keras_qa.text import gold_spans
from keras_qa.text.pieces import Pieces, ragged
from keras_qa.text.protocols import PairTokenizer, Tokenizer
from keras_qa.text.subwords import SubwordTokenizer
from keras_qa.text.tokenizer import WordTokenizer

# Share of a text's characters.
MOST_UNKNOWN = 0.1

_TOKENIZERS = {kind.__name__: kind for kind in (SubwordTokenizer, WordTokenizer)}


@dataclasses.dataclass(frozen=True, eq=False)
class Windows:
    """What a reader is fed, and what its output means. Made by `Windower`.

    A reader gives two logits, of a start and of an end, for each position.
    Position 0 stands for «no answer in this window».

    Args:
        feed: The model's inputs by name, `(windows, …)` int32 each.
        example: `(windows,)` int32: the position of the example that each
            window is from. Ascending; every example has a window.
        offsets: `(windows, positions, 2)` int32: where in its text the piece at
            each position stands, `text[start:end]`. `(-1, -1)` where no piece
            of the text is, or one of white space alone.
        words: `(windows, positions, 2)` int32: the same for the word that the
            piece is part of. All pieces of a word have the same.
        word_sizes: `(windows, positions)` float32: what that word counts as
            where words are counted, see `Pieces`; 0 where there is none.
        spans: `(windows, answers, 2)` int32: first and last position of each
            answer that stands wholly in the window, each once; then
            `(-1, -1)`. `[(0, 0)]` where none does. `None` without labels.
        prior: `(windows,)` float32: how much likelier it is that an answer
            stands in a window, as a logarithm, before it is read. `None` where
            all are alike.
    """

    feed: dict[str, npt.NDArray[np.int32]]
    example: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int32]
    words: npt.NDArray[np.int32]
    word_sizes: npt.NDArray[np.float32]
    spans: npt.NDArray[np.int32] | None = None
    prior: npt.NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.example)


class Windower:
    """Cuts the texts of examples into windows that overlap, beside their question.

    With a `SubwordTokenizer` a window is one sequence for a pretrained
    backbone, `[CLS] question [SEP] window [SEP]`, in the feed `token_ids`,
    `segment_ids` and `padding_mask`. With a `WordTokenizer` the feed is `text`,
    the words of the window, and `question`; the output has a position more
    than `text`, the first, since no word stands for «no answer».

    Args:
        tokenizer: A `SubwordTokenizer` or a `WordTokenizer`.
        length: Most positions of a window: special tokens, question and text
            with a `SubwordTokenizer`, words of the text with a
            `WordTokenizer`.
        overlap: Number of pieces that a window shares with the one before it
            (`stride` in `transformers`): an answer of no more pieces is whole
            in one window at least. Where the question leaves less room than
            twice that, half of the room.
        max_question_length: Most pieces of a question, with a
            `SubwordTokenizer`, or words; those beyond are cut off. `None` for
            all, and an error where they leave no room.

    Raises:
        TypeError: If `tokenizer` is neither.
        ValueError: If `length`, `overlap` or `max_question_length` is out of range.

    Examples:
        >>> from keras_qa import Example
        >>> from keras_qa.text import Windower, WordTokenizer
        >>> example = Example("Mary went home. John slept.", "Who slept?", "John", 16)
        >>> windower = Windower(WordTokenizer.train([example.text]), length=4, overlap=2)
        >>> windows = windower([example], labels=True)
        >>> windows.feed["text"].shape, windows.example.tolist()
        ((3, 4), [0, 0, 0])
        >>> windows.spans.tolist()
        [[[0, 0]], [[3, 3]], [[1, 1]]]
        >>> windows.offsets[2, 1].tolist()
        [16, 20]
    """

    def __init__(
        self,
        tokenizer: SubwordTokenizer | WordTokenizer,
        length: int = 384,
        overlap: int = 128,
        max_question_length: int | None = None,
    ) -> None:
        if not isinstance(tokenizer, tuple(_TOKENIZERS.values())):
            raise TypeError(
                "`tokenizer` must be a `SubwordTokenizer` or a `WordTokenizer`. Received a "
                f"{type(tokenizer).__name__}."
            )
        self.tokenizer = tokenizer
        self.length = to_integer("length", length)
        self.overlap = to_integer("overlap", overlap, least=0)
        self.max_question_length = to_optional_integer("max_question_length", max_question_length)

    def __call__(self, examples: Sequence[Example], labels: bool = False) -> Windows:
        """Cuts all texts at once.

        Args:
            examples: `Example` objects. Texts that are the same are tokenised
                once.
            labels: Whether to find the answers by their `answer_start`.

        Returns:
            The `Windows` of all examples, in order, as wide as the longest.

        Raises:
            ValueError: If a question leaves no room for its text; or, with
                labels, if an answer is not at its `answer_start`.
        """
        cut = _Cut(self, examples, 0, labels)
        return cut.windows(0, cut.total)

    def batches(
        self, examples: Sequence[Example], windows: int = 256, labels: bool = False
    ) -> Iterator[Windows]:
        """Cuts texts as they are asked for, in bounded memory.

        Args:
            examples: As in `__call__`.
            windows: Most windows at a time. Those of one text may come in
                several batches.
            labels: As in `__call__`.

        Yields:
            `Windows`, whose `example` counts from the first of all examples.

        Raises:
            ValueError: As `__call__`, when the batch with that example is due.
        """
        check_positive_integers(windows=windows)
        for start, stop in _groups(examples):
            cut = _Cut(self, examples[start:stop], start, labels)
            for first in range(0, cut.total, windows):
                yield cut.windows(first, min(first + windows, cut.total))

    def get_config(self) -> dict[str, Any]:
        """What `from_config` takes, as a `.keras` file keeps it."""
        return {
            "tokenizer": {
                "class_name": type(self.tokenizer).__name__,
                "json": self.tokenizer.to_json(),
            },
            "length": self.length,
            "overlap": self.overlap,
            "max_question_length": self.max_question_length,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Windower:
        """Makes the windower again that gave this config.

        Args:
            config: What `get_config` gave.

        Returns:
            A `Windower`.

        Raises:
            ValueError: If the config holds no tokenizer, or a setting is out of its range.
        """
        saved = entry(config, "tokenizer", dict)
        kind = entry(saved, "class_name", str)
        if kind not in _TOKENIZERS:
            raise ValueError(
                f"`class_name` of a tokenizer must be one of {', '.join(map(repr, _TOKENIZERS))}. "
                f"Received: class_name={kind!r:.80}."
            )
        return cls(**{**config, "tokenizer": _TOKENIZERS[kind](entry(saved, "json", str))})


# So many characters of text are kept as pieces at a time, some 16 bytes each.
_MOST_CHARACTERS = 1_000_000
_MOST_EXAMPLES = 4_096


def _groups(examples: Sequence[Example]) -> Iterator[tuple[int, int]]:
    """Ranges of examples whose different texts are not too long together."""
    start = size = 0
    seen: set[str] = set()
    for place, item in enumerate(examples):
        text = item.plain_text
        added = 0 if text in seen else len(text)
        if place > start and (size + added > _MOST_CHARACTERS or place - start == _MOST_EXAMPLES):
            yield start, place
            start, size, seen, added = place, 0, set(), len(text)
        size += added
        seen.add(text)
    if start < len(examples):
        yield start, len(examples)


class _Cut:
    """Where each window of some examples begins and ends, and how to fill its arrays."""

    def __init__(
        self, windower: Windower, examples: Sequence[Example], first: int, labels: bool
    ) -> None:
        tokenizer = windower.tokenizer
        self.tokenizer: Tokenizer = tokenizer
        self.first = first
        texts: dict[str, int] = {}
        places = [texts.setdefault(item.plain_text, len(texts)) for item in examples]
        both = self.tokenizer.pieces([*texts, *(item.question for item in examples)])
        self.text = both.of(0, len(texts))
        self.question = both.of(len(texts), len(texts) + len(examples))
        if isinstance(tokenizer, SubwordTokenizer):
            _warn_of_unknown(tokenizer, self.text)
        asked = self.asked = np.diff(self.question.begins)
        if windower.max_question_length is not None:
            asked = self.asked = np.minimum(asked, windower.max_question_length)
        room = np.full(len(examples), windower.length)
        if isinstance(tokenizer, SubwordTokenizer):
            specials = (tokenizer.before, tokenizer.between, tokenizer.after)
            room -= asked + sum(map(len, specials))
            short = room < 1
        else:
            short = asked > windower.length
        if short.any():
            place = int(short.argmax())
            name = gold_spans.named(place + first, examples[place])
            raise ValueError(
                f"The question of {name} has {asked[place]} pieces, too many for a window of "
                f"{windower.length} positions. Shorten it, or make the windows longer with "
                "`length`."
            )
        begins, counts = self.text.begins[:-1][places], np.diff(self.text.begins)[places]
        step = room - np.minimum(windower.overlap, room // 2)
        each = 1 + np.maximum(-(-(counts - room) // step), 0)
        self.total = int(each.sum())
        self.example = np.repeat(np.arange(len(examples)), each)
        # Pieces of the text before the window, where it begins and how many it has.
        skipped = ragged(np.zeros(len(examples), "int64"), each) * step[self.example]
        self.begins = begins[self.example] + skipped
        self.counts = np.minimum(counts[self.example] - skipped, room[self.example])
        self.golds = (
            gold_spans.in_texts(examples, places, self.text, list(texts), first) if labels else None
        )

    def windows(self, start: int, stop: int) -> Windows:
        example = self.example[start:stop]
        begins, counts = self.begins[start:stop], self.counts[start:stop]
        places = ragged(begins, counts)
        if isinstance(self.tokenizer, SubwordTokenizer):
            before = len(self.tokenizer.before) + len(self.tokenizer.between)
            shift = before + self.asked[example]
            cells = _cells(shift, counts)
            feed = self._sequence(self.tokenizer, example, shift + counts, cells, places)
            positions = feed["token_ids"].shape[1]
        else:
            feed = {
                "text": _padded(self.text.ids, begins, counts),
                "question": _padded(
                    self.question.ids,
                    self.question.begins[example],
                    self.asked[example],
                ),
            }
            shift = np.ones(len(example), "int64")
            cells = _cells(shift, counts)
            positions = feed["text"].shape[1] + 1
        words = np.full((len(example), positions, 2), -1, "int32")
        words[cells] = self.text.words[places]
        offsets = np.full_like(words, -1)
        offsets[cells] = self.text.offsets[places]
        offsets[words[..., 0] < 0] = -1
        word_sizes = np.zeros(words.shape[:2], "float32")
        word_sizes[cells] = self.text.word_sizes[places]
        spans = None
        if self.golds is not None:
            spans = gold_spans.in_windows(self.golds[example], begins, counts, shift)
        numbers = (example + self.first).astype("int32")
        return Windows(feed, numbers, offsets, words, word_sizes, spans)

    def _sequence(
        self,
        tokenizer: PairTokenizer,
        example: np.ndarray,
        after: np.ndarray,
        cells: tuple[np.ndarray, np.ndarray],
        places: np.ndarray,
    ) -> dict[str, np.ndarray]:
        """Question and window as one sequence, the window in its cells and up to `after`."""
        asked = self.asked[example]
        between = len(tokenizer.before) + asked
        lengths = after + len(tokenizer.after)
        shape = (len(example), int(lengths.max(initial=1)))
        ids = np.full(shape, tokenizer.padding_id, "int32")
        segments = np.zeros(shape, "int32")
        rows = np.arange(len(example))
        starts = (np.zeros_like(asked), between, after)
        for at, specials, kinds in zip(
            starts,
            (tokenizer.before, tokenizer.between, tokenizer.after),
            tokenizer.segments[::2],
            strict=True,
        ):
            for place, (id, kind) in enumerate(zip(specials, kinds, strict=True)):
                ids[rows, at + place] = id
                segments[rows, at + place] = kind
        question = _cells(np.full_like(asked, len(tokenizer.before)), asked)
        ids[question] = self.question.ids[ragged(self.question.begins[example], asked)]
        segments[question] = tokenizer.segments[1][0]
        ids[cells] = self.text.ids[places]
        segments[cells] = tokenizer.segments[3][0]
        mask = (np.arange(shape[1]) < lengths[:, None]).astype("int32")
        return {"token_ids": ids, "segment_ids": segments, "padding_mask": mask}


def _warn_of_unknown(tokenizer: SubwordTokenizer, texts: Pieces) -> None:
    if tokenizer.unknown_id is None or not (texts.ids == tokenizer.unknown_id).any():
        return
    sizes = (texts.offsets[:, 1] - texts.offsets[:, 0]).astype("float64")
    totals = np.append(0.0, np.cumsum(sizes))[texts.begins]
    unknown = np.where(texts.ids == tokenizer.unknown_id, sizes, 0.0)
    unknowns = np.append(0.0, np.cumsum(unknown))[texts.begins]
    if (np.diff(unknowns) > MOST_UNKNOWN * np.diff(totals)).any():
        # The same words each time: Python shows a warning once.
        warnings.warn(
            "More than a tenth of a text's characters are unknown to the tokenizer, and cannot be "
            "part of what the reader understands. Take a reader for the language of the text.",
            stacklevel=2,
        )


def _padded(ids: np.ndarray, begins: np.ndarray, counts: np.ndarray) -> np.ndarray:
    rows = np.zeros((len(counts), int(counts.max(initial=1))), "int32")
    rows[_cells(np.zeros_like(counts), counts)] = ids[ragged(begins, counts)]
    return rows


def _cells(shift: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of as many cells as counted, from a column on."""
    return np.repeat(np.arange(len(counts)), counts), ragged(shift, counts)
