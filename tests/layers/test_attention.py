"""Attention between a text and a question."""

import numpy as np
from keras.ops import convert_to_numpy

from keras_qa.layers.attention import AlignedQuestionEmbedding, BidirectionalAttentionFlow


def test_attention_to_an_empty_question() -> None:
    # The vectors of padding are not zero.
    text, question = np.ones((1, 2, 3), "float32"), np.full((1, 2, 3), 5.0, "float32")
    masks = [np.ones((1, 2), bool), np.zeros((1, 2), bool)]
    aligned = AlignedQuestionEmbedding()([text, question], mask=masks)
    np.testing.assert_array_equal(convert_to_numpy(aligned), 0.0)
    flow = convert_to_numpy(BidirectionalAttentionFlow()([text, question], mask=masks))
    np.testing.assert_allclose(flow[0], [[1.0] * 3 + [0.0] * 6 + [1.0] * 3] * 2, atol=1e-6)
