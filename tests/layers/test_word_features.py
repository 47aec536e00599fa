"""`WordEmbedding`: what it looks up and masks."""

import numpy as np
from keras.ops import convert_to_numpy

from keras_qa.layers.word_features import WordEmbedding


def test_word_embedding_looks_up_and_masks() -> None:
    layer = WordEmbedding(5, 3)
    ids = np.array([[4, 2, 0]])
    np.testing.assert_array_equal(
        convert_to_numpy(layer(ids))[0], layer.get_weights()[0][[4, 2, 0]]
    )
    assert convert_to_numpy(layer.compute_mask(ids)).tolist() == [[True, True, False]]
    dropped = convert_to_numpy(WordEmbedding(5, 300, dropout=0.5)(ids, training=True))
    assert 0.3 < (dropped == 0).mean() < 0.7


def test_a_frozen_word_embedding_stays_frozen_in_its_config() -> None:
    layer = WordEmbedding(5, 3, trainable=False)
    layer.build((None, None))
    twin = WordEmbedding.from_config(layer.get_config())
    twin.build((None, None))
    assert layer.trainable_weights == twin.trainable_weights == []
    assert len(twin.weights) == 1
