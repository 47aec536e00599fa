"""`SpanDecoder` and `fit_temperature` against brute force over every span of every window."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from keras_qa.preprocessing import SpanDecoder, window_words
from keras_qa.preprocessing.calibration import expected_calibration_error, fit_temperature
from keras_qa.preprocessing.window_words import WindowOutputs

DECODE = SpanDecoder(30, no_answer=True)


def fit(start, end, words, example, spans, decoder=DECODE, sizes=None, folds=None) -> float:
    sizes = np.ones_like(start) if sizes is None else sizes
    return fit_temperature(WindowOutputs(start, end, words, example, sizes), spans, decoder, folds)


def random_case(rng, texts=4, positions=14, spread=3.0, num_types=0):
    """Windows of texts whose words have one to three pieces, with empty positions around them."""
    offsets, example = [], []
    for text in range(texts):
        words, at = [], int(rng.integers(0, 3))
        for _ in range(rng.integers(0, 16)):
            width = int(rng.integers(1, 5))
            words.append((at, at + width))
            at += width + int(rng.integers(0, 3))
        pieces = [word for word in words for _ in range(rng.integers(1, 4))]
        begin = 0
        while True:
            first = int(rng.integers(1, 4)) + num_types
            row = np.full((positions, 2), -1)
            part = pieces[begin : begin + positions - first]
            if part:
                row[first : first + len(part)] = part
            offsets.append(row)
            example.append(text)
            if begin + positions - first >= len(pieces):
                break
            begin += int(rng.integers(1, positions - first + 1))
    logits = rng.normal(scale=spread, size=(2, len(offsets), positions)).astype("float32")
    return logits[0], logits[1], np.array(offsets), np.array(example)


def word_logits(logits, offsets, temperature):
    """The words of a window, in order, with the log-sum-exp of their pieces."""
    words: dict = {}
    for logit, pair in zip(logits.astype("float64") / temperature, offsets.tolist(), strict=True):
        if pair[0] >= 0:
            words[tuple(pair)] = np.logaddexp(words.get(tuple(pair), -np.inf), logit)
    return list(words.items())


def random_sizes(rng, offsets):
    """Word sizes of 1, 1/2 or 1/4, the same in every window."""
    size = rng.choice([1.0, 0.5, 0.25], offsets.max() + 1)
    return np.where(offsets[..., 0] < 0, 0.0, size[offsets[..., 0]])


def brute_force(
    start,
    end,
    offsets,
    example,
    length,
    no_answer=True,
    temperature=1.0,
    word_sizes=None,
    num_types=0,
):
    """The probability of every span, of each answer type and of no answer, for each text."""
    sizes: dict = {}
    if word_sizes is not None:
        cells = zip(offsets.reshape(-1, 2).tolist(), word_sizes.ravel(), strict=True)
        sizes = {tuple(word): size for word, size in cells}
    result = []
    for text in range(example.max() + 1):
        masses: dict = {}
        none = math.inf
        for row in np.flatnonzero(example == text):
            starts = word_logits(start[row], offsets[row], temperature)
            ends = word_logits(end[row], offsets[row], temperature)
            for i, (first, left) in enumerate(starts):
                for j, (last, right) in enumerate(ends[i:], i):
                    if sum(sizes.get(word, 1.0) for word, _ in ends[i : j + 1]) > length:
                        break
                    span = (first[0], last[1])
                    masses[span] = masses.get(span, 0.0) + math.exp(left + right)
            none = min(none, (float(start[row, 0]) + float(end[row, 0])) / temperature)
        rows = example == text
        for place in range(1, num_types + 1):
            highest = (start[rows, place].astype("float64") + end[rows, place]).max()
            masses[place] = math.exp(highest / temperature)
        if no_answer or not masses:
            masses[None] = math.exp(none) if no_answer else 1.0
        total = sum(masses.values())
        result.append({span: mass / total for span, mass in masses.items()})
    return result


def raises(message: str, function, *arguments, **options) -> None:
    with pytest.raises(ValueError, match=message):
        function(*arguments, **options)


def check(found, expected, k):
    for row, masses in enumerate(expected):
        none = masses.pop(None, 0.0)
        assert found.no_answer[row] == pytest.approx(none, abs=1e-12)
        types = [masses.pop(place) for place in sorted(set(masses) & {1, 2})]
        assert found.answer_types[row] == pytest.approx(types, abs=1e-12)
        ranked = sorted(masses.values(), reverse=True)[:k]
        assert found.score[row, : len(ranked)] == pytest.approx(ranked, abs=1e-12)
        assert (found.score[row, len(ranked) :] == 0).all()
        spans = list(zip(found.start[row].tolist(), found.end[row].tolist(), strict=True))
        assert set(spans[len(ranked) :]) <= {(-1, -1)}
        assert len(ranked) <= len(spans) <= k
        named = spans[: len(ranked)]
        assert len(set(named)) == len(named)
        assert [masses[span] for span in named] == pytest.approx(ranked, abs=1e-12)


@pytest.mark.parametrize("most", [1, 60, 2**18])
def test_the_best_spans_are_those_of_brute_force(monkeypatch, most) -> None:
    monkeypatch.setattr(window_words, "MAX_POSITIONS", most)
    rng = np.random.default_rng(0)
    for number in range(42):
        types = ((), ("yes",), ("no", "yes"))[number % 3]
        case = random_case(rng, num_types=len(types))
        k, length = int(rng.choice([1, 2, 5, 400])), int(rng.choice([1, 2, 3, 5, 30]))
        no_answer, temperature = bool(rng.integers(2)), float(rng.choice([0.7, 1.0, 3.0]))
        sizes = random_sizes(rng, case[2]) if number % 2 else None
        decode = SpanDecoder(length, no_answer, temperature=temperature, answer_types=types)
        found = decode(*case, k, sizes)
        check(found, brute_force(*case, length, no_answer, temperature, sizes, len(types)), k)
        if k == 400:
            total = found.score.sum(axis=1) + found.no_answer + found.answer_types.sum(axis=1)
            assert total == pytest.approx(1, abs=1e-12)


def test_memory_is_that_of_the_possible_spans() -> None:
    case = random_case(np.random.default_rng(0))
    many, more = DECODE(*case, k=400), DECODE(*case, k=1_000_000)
    # A text has at most 15 words here.
    assert more.score.shape[1] <= 15 * 15
    for one, other in zip(many, more, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_softmax_of_yes_and_no_computed_by_hand() -> None:
    # Position 0 is no answer, 1 is yes, 2 is no, and 3 and 4 are the words of a text.
    offsets = np.array([[[-1, -1], [-1, -1], [-1, -1], [0, 3], [4, 6]]] * 2)
    masses = np.array([[2.0, 3.0, 1.0, 1.0, 2.0], [1.0, 2.0, 4.0, 1.0, 1.0]])
    decode = SpanDecoder(1, no_answer=True, answer_types=["yes", "no"])
    found = decode(np.log(masses), np.log(masses), offsets, np.array([0, 0]), k=2)
    # Words: 1 + 1 and 4 + 1. No answer: 1, the lower. Yes: 9, the higher. No: 16.
    np.testing.assert_allclose(found.score[0], [5 / 33, 2 / 33])
    np.testing.assert_allclose(found.no_answer[0], 1 / 33)
    np.testing.assert_allclose(found.answer_types[0], [9 / 33, 16 / 33])
    # Without words yes and no have all of the probability.
    nothing = np.full_like(offsets, -1)
    free = SpanDecoder(answer_types=["yes", "no"])(*np.log([masses] * 2), nothing, [0, 0])
    np.testing.assert_allclose(free.answer_types[0], [9 / 25, 16 / 25])
    assert free.no_answer[0] == 0


@given(seed=st.integers(0, 2**32 - 1), shift=st.floats(-50, 50), no_answer=st.booleans())
def test_properties_of_answer_types(seed, shift, no_answer) -> None:
    start, end, offsets, example = random_case(np.random.default_rng(seed), num_types=2)
    decode = SpanDecoder(5, no_answer, answer_types=("yes", "no"))
    found = decode(start, end, offsets, example, k=3)
    # Logits only count by their differences.
    moved = decode(start.astype("float64") + shift, end, offsets, example, k=3)
    for one, other in zip(found, moved, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-9)
    # Types with the lowest logit change nothing, except where nothing else is possible.
    never = start.copy()
    never[:, 1:3] = -np.inf
    plain = SpanDecoder(5, no_answer)(start, end, offsets, example, k=3)
    without = decode(never, end, offsets, example, k=3)
    possible = (plain.start[:, 0] >= 0) | no_answer
    for one, other in zip(plain[:4], without[:4], strict=True):
        np.testing.assert_array_equal(one[possible], other[possible])
    # A higher logit is a higher probability.
    more = start.copy()
    more[:, 1] += 1
    higher = decode(more, end, offsets, example, k=3).answer_types
    assert (higher[:, 0] >= found.answer_types[:, 0]).all()
    assert (higher[:, 1] <= found.answer_types[:, 1]).all()


@pytest.mark.parametrize("value", [-np.inf, -1e9, -1e4, 1e4])
def test_logits_of_any_size_give_numbers(value) -> None:
    offsets = np.array([[[-1, -1], [0, 1], [2, 3]]])
    for place in range(3):
        start = np.zeros((1, 3), "float32")
        start[0, place] = value
        for end in (np.zeros_like(start), start, start[:, ::-1]):
            found = DECODE(start, end, offsets, np.array([0]), k=3)
            assert np.isfinite(found.score).all()
            assert found.score.sum() + found.no_answer.item() == pytest.approx(1, abs=1e-12)
            assert (found.start >= 0).all()


def test_half_precision_is_as_good_as_its_numbers() -> None:
    case = random_case(np.random.default_rng(5))
    half = [array.astype("float16") for array in case[:2]]
    single = [array.astype("float32") for array in half]
    assert (DECODE(*half, *case[2:], k=5).score == DECODE(*single, *case[2:], k=5).score).all()


def test_no_windows_no_words_and_gaps_in_the_numbers_of_texts() -> None:
    start, end, offsets, example = random_case(np.random.default_rng(0))
    none = DECODE(start[:0], end[:0], offsets[:0], example[:0], k=2)
    assert none.score.shape == (0, 1)
    alone = DECODE(start[:1], end[:1], np.full_like(offsets[:1], -1), example[:1])
    assert alone.no_answer.tolist() == [1.0]
    apart = DECODE(start, end, offsets, 3 * example + 2, k=2)
    np.testing.assert_array_equal(apart.score, DECODE(start, end, offsets, example, k=2).score)


def negative_log_likelihood(
    case, spans, length, no_answer, temperature, sizes=None, num_types=0
) -> float:
    start, end, offsets, example = case
    loss = 0.0
    for text, masses in enumerate(
        brute_force(start, end, offsets, example, length, no_answer, temperature, sizes, num_types)
    ):
        right = set()
        for row in np.flatnonzero(example == text):
            for first, last in spans[row].tolist():
                if 0 < first <= num_types:
                    right.add(first)
                elif first > 0:
                    right.add((int(offsets[row, first, 0]), int(offsets[row, last, 1])))
        if not right and no_answer:
            right = {None}
        likelihood = sum(masses.get(span, 0.0) for span in right)
        if likelihood > 0:
            loss -= math.log(likelihood)
    return loss


# Each pair of two settings occurs at least once.
@pytest.mark.parametrize(
    ("no_answer", "truth", "parts", "num_types"),
    [
        (number % 2 == 0, truth, parts, num_types)
        for number, (truth, (parts, num_types)) in enumerate(
            itertools.product((0.4, 1.0, 3.0), ((False, 0), (True, 0), (False, 2)))
        )
    ],
)
def test_the_temperature_has_the_highest_likelihood(no_answer, truth, parts, num_types) -> None:
    rng = np.random.default_rng(2)
    case = random_case(rng, texts=200, spread=2.0, num_types=num_types)
    start, end, offsets, example = case
    sizes = random_sizes(rng, offsets) if parts else None
    # Draw answers from the true probabilities; the logits of the reader are scaled by `truth`.
    spans = np.full((len(example), 2, 2), -1)
    counted = {"word_sizes": sizes, "num_types": num_types}
    masses_of = brute_force(start, end, offsets, example, 3, no_answer, **counted)
    for text, masses in enumerate(masses_of):
        drawn = list(masses)[rng.choice(len(masses), p=list(masses.values()))]
        for row in np.flatnonzero(example == text):
            spans[row, 0] = 0
            begins, ends = offsets[row].T
            if isinstance(drawn, int):
                spans[row, 0] = drawn
            elif drawn is not None and drawn[0] in begins and drawn[1] in ends:
                # Label different pieces of the same words.
                first = np.flatnonzero(begins == drawn[0])[0]
                last = np.flatnonzero(ends == drawn[1])[-1]
                spans[row] = [[first, last], [last if first == last else first, last]]
    case = (start * truth, end * truth, offsets, example)
    types = ("yes", "no")[:num_types]
    found = fit(*case, spans, sizes=sizes, decoder=SpanDecoder(3, no_answer, answer_types=types))
    best, *others = (
        negative_log_likelihood(case, spans, 3, no_answer, found * factor, sizes, num_types)
        for factor in (1.0, 0.9, 0.99, 1.01, 1.1)
    )
    assert best < min(others)
    assert found == pytest.approx(truth, rel=0.1)


def one_word_texts(gaps: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, ...]:
    """Texts of one word with the odds `exp(gap)` against no answer."""
    logits = np.stack([np.zeros(len(gaps)), np.asarray(gaps) / 2], axis=1)
    offsets = np.tile([[-1, -1], [0, 4]], (len(gaps), 1, 1))
    spans = np.asarray(right, int)[:, None, None] * np.ones((1, 1, 2), int)
    return logits, logits, offsets, np.arange(len(gaps)), spans


# Temperatures with ratios of 1.001.
GRID = np.exp(np.linspace(np.log(0.05), np.log(20), 6_000))


def gain_on_unseen(gaps: np.ndarray, right: np.ndarray, folds: int) -> float:
    """Gain in log-likelihood of temperatures fitted on the other folds over 1.0."""
    signed = np.where(right, gaps, -np.asarray(gaps))
    losses = np.logaddexp(0, -signed[:, None] / GRID)
    before = np.logaddexp(0, -signed)
    fold = np.arange(len(signed)) % folds
    gain = 0.0
    for one in range(folds):
        best = losses[fold != one].sum(axis=0).argmin()
        gain += before[fold == one].sum() - losses[fold == one, best].sum()
    return gain


@given(st.integers(0, 10_000), st.integers(5, 40), st.sampled_from([0.3, 0.9, 1.0, 1.2, 4.0]))
def test_a_temperature_that_does_not_help_other_folds_is_1(seed, texts, truth) -> None:
    rng = np.random.default_rng(seed)
    gaps = rng.normal(scale=3, size=texts)
    right = rng.random(texts) < 1 / (1 + np.exp(-gaps / truth))
    gain = gain_on_unseen(gaps, right, 5)
    # The search of a fold ends within 0.5 % of its best temperature.
    assume(abs(gain) > 0.01)
    windows = one_word_texts(gaps, right)
    found = fit(*windows, folds=5)
    assert found == (fit(*windows) if gain > 0 else 1.0)


def test_few_texts_in_folds() -> None:
    # 3 of 4 answers are right. Without the wrong one the fitted temperature is 0.05, with which the
    # loss of the wrong one is 2 / 0.05 instead of 2: more than the others gain.
    windows = one_word_texts(np.full(4, 2.0), np.array([True, True, True, False]))
    assert math.exp(2 / fit(*windows)) == pytest.approx(3, abs=1e-3)
    assert fit(*windows, folds=5) == 1.0
    # One text cannot be cross-validated.
    assert fit(*(array[:1] for array in windows), folds=5) == 1.0


def test_too_long_answers_are_ignored() -> None:
    offsets = np.tile([[-1, -1], [0, 1], [2, 3], [4, 5]], (4, 1, 1))
    start = np.tile([0.0, 4, 0, 0], (4, 1))
    end = np.tile([0.0, 0, 4, 0], (4, 1))
    example = np.arange(4)
    right = np.array([[[1, 2]], [[1, 2]], [[3, 3]], [[1, 3]]])
    case = start, end, offsets, example
    found = fit(*case, right, SpanDecoder(2))
    assert found == fit(*(array[:3] for array in (*case, right)), SpanDecoder(2))
    assert 1 < found < 10
    nowhere = np.full((4, 1, 2), -1)
    raises("`spans` holds no right answer", fit, *case, nowhere, SpanDecoder(2))


@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=30),
    st.integers(1, 15),
)
def test_calibration_error_equals_a_plain_implementation(pairs, bins) -> None:
    expected = 0.0
    for number in range(bins):
        low, high = number, number + 1
        inside = [
            pair for pair in pairs if low < pair[0] * bins <= high or (pair[0] == 0 and number == 0)
        ]
        if inside:
            mean = sum(score for score, _ in inside) / len(inside)
            share = sum(right for _, right in inside) / len(inside)
            expected += len(inside) / len(pairs) * abs(share - mean)
    scores, right = zip(*pairs, strict=True)
    assert expected_calibration_error(scores, right, bins) == pytest.approx(expected, abs=1e-12)


def test_bad_arguments_raise() -> None:
    start, end, offsets, example = random_case(np.random.default_rng(0))
    windows, positions = start.shape
    for message, *arguments in (
        (r"`start` must have the shape \(windows, positions\)", start[0], end, offsets, example),
        (rf"`end` must .* \({windows}, {positions}", start, end[:, 1:], offsets, example),
        (rf"`offsets` must .*{positions}, 2\), because", start, end, offsets[..., 0], example),
        (rf"`example` must have the shape \({windows},\)", start, end, offsets, example[1:]),
        ("`example` must be asc.* 3 before a lower", start, end, offsets, example[::-1]),
    ):
        raises(message, DECODE, *arguments)
    for bad in (np.nan, np.inf):
        broken = end.copy()
        broken[1, 2] = bad
        message = rf"^`end` must not hold NaN or infinity. Received: {bad} at \[1, 2\]"
        raises(message, DECODE, start, broken, offsets, example)
    case = start, end, offsets, example
    raises(r"^`k` must be a positive integer\. Received: k=0\.$", DECODE, *case, k=0)
    for value in (0.0, math.nan):
        message = "^`temperature` must be a positive number. Received"
        raises(message, SpanDecoder, temperature=value)
    message = rf"`word_sizes` must have the shape \({windows}, {positions}\), because"
    raises(message, DECODE, *case, word_sizes=np.ones(positions))
    for size in (1.5, np.nan):
        message = rf"`word_sizes` must be between 0 and 1.*Received: {size}"
        raises(message, DECODE, *case, word_sizes=np.full(start.shape, size))


def test_a_decoder_is_made_again_of_its_config() -> None:
    made = SpanDecoder(7, True, 0.25, 1.5, whole_words=False, answer_types=["no"])
    assert SpanDecoder.from_config(made.get_config()) == made
    # A file of an earlier version has fewer settings.
    assert SpanDecoder.from_config({"no_answer": True}) == SpanDecoder(no_answer=True)
