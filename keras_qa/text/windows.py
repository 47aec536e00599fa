"""Overlapping windows of long texts, each together with the question."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_qa._arguments import check_positive_integers, entry, to_integer, to_optional_integer
from keras_qa.example import Example, answer_problem
from keras_qa.text.pairs import join_pairs
from keras_qa.text.pieces import Pieces, cells_of, concat_ranges
from keras_qa.text.subwords import SubwordTokenizer
from keras_qa.text.tokenizer import WordTokenizer

# Maximum number of positions in a window if no other is given.
MAX_LENGTH = 384

# Warn if the tokenizer does not know a larger share of a text's characters.
MAX_UNKNOWN = 0.1

_TOKENIZERS = {kind.__name__: kind for kind in (SubwordTokenizer, WordTokenizer)}


@dataclasses.dataclass(frozen=True, eq=False)
class Windows:
    """The inputs of a reader and the meaning of its output positions. Made by `Windower`.

    A reader returns a start logit and an end logit for each position. Position 0 stands for "no
    answer in this window".

    Args:
        feed: The model's inputs by name, `(windows, …)` int32 each.
        example: `(windows,)` int32: the example of each window, by position. Ascending; every
            example has at least one window.
        offsets: `(windows, positions, 2)` int32: `text[start:end]` is the piece at each position.
            `(-1, -1)` at positions without a piece of the text, and for pieces of white space only.
        words: `(windows, positions, 2)` int32: offsets of the word that contains the piece. All
            pieces of a word have the same.
        word_sizes: `(windows, positions)` float32: the size of that word when words are counted: 1,
            or in scripts without spaces half a word per letter of Chinese or Japanese and a quarter
            of Thai, at most 1. 0 at positions without a word.
        spans: `(windows, answers, 2)` int32: first and last position of each distinct answer that
            the window contains, padded with `(-1, -1)`. `(0, 0)` first if it contains none. `None`
            without labels.
    """

    feed: dict[str, npt.NDArray[np.int32]]
    example: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int32]
    words: npt.NDArray[np.int32]
    word_sizes: npt.NDArray[np.float32]
    spans: npt.NDArray[np.int32] | None = None

    def __len__(self) -> int:
        return len(self.example)


class Windower:
    """Splits the texts of examples into overlapping windows.

    With a `SubwordTokenizer` a window is one sequence for a pretrained encoder, `[CLS] question
    [SEP] window [SEP]`, with the inputs `token_ids`, `segment_ids` and `padding_mask`. With a
    `WordTokenizer` the inputs are `text`, the words of the window, and `question`. The output then
    has one more position than `text`: the first, for "no answer".

    Args:
        tokenizer: A `SubwordTokenizer` or a `WordTokenizer`.
        max_length: Maximum length of a window. With a `SubwordTokenizer` this counts special
            tokens, question and text, with a `WordTokenizer` the words of the text.
        stride: Number of pieces that consecutive windows share, as in `tokenizers` and
            `transformers`. An answer of at most that many pieces is always whole in one window. It
            is reduced to half the room for the text if the question leaves less than twice the
            stride.
        max_question_length: Maximum number of pieces of a question; the rest is truncated. `None`
            never truncates, and a question that leaves no room for the text is an error.

    Raises:
        TypeError: If `tokenizer` has another type.
        ValueError: If `max_length`, `stride` or `max_question_length` is out of range.

    Examples:
        >>> from keras_qa import Example
        >>> from keras_qa.text import Windower, WordTokenizer
        >>> example = Example("Mary went home. John slept.", "Who slept?", "John", 16)
        >>> windower = Windower(WordTokenizer.train([example.text]), max_length=4, stride=2)
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
        max_length: int = MAX_LENGTH,
        stride: int = 128,
        max_question_length: int | None = None,
    ) -> None:
        if not isinstance(tokenizer, tuple(_TOKENIZERS.values())):
            raise TypeError(
                "`tokenizer` must be a `SubwordTokenizer` or a `WordTokenizer`. Received a "
                f"{type(tokenizer).__name__}."
            )
        self.tokenizer = tokenizer
        self.max_length = to_integer("max_length", max_length)
        self.stride = to_integer("stride", stride, least=0)
        self.max_question_length = to_optional_integer("max_question_length", max_question_length)

    def __call__(self, examples: Sequence[Example], labels: bool = False) -> Windows:
        """Splits all texts at once.

        Args:
            examples: `Example` objects. Equal texts are tokenized once.
            labels: Whether to locate the answers by their `answer_start`.

        Returns:
            The `Windows` of all examples, in order, padded to the longest.

        Raises:
            ValueError: If a question leaves no room for its text, or, with labels, if an answer is
                not at its `answer_start`.
        """
        layout = _Layout(self, examples, 0, labels)
        return layout.windows(0, layout.total)

    def batches(
        self, examples: Sequence[Example], windows: int = 256, labels: bool = False
    ) -> Iterator[Windows]:
        """Splits texts batch by batch, in bounded memory.

        Args:
            examples: As in `__call__`.
            windows: Maximum number of windows per batch. A batch may end within an example.
            labels: As in `__call__`.

        Yields:
            `Windows`, whose `example` refers to all `examples`.
        """
        check_positive_integers(windows=windows)
        for start, stop in _split_examples(examples):
            layout = _Layout(self, examples[start:stop], start, labels)
            for first in range(0, layout.total, windows):
                yield layout.windows(first, min(first + windows, layout.total))

    def pieces(self, texts: Sequence[str]) -> Pieces:
        """Returns the pieces of texts and questions. A subclass may change offsets and words."""
        return self.tokenizer.pieces(texts)

    def step(self, room: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Returns how many pieces a window begins after the previous one, by its room for them."""
        return room - np.minimum(self.stride, room // 2)

    def get_config(self) -> dict[str, Any]:
        """The constructor arguments, with the tokenizer as JSON."""
        return {
            "tokenizer": {
                "class_name": type(self.tokenizer).__name__,
                "json": self.tokenizer.to_json(),
            },
            "max_length": self.max_length,
            "stride": self.stride,
            "max_question_length": self.max_question_length,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Windower:
        """Creates a `Windower` from the output of `get_config`."""
        saved = entry(config, "tokenizer", dict)
        kind = entry(saved, "class_name", str)
        if kind not in _TOKENIZERS:
            raise ValueError(
                f"`class_name` of a tokenizer must be one of {', '.join(map(repr, _TOKENIZERS))}. "
                f"Received: class_name={kind!r:.80}."
            )
        tokenizer = _TOKENIZERS[kind](entry(saved, "json", str))
        return cls(**{**config, "tokenizer": tokenizer})


def passage_windows(
    windower: Windower,
    examples: Sequence[Example],
    windows: int = 256,
) -> Iterator[Windows]:
    """Splits the passages of each question, whose text is a list of them, into windows.

    No window spans two passages. Yields at most `windows` at a time. Offsets refer to `plain_text`.
    """
    flat = [Example(text, item.question) for item in examples for text in item.text]
    counts = [len(item.text) for item in examples]
    owner = np.repeat(np.arange(len(examples)), counts).astype("int32")
    # Offset of each passage in `plain_text` of its example.
    ends = np.cumsum([len(item.plain_text) + 1 for item in flat])
    begins = np.append(0, ends[:-1])
    begins -= begins[np.cumsum(counts) - counts][owner]
    for batch in windower.batches(flat, windows):
        shift = begins[batch.example][:, None, None]
        offsets, words = (
            np.where(spans >= 0, spans + shift, -1).astype("int32")
            for spans in (batch.offsets, batch.words)
        )
        yield dataclasses.replace(
            batch,
            example=owner[batch.example],
            offsets=offsets,
            words=words,
        )


# Limits of the examples that are tokenized at a time. A character takes about 16 bytes.
_MAX_CHARACTERS = 1_000_000
_MAX_EXAMPLES = 4_096


def _split_examples(examples: Sequence[Example]) -> Iterator[tuple[int, int]]:
    """Ranges of examples within these limits. Equal texts count once."""
    start = size = 0
    seen: set[str] = set()
    for position, item in enumerate(examples):
        text = item.plain_text
        added = 0 if text in seen else len(text)
        if position > start and (
            size + added > _MAX_CHARACTERS or position - start == _MAX_EXAMPLES
        ):
            yield start, position
            start, size, seen, added = position, 0, set(), len(text)
        size += added
        seen.add(text)
    if start < len(examples):
        yield start, len(examples)


class _Layout:
    """First and last piece of each window of some examples."""

    def __init__(
        self, windower: Windower, examples: Sequence[Example], first: int, labels: bool
    ) -> None:
        tokenizer = windower.tokenizer
        self.tokenizer = tokenizer
        self.first = first
        texts: dict[str, int] = {}
        text_ids = [texts.setdefault(item.plain_text, len(texts)) for item in examples]
        both = windower.pieces([*texts, *(item.question for item in examples)])
        self.text = both.select(0, len(texts))
        self.question = both.select(len(texts), len(texts) + len(examples))
        if isinstance(tokenizer, SubwordTokenizer):
            _warn_about_unknown(tokenizer, self.text, len(texts))
        question_counts = self.question_counts = np.diff(self.question.begins)
        if windower.max_question_length is not None:
            question_counts = self.question_counts = np.minimum(
                question_counts, windower.max_question_length
            )
        room = np.full(len(examples), windower.max_length)
        if isinstance(tokenizer, SubwordTokenizer):
            specials = (tokenizer.before, tokenizer.between, tokenizer.after)
            room -= question_counts + sum(map(len, specials))
            short = room < 1
        else:
            short = question_counts > windower.max_length
        if short.any():
            position = int(short.argmax())
            name = describe(position + first, examples[position])
            raise ValueError(
                f"The question of {name} has {question_counts[position]} pieces, too many for a "
                f"window of {windower.max_length} positions. Shorten it, or make the windows "
                "longer with `max_length`."
            )
        begins, counts = self.text.begins[:-1][text_ids], np.diff(self.text.begins)[text_ids]
        step = windower.step(room)
        each = 1 + np.maximum(-(-(counts - room) // step), 0)
        self.total = int(each.sum())
        self.example = np.repeat(np.arange(len(examples)), each)
        # Pieces of the text before each window, its first piece and its number of pieces.
        skipped = concat_ranges(np.zeros(len(examples), "int64"), each) * step[self.example]
        self.begins = begins[self.example] + skipped
        self.counts = np.minimum(counts[self.example] - skipped, room[self.example])
        self.golds = (
            find_in_texts(examples, text_ids, self.text, list(texts), first) if labels else None
        )

    def windows(self, start: int, stop: int) -> Windows:
        example = self.example[start:stop]
        begins, counts = self.begins[start:stop], self.counts[start:stop]
        indices = concat_ranges(begins, counts)
        if isinstance(self.tokenizer, SubwordTokenizer):
            question = (
                self.question.ids,
                self.question.begins[example],
                self.question_counts[example],
            )
            feed = join_pairs(self.tokenizer, question, (self.text.ids, begins, counts))
            before = len(self.tokenizer.before) + len(self.tokenizer.between)
            shift = before + self.question_counts[example]
            cells = cells_of(shift, counts)
            positions = feed["token_ids"].shape[1]
        else:
            feed = {
                "text": _padded(self.text.ids, begins, counts),
                "question": _padded(
                    self.question.ids, self.question.begins[example], self.question_counts[example]
                ),
            }
            shift = np.ones(len(example), "int64")
            cells = cells_of(shift, counts)
            positions = feed["text"].shape[1] + 1
        words = np.full((len(example), positions, 2), -1, "int32")
        words[cells] = self.text.words[indices]
        offsets = np.full_like(words, -1)
        offsets[cells] = self.text.offsets[indices]
        offsets[words[..., 0] < 0] = -1
        word_sizes = np.zeros(words.shape[:2], "float32")
        word_sizes[cells] = self.text.word_sizes[indices]
        spans = None
        if self.golds is not None:
            spans = find_in_windows(self.golds[example], begins, counts, shift)
        numbers = (example + self.first).astype("int32")
        return Windows(feed, numbers, offsets, words, word_sizes, spans)


def _warn_about_unknown(tokenizer: SubwordTokenizer, pieces: Pieces, texts: int) -> None:
    # Servers log warnings, and must not log texts.
    if tokenizer.unknown_id is None or not (pieces.ids == tokenizer.unknown_id).any():
        return
    sizes = (pieces.offsets[:, 1] - pieces.offsets[:, 0]).astype("float64")
    totals = np.append(0.0, np.cumsum(sizes))[pieces.begins]
    unknown = np.where(pieces.ids == tokenizer.unknown_id, sizes, 0.0)
    unknowns = np.append(0.0, np.cumsum(unknown))[pieces.begins]
    rows = np.flatnonzero(np.diff(unknowns) > MAX_UNKNOWN * np.diff(totals))
    if rows.size:
        warnings.warn(
            "More than 10 % of a text's characters are unknown to the tokenizer, in "
            f"{rows.size:,} of {texts:,} texts. Use a reader for their language.",
            stacklevel=2,
        )


def _padded(ids: np.ndarray, begins: np.ndarray, counts: np.ndarray) -> np.ndarray:
    rows = np.zeros((len(counts), int(counts.max(initial=1))), "int32")
    rows[cells_of(np.zeros_like(counts), counts)] = ids[concat_ranges(begins, counts)]
    return rows


def find_in_texts(
    examples: Sequence[Example], text_ids: list[int], text: Pieces, texts: list[str], first: int
) -> np.ndarray:
    """Finds the first and last piece of each answer: `(examples, answers, 2)`, -1 for missing ones.

    `text_ids` has the position in `texts` of each example's text, and `first` is the position of
    `examples[0]` in the data set.
    """
    most = max((len(item.answers) for item in examples), default=0)
    golds = np.full((len(examples), max(most, 1), 2), -1, "int64")
    spans = []
    for row, item in enumerate(examples):
        problem = answer_problem(item)
        if problem is None and item.answers and not item.answer_start:
            problem = (
                f"the answer {item.answers[0]!r:.80} has no offset, and no single place in "
                "the text. Give its `answer_start`, or, for yes and no, build the reader with "
                "`answer_types`"
            )
        if problem is not None:
            raise ValueError(f"{describe(row + first, item, 'The')}: {problem}.")
        for column, (answer, start) in enumerate(zip(item.answers, item.answer_start, strict=True)):
            spans.append((row, column, text_ids[row], start, start + len(answer)))
    if not spans:
        return golds
    rows, columns, owners, starts, ends = np.array(spans, "int64").T
    # Offsets through all texts, so that one search finds the pieces of all answers.
    base = np.cumsum([0, *map(len, texts)])
    real = np.flatnonzero(text.words[:, 0] >= 0)
    owner = np.searchsorted(text.begins, real, side="right") - 1
    ranges = text.offsets[real] + base[owner][:, None]
    firsts = np.searchsorted(ranges[:, 1], starts + base[owners], side="right")
    lasts = np.searchsorted(ranges[:, 0], ends + base[owners], side="left") - 1
    lost = np.flatnonzero(firsts > lasts)
    if len(lost):
        row, column = rows[lost[0]], columns[lost[0]]
        raise ValueError(
            f"{describe(row + first, examples[row], 'The')}: the tokenizer drops all of the answer "
            f"{examples[row].answers[column]!r}. Remove it from `answers`."
        )
    golds[rows, columns] = np.stack([real[firsts], real[lasts]], axis=1)
    return golds


def find_in_windows(
    golds: np.ndarray, begins: np.ndarray, counts: np.ndarray, shift: np.ndarray
) -> np.ndarray:
    """Finds the positions of the answers in each window, without repetitions, as `Windows.spans`.

    `golds` are the rows of `find_in_texts`, one per window. `begins`, `counts` and `shift`,
    `(windows,)` each, are the first piece of each window, the number of its pieces, and the
    position of the first one in the sequence.
    """
    ends = begins + counts
    inside = (golds[..., 0] >= begins[:, None]) & (golds[..., 1] < ends[:, None])
    inside &= golds[..., 0] >= 0
    same = (golds[:, :, None] == golds[:, None]).all(axis=-1)
    inside &= ~np.tril(same, -1).any(axis=-1)
    spans = np.where(inside[..., None], golds + (shift - begins)[:, None, None], -1)
    order = np.argsort(~inside, axis=1, kind="stable")
    spans = np.take_along_axis(spans, order[..., None], axis=1)
    spans[~inside.any(axis=1), 0] = 0
    return spans.astype("int32")


def describe(position: int, item: Example, article: str = "the") -> str:
    """The description of an example in an error message."""
    id = f" (id {item.id!r})" if item.id is not None else ""
    return f"{article} example at position {position}{id}"
