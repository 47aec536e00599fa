"""The initial weights of layers for stories."""

import keras
import numpy as np
import pytest

from keras_qa import layers
from keras_qa.layers.order import TemporalEncoding


@pytest.mark.parametrize("roles", [1, 4])
def test_word_starts_out_as_much_the_same_wherever_it_stands(roles: int) -> None:
    keras.utils.set_random_seed(0)
    encoder = layers.SentenceEncoder(200, 64, "roles", num_roles=roles)

    def made_of(place: int) -> np.ndarray:
        """What a word instead of another adds to a sentence of four."""
        ids = np.full((2, 198, 4), 1)
        ids[0, :, place], ids[1, :, place] = np.arange(2, 200), np.roll(np.arange(2, 200), 1)
        vectors = keras.ops.convert_to_numpy(encoder(ids))
        return vectors[0] - vectors[1]

    one, other = made_of(0), made_of(3)
    alike = np.sum(one * other) / np.sqrt(np.sum(one * one) * np.sum(other * other))
    places = keras.ops.convert_to_numpy(encoder.places)
    np.testing.assert_array_equal(places[..., 0], 0.5)
    # The matrices are noise of the size of one, and the first role's has an identity in it.
    first, fourth = places[0, 0] + places[1, 3], places[0, 3] + places[1, 0]
    sizes = np.sqrt((1 + first @ first) * (1 + fourth @ fourth))
    assert alike == pytest.approx((1 + first @ fourth) / sizes, abs=0.05)


def test_places_start_out_as_waves() -> None:
    for width in (5, 6):
        layer = TemporalEncoding(40)
        layer.build((None, None, width))
        # From one radian a sentence down to a hundredth of one.
        waves = [f(39 * rate) for rate in (1.0, 0.1, 0.01) for f in (np.sin, np.cos)]
        places = keras.ops.convert_to_numpy(layer.places)
        np.testing.assert_allclose(places[39], 0.42 * np.array(waves[:width]), atol=1e-6)
