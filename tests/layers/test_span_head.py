"""`SpanHead` and `TextPositions`: masks, and the positions of the text."""

import numpy as np
import pytest
from keras.ops import convert_to_numpy
from layer_cases import POSITIONS

from keras_qa import layers
from keras_qa.layers.span_head import TextPositions


@pytest.mark.parametrize("no_answer", ["learned", "first"])
def test_masked_positions_have_the_lowest_logit(no_answer: str) -> None:
    head = layers.SpanHead(no_answer)
    free = [convert_to_numpy(part) for part in head(POSITIONS)]
    mask = np.array([[0, 1, 0, 1], [1, 1, 1, 0], [0, 0, 0, 0]], bool)
    expected = mask if no_answer == "first" else np.pad(mask, [(0, 0), (1, 0)])
    # Position 0 stands for no answer, which is always possible.
    expected = expected | (np.arange(expected.shape[1]) == 0)
    for logits, open_logits in zip(head(POSITIONS, mask=mask), free, strict=True):
        wanted = np.where(expected, open_logits, np.float32(-1e9))
        np.testing.assert_array_equal(convert_to_numpy(logits), wanted)


def test_text_positions_follow_the_separators() -> None:
    roberta = TextPositions([2, 2])
    ids = np.array([[0, 9, 2, 2, 7, 8, 2, 1], [0, 9, 9, 2, 2, 2, 1, 1]])
    mask = np.array([[1] * 7 + [0], [1] * 6 + [0, 0]])
    assert convert_to_numpy(roberta([ids, mask])).astype(int).tolist() == [
        [0, 0, 0, 0, 1, 1, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0],
    ]
    assert roberta.get_config()["separators"] == [2, 2]
    others = TextPositions([2, 9])
    assert convert_to_numpy(others([ids, mask > 0])).astype(int).tolist() == [
        [0, 0, 0, 0, 1, 1, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0],
    ]
    with pytest.raises(ValueError, match="`separators` must contain at least one id"):
        TextPositions([])
