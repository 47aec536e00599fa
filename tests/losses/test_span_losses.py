"""`SpanLoss` by hand."""

import numpy as np
import pytest
from keras.ops import convert_to_numpy

from keras_qa.losses import SpanLoss

LOGITS = np.log(np.array([[1, 2, 5, 2], [4, 1, 1, 2]], "float32"))
MASKED = np.where(np.arange(4) == 3, np.float32(-1e9), LOGITS)


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
