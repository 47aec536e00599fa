"""`SpanLoss` by hand, and training metrics of spans beside a search over all spans."""

import numpy as np
import pytest
import span_reference
from hypothesis import given, settings
from hypothesis import strategies as st
from keras.ops import convert_to_numpy

from keras_qa.losses import SpanExactMatch, SpanF1, SpanLoss
from keras_qa.losses.span_losses import best_span

LOGITS = np.log(np.array([[1, 2, 5, 2], [4, 1, 1, 2]], "float32"))
MASKED = np.where(np.arange(4) == 3, np.float32(-1e9), LOGITS)
spans = st.tuples(st.integers(0, 7), st.integers(0, 7)).map(sorted).map(tuple)
# Position 0 is a span of its own.
golds = spans.map(lambda span: span if span[0] else (0, 0))


@pytest.mark.parametrize(
    ("labels", "marginal", "logits", "expected"),
    [
        ([2, 0], False, LOGITS, [5 / 10, 4 / 8]),
        ([[2, 3], [0, -1]], False, LOGITS, [5 / 10, 4 / 8]),
        ([[2, 3], [0, -1]], True, LOGITS, [7 / 10, 4 / 8]),
        ([[2, 2], [1, 3]], True, LOGITS, [5 / 10, 3 / 8]),
        ([[2, 1], [0, -1]], True, MASKED, [7 / 8, 4 / 6]),
    ],
)
def test_span_loss_is_the_log_of_the_correct_probability(
    labels, marginal: bool, logits, expected
) -> None:
    loss = SpanLoss(marginal, reduction="none")
    found = convert_to_numpy(loss(np.array(labels), logits))
    np.testing.assert_allclose(found, -np.log(expected), atol=1e-5)
    assert SpanLoss.from_config(loss.get_config()).marginal is marginal


@pytest.mark.parametrize("metric", [SpanExactMatch, SpanF1])
def test_an_answer_type_is_a_span_of_its_own(metric) -> None:
    # The start at position 1 and the end at 3 are the highest.
    start, end = np.array([[0, 5, 0, 2]], "float32"), np.array([[0, 1, 0, 3]], "float32")
    y_pred, y_true = {"start": start, "end": end}, {"start": np.array([1]), "end": np.array([1])}
    for num_types, expected in ((1, 1.0), (0, 0.0 if metric is SpanExactMatch else 0.5)):
        made = metric.from_config(metric(num_types=num_types).get_config())
        made.update_state(y_true, y_pred)
        assert float(made.result()) == pytest.approx(expected)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_span_metrics_equal_a_search_over_all_spans(data) -> None:
    right = data.draw(st.lists(st.lists(golds, min_size=1, max_size=3), min_size=4, max_size=4))
    rng = np.random.default_rng(data.draw(st.integers(0, 10_000)))
    start, end = rng.normal(size=(2, 4, 8)).astype("float32")
    weights = rng.uniform(0.1, 1, 4).astype("float32")
    labels = np.full((4, 3, 2), -1)
    for row, answers in enumerate(right):
        labels[row, : len(answers)] = answers
    best = [span_reference.best_span(*logits, 3) for logits in zip(start, end, strict=True)]
    first, last = (convert_to_numpy(part).tolist() for part in best_span(start, end, 3))
    assert list(zip(first, last, strict=True)) == best
    y_true = {"start": labels[..., 0], "end": labels[..., 1]}
    y_pred = {"start": start, "end": end}
    for metric, score in (
        (SpanExactMatch(3), lambda span, gold: float(span == gold)),
        (SpanF1(3), span_reference.overlap),
    ):
        scores = [
            max(score(span, gold) for gold in answers)
            for span, answers in zip(best, right, strict=True)
        ]
        metric.update_state(y_true, y_pred)
        assert float(metric.result()) == pytest.approx(np.mean(scores), abs=1e-6)
        metric.reset_state()
        metric.update_state(y_true, y_pred, weights)
        assert float(metric.result()) == pytest.approx(np.average(scores, weights=weights))
