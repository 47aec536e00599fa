"""`Windower`: against the truncation of `tokenizers`, labels, batches, any text, bad input."""

import random
import re
import tracemalloc

import numpy as np
import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from small_tokenizers import KINDS, wordpiece

from keras_qa import Example
from keras_qa.text import SubwordTokenizer, Windower, WordTokenizer, windows

WORDS = ["Mary", "unbelievable", "1990s", "home,", "bathroom", "slept.", "Zoë", "3.5", "so—there"]
ARRAYS = ("offsets", "words", "word_sizes", "spans")


def random_text(rng: random.Random, most: int) -> str:
    return " ".join(rng.choices(WORDS, k=rng.randint(0, most)))


def random_examples(rng: random.Random, count: int = 6) -> list[Example]:
    """Examples with answers that are whole words of the text, the first one twice."""
    examples = []
    for number in range(count):
        text = random_text(rng, 60)
        spans = [match.span() for match in re.finditer(r"\w+", text)]
        found = []
        for _ in range(rng.randint(0, 3) if spans else 0):
            first = rng.randrange(len(spans))
            last = min(first + rng.randint(0, 2), len(spans) - 1)
            found.append((spans[first][0], spans[last][1]))
        found += found[:1]
        answers = [text[start:end] for start, end in found]
        starts = [start for start, _ in found]
        question = random_text(rng, 4)
        examples.append(Example(text, question, answers, starts, id=f"q{number}"))
    return examples


@pytest.mark.parametrize("kind", ["wordpiece", "byte bpe"])
def test_sequences_are_those_of_the_library(kind) -> None:
    rng = random.Random(0)
    tokenizer = SubwordTokenizer(KINDS[kind]())
    for length, stride in ((64, 10), (90, 0), (80, 15), (500, 20)):
        library = tokenizers.Tokenizer.from_str(tokenizer.to_json())
        library.enable_truncation(length, stride=stride, strategy="only_second")
        examples = random_examples(rng)
        expected = []
        for place, item in enumerate(examples):
            first = library.encode(item.question, item.text)
            expected += [(place, item, part) for part in (first, *first.overflowing)]
        found = Windower(tokenizer, length, stride)(examples)
        assert len(found) == len(expected)
        assert found.spans is None
        widest = max(len(part) for _, _, part in expected)
        assert {array.shape for array in found.feed.values()} == {(len(expected), widest)}
        for row, (place, item, part) in enumerate(expected):
            used = len(part)
            ids, segments, mask = (array[row] for array in found.feed.values())
            assert ids[:used].tolist() == part.ids
            assert segments[:used].tolist() == part.type_ids
            assert mask.tolist() == [1] * used + [0] * (widest - used)
            assert (ids[used:] == tokenizer.padding_id).all()
            assert (segments[used:] == 0).all()
            assert found.example[row] == place
            for column, ((start, end), sequence) in enumerate(
                zip(part.offsets, part.sequence_ids, strict=True)
            ):
                offsets, word = found.offsets[row, column], found.words[row, column]
                piece = item.text[start:end].lstrip()
                if sequence == 1 and piece:
                    assert offsets.tolist() == [end - len(piece), end]
                    assert word[0] <= offsets[0] < end <= word[1]
                else:
                    assert offsets.tolist() == word.tolist() == [-1, -1]


def naive_spans(windows, row: int, item: Example) -> list[tuple[int, int]]:
    """Positions of the answers whose words are all in a window."""
    words = [tuple(pair) for pair in windows.words[row].tolist()]
    spans = []
    for answer, begin in zip(item.answers, item.answer_start, strict=True):
        wanted = [
            match.span()
            for match in re.finditer(r"\w+|[^\w\s]", item.text)
            if match.start() < begin + len(answer) and match.end() > begin
        ]
        if all(word in words for word in wanted):
            last = len(words) - 1 - words[::-1].index(wanted[-1])
            spans.append((words.index(wanted[0]), last))
    return list(dict.fromkeys(spans)) or [(0, 0)]


def test_answers_are_labelled_in_windows_of_words() -> None:
    rng = random.Random(1)
    tokenizer = WordTokenizer.train(WORDS)
    for _ in range(40):
        examples = random_examples(rng)
        length = rng.randint(12, 40)
        windower = Windower(tokenizer, length, stride=6)
        found = windower(examples, labels=True)
        assert found.offsets.shape[1] == found.feed["text"].shape[1] + 1
        assert (found.offsets[:, 0] == -1).all()
        assert {found.spans.dtype, found.example.dtype, found.offsets.dtype} == {np.dtype("int32")}
        for row, place in enumerate(found.example):
            item = examples[place]
            expected = naive_spans(found, row, item)
            spans = [tuple(span) for span in found.spans[row].tolist()]
            assert spans == expected + [(-1, -1)] * (found.spans.shape[1] - len(expected))
            _, offsets = tokenizer.encode(item.text)
            for position, word in enumerate(found.offsets[row].tolist()):
                assert word == [-1, -1] or word in offsets.tolist()
                inside = position > 0 and found.feed["text"][row, position - 1] != 0
                assert inside == (word[0] >= 0)
        for place, item in enumerate(examples):
            labelled = found.spans[found.example == place, 0].any()
            # An answer has at most three words and two marks, and the stride is 6.
            assert labelled == bool(item.answers)


def test_the_stride_is_reduced_for_long_questions() -> None:
    example = Example("a b c d e f g", "a b c")
    found = Windower(SubwordTokenizer(wordpiece()), max_length=9, stride=100)([example])
    # Three pieces of text per window, one of them shared.
    starts = [row[row >= 0].min() for row in found.offsets[:, :, 0]]
    assert starts == [0, 4, 8]
    assert found.feed["padding_mask"].sum() == 27


@pytest.mark.parametrize("kind", ["wordpiece", "words"])
def test_empty_texts_and_questions_have_a_window(kind) -> None:
    tokenizer = WordTokenizer.train(["a"]) if kind == "words" else SubwordTokenizer(wordpiece())
    windower = Windower(tokenizer, max_length=8)
    examples = [Example("", ""), Example("a", ""), Example("", "a"), Example(" \u200b", "")]
    found = windower(examples, labels=True)
    assert found.example.tolist() == [0, 1, 2, 3]
    assert (found.offsets.reshape(4, -1).max(axis=1) >= 0).tolist() == [False, True, False, False]
    assert (found.spans == 0).all()
    if kind == "words":
        assert found.feed["text"].tolist() == [[0], [2], [0], [0]]
        assert found.feed["question"].tolist() == [[0], [0], [2], [0]]
    else:
        assert found.feed["padding_mask"].sum(axis=1).tolist() == [3, 4, 4, 3]
        assert found.feed["token_ids"][0].tolist() == [2, 3, 3, 0]
    none = windower([], labels=True)
    assert len(none) == 0
    assert none.offsets.shape[0] == none.spans.shape[0] == 0
    assert list(windower.batches([])) == []


@pytest.mark.parametrize("kind", ["wordpiece", "words"])
@pytest.mark.parametrize("size", [1, 3, 1_000])
def test_batches_are_the_same_windows(monkeypatch, kind, size) -> None:
    monkeypatch.setattr(windows, "_MAX_CHARACTERS", 300)
    monkeypatch.setattr(windows, "_MAX_EXAMPLES", 4)
    examples = random_examples(random.Random(3), 12)
    examples += [Example(examples[-1].text, "again", id="x")] * 3
    tokenizer = WordTokenizer.train(WORDS) if kind == "words" else SubwordTokenizer(wordpiece())
    windower = Windower(tokenizer, max_length=90 if kind != "words" else 15, stride=6)
    whole = windower(examples, labels=True)
    row = 0
    for batch in windower.batches(examples, windows=size, labels=True):
        assert 1 <= len(batch) <= size
        rows = slice(row, row + len(batch))
        row += len(batch)
        assert batch.example.tolist() == whole.example[rows].tolist()
        pairs = [(getattr(batch, name), getattr(whole, name)) for name in ARRAYS]
        pairs += [(batch.feed[name], whole.feed[name]) for name in whole.feed]
        for part, full in pairs:
            width = part.shape[1]
            assert (part == full[rows, :width]).all()
            # The rest is padding.
            assert len(np.unique(full[rows, width:])) <= 1
    assert row == len(whole)


@pytest.mark.parametrize("size", [1, 3, 1_000])
def test_windows_of_passages(size: int) -> None:
    """They are those of each passage, with offsets in all passages joined."""
    rng = random.Random(4)
    examples = [
        Example([random_text(rng, 40) for _ in range(count)], random_text(rng, 3))
        for count in (3, 1, 2)
    ]
    windower = Windower(WordTokenizer.train(WORDS), max_length=15, stride=6)
    expected = []
    for number, item in enumerate(examples):
        begin = 0
        for passage in item.text:
            assert item.plain_text[begin : begin + len(passage)] == passage
            part = windower([Example(passage, item.question)])
            expected += [(number, begin, part, row) for row in range(len(part))]
            begin += len(passage) + 1
    results = [
        (batch, row)
        for batch in windows.passage_windows(windower, examples, size)
        for row in range(len(batch))
    ]
    assert max(len(batch) for batch, _ in results) <= size
    for (batch, row), (number, begin, part, own) in zip(results, expected, strict=True):
        assert batch.example[row] == number
        for name in ("offsets", "words"):
            offsets = getattr(part, name)[own]
            shifted = np.where(offsets < 0, -1, offsets + begin)
            width = min(len(offsets), batch.offsets.shape[1])
            assert (getattr(batch, name)[row, :width] == shifted[:width]).all()
        width = min(part.feed["text"].shape[1], batch.feed["text"].shape[1])
        assert (batch.feed["text"][row, :width] == part.feed["text"][own, :width]).all()


def test_a_text_of_200_000_words_takes_bounded_memory() -> None:
    rng = np.random.default_rng(0)
    text = " ".join(rng.choice(["mary", "went", "home", "slept"], 200_000))
    windower = Windower(WordTokenizer.train([text]), max_length=384, stride=128)
    example = Example(text, "who went?", text[-3:], len(text) - 3)
    tracemalloc.start()
    count = labelled = 0
    ends = []
    for batch in windower.batches([example], windows=32, labels=True):
        count += len(batch)
        labelled += int(batch.spans[:, 0, 0].astype(bool).sum())
        ends += batch.offsets[:, :, 1].max(axis=1).tolist()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 1 + -(-(200_000 - 384) // 256)
    assert labelled == 1
    assert ends == sorted(ends)
    assert ends[-1] == len(text)
    assert peak < 64e6


@pytest.mark.filterwarnings("ignore:More than 10 % of a text")
@given(
    text=st.text(min_size=1),
    question=st.text(max_size=5),
    data=st.data(),
    kind=st.sampled_from([*KINDS, "words"]),
)
def test_labels_lead_back_to_the_answer_in_any_text(text, question, data, kind) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    answer = text[start : data.draw(st.integers(start + 1, len(text)))]
    tokenizer = WordTokenizer.train([text]) if kind == "words" else SubwordTokenizer(KINDS[kind]())
    windower = Windower(tokenizer, max_length=400, stride=150)
    example = Example(text, question, answer, start)
    pieces = tokenizer.pieces([text])
    real = pieces.words[:, 0] >= 0
    held = real & (pieces.offsets[:, 1] > start) & (pieces.offsets[:, 0] < start + len(answer))
    if not held.any():
        with pytest.raises(ValueError, match="position 0: the tokenizer drops all of the answer"):
            windower([example], labels=True)
        return
    found = windower([example], labels=True)
    for row in range(len(found)):
        first, last = found.spans[row, 0]
        if first == 0:
            assert len(found) > 1
            continue
        # White space and control characters around the answer may be missing.
        for cut, kept in ((found.offsets, pieces.offsets), (found.words, pieces.words)):
            assert cut[row, first, 0] == kept[held, 0].min()
            assert cut[row, last, 1] == kept[held, 1].max()
    if held.sum() <= 150:
        assert found.spans[:, 0].any()


def test_bad_arguments_raise() -> None:
    words = Windower(WordTokenizer.train(["a"]), max_length=5, stride=2)
    pieces = Windower(SubwordTokenizer(wordpiece()), max_length=8, stride=2)
    good = Example("a", "a a a")
    for windower, question, size in ((words, "a " * 6, 6), (pieces, "a " * 5, 5)):
        long = Example("a", question, id="x7")
        message = (
            rf"^The question of the example at position 1 \(id 'x7'\) has {size} pieces, too many "
            r"for a window of \d positions\. .*with `max_length`\.$"
        )
        with pytest.raises(ValueError, match=message):
            windower([good, long])
        with pytest.raises(ValueError, match="position 1 "):
            list(windower.batches([good, long]))
        assert len(windower([good])) == 1
    # One position is left for the text.
    assert len(pieces([Example("a a", "a " * 4)])) == 2
    for example, message in (
        (Example("a b", "q", "b", 1, id="x"), "'b' is not at 1, where its text has ' '. It is at"),
        (Example("a b", "q", "b", id="x"), "the answer 'b' has no offset, and no single place"),
        (Example("a b", "q", "b", (1, 2), id="x"), "there are 1 answers but 2 offsets"),
        (Example("a  b", "q", "  ", 1, id="x"), "the tokenizer drops all of the answer '  '"),
    ):
        with pytest.raises(ValueError, match=re.escape(message)) as caught:
            words([good, example], labels=True)
        assert str(caught.value).startswith("The example at position 1 (id 'x'): ")
        assert len(words([good, example])) == 2
    for length, stride, message in (
        (0, 1, "`max_length` must be a positive integer"),
        (9, -1, "`stride` must be a non-neg"),
    ):
        with pytest.raises(ValueError, match=message):
            Windower(words.tokenizer, length, stride)
    with pytest.raises(TypeError, match=r"`tokenizer` must be .* Received a str\."):
        Windower("bert")
    with pytest.raises(ValueError, match=r"`windows` must be a positive integer\. .*: windows=0\."):
        next(words.batches([good], windows=0))
