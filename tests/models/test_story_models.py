"""Models over stories: what they start from, what they tell apart, what their answers rest on."""

import keras
import numpy as np
import pytest
from small_models import STORY_QUESTION as QUESTION
from small_models import STORY_TEXT as TEXT
from small_models import memory, stories, universal

import keras_qa
from keras_qa import layers
from keras_qa.models.copies import evidence_model, with_evidence

MODELS = {
    "universal": universal,
    "memory": memory,
    "universal with facts": lambda: universal(supporting_facts=True),
    "memory with facts": lambda: memory(supporting_facts=True, tying="layer"),
}


@pytest.fixture(scope="module")
def untrained() -> dict[str, keras_qa.models.QAModel]:
    keras.utils.set_random_seed(0)
    return {name: make() for name, make in MODELS.items()}


every_model = pytest.mark.parametrize("name", MODELS)


def answers(model: keras.Model, feed) -> np.ndarray:
    outputs = model.predict(feed, verbose=0)
    return outputs["answer"] if isinstance(outputs, dict) else outputs


@every_model
def test_order_of_words_and_of_sentences_counts(untrained, name: str) -> None:
    base = answers(untrained[name], [TEXT, QUESTION])[0]
    words = answers(untrained[name], [TEXT[:, :, [1, 0, 2]], QUESTION])[0]
    sentences = answers(untrained[name], [TEXT[:, ::-1], QUESTION])[0]
    assert np.abs(words - base).max() > 1e-5
    assert np.abs(sentences - base).max() > 1e-5


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
        layer = layers.TemporalEncoding(40)
        layer.build((None, None, width))
        # From one radian a sentence down to a hundredth of one.
        waves = [f(39 * rate) for rate in (1.0, 0.1, 0.01) for f in (np.sin, np.cos)]
        places = keras.ops.convert_to_numpy(layer.places)
        np.testing.assert_allclose(places[39], 0.42 * np.array(waves[:width]), atol=1e-6)


def test_evidence_follows_the_weights() -> None:
    model = memory()
    before = with_evidence(model)
    assert with_evidence(model) is before
    feed, labels, _ = stories(8)
    model.fit(feed, labels, verbose=0)
    after = with_evidence(model)
    assert after is not before
    np.testing.assert_allclose(answers(after, feed), answers(model, feed), atol=1e-5)


def test_models_without_attention_have_no_evidence() -> None:
    with pytest.raises(NotImplementedError, match="must have one layer that returns its attention"):
        evidence_model(keras_qa.models.answer_classifier(9, 9, 3))
