"""Models over stories on each backend: padding, sorted batches, losses, saving, evidence."""

import keras
import numpy as np
import pytest
from as_keras import keras_model
from small_models import memory, same_weights, stories, universal, untraced

import keras_qa
from keras_qa.engine.copies import evidence_model, with_evidence
from keras_qa.engine.graph import model_inputs
from keras_qa.layers.order import TemporalEncoding
from keras_qa.losses.span_losses import SupportLoss

# Of each factory one model, with one output and with two. The long form has the other two.
MODELS = {
    "memory": memory,
    "universal with facts": lambda: universal(supporting_facts=True),
    "universal": universal,
    "memory with facts": lambda: memory(supporting_facts=True),
}
every_model = pytest.mark.parametrize(
    "name",
    [*list(MODELS)[:2], *(pytest.param(name, marks=pytest.mark.full) for name in list(MODELS)[2:])],
)
made: dict[str, keras_qa.models.QAModel] = {}


@pytest.fixture
def story_model(name: str) -> keras_qa.models.QAModel:
    """A model that is made once for all tests."""
    if name not in made:
        made[name] = MODELS[name]()
    return made[name]


def targets(name: str, labels, facts):
    return {"answer": labels, "support": facts} if "facts" in name else labels


@every_model
def test_padding_never_counts(story_model, name: str) -> None:
    assert all(item.ignores_padding for item in model_inputs(story_model))
    feed, _, _ = stories()
    wider = [np.pad(feed[0], [(0, 0), (0, 3), (0, 2)]), np.pad(feed[1], [(0, 0), (0, 3)])]
    expected = keras_model(story_model).predict_on_batch(feed)
    for outputs in (
        story_model.predict(feed, 8, verbose=0),
        story_model.predict(wider, 8, verbose=0),
        story_model.predict_on_batch(wider),
    ):
        for one, other in zip(*map(keras.tree.flatten, (outputs, expected)), strict=True):
            np.testing.assert_allclose(one[:, : other.shape[1]], other, atol=1e-5)
            assert not one[:, other.shape[1] :].any()


@every_model
def test_evidence_is_the_models_own(story_model, name: str) -> None:
    feed, _, _ = stories(8)
    there = feed[0].any(axis=-1)
    found = evidence_model(story_model).predict(feed, 8, verbose=0)
    outputs = story_model.predict(feed, 8, verbose=0)
    if isinstance(outputs, dict):
        np.testing.assert_allclose(found["answer"], outputs["answer"], atol=1e-5)
        np.testing.assert_allclose(found["support"], outputs["support"], atol=1e-5)
    else:
        np.testing.assert_allclose(found["answer"], outputs, atol=1e-5)
        np.testing.assert_allclose(found["support"].sum(axis=1), 1.0, atol=1e-5)
    assert not found["attention"][~np.stack([there] * 2, axis=1)].any()
    if "memory" in name:
        np.testing.assert_allclose(found["attention"].sum(axis=2), 1.0, atol=1e-5)
    assert not found["support"][~there].any()


@every_model
def test_fitted_saved_and_loaded_is_the_same(name: str, tmp_path) -> None:
    model = MODELS[name]()
    feed, labels, facts = stories(8)
    before = model.get_weights()
    with untraced(model):
        model.fit(feed, targets(name, labels, facts), verbose=0)
    assert not same_weights(model, before)
    model.save(tmp_path / "stories.keras")
    loaded = keras.saving.load_model(tmp_path / "stories.keras")
    outputs = [keras.tree.flatten(one.predict(feed, verbose=0)) for one in (model, loaded)]
    for one, other in zip(*outputs, strict=True):
        np.testing.assert_array_equal(one, other)


def test_support_loss_adds_up_over_sentences() -> None:
    chances = np.array([[0.5, 0.25, 0.0], [1.0, 0.0, 0.0]], "float32")
    facts = np.array([[1, 0, 0], [1, 0, 0]], "float32")
    expected = (-np.log(0.5) - np.log(0.75)) / 2
    for width in (1, 2, 3, 6):
        labels = np.pad(facts[:, :width], [(0, 0), (0, max(width - 3, 0))])
        assert float(SupportLoss()(labels, chances)) == pytest.approx(expected, abs=1e-5)


def test_noise_moves_all_sentences_but_the_last() -> None:
    layer = TemporalEncoding(40, noise=0.5)
    sentences = np.ones((200, 10, 1), "float32")
    mask = np.arange(10) < np.arange(200)[:, None] % 10 + 1
    layer(sentences)
    layer.set_weights([np.arange(40.0)[:, None]])

    def ages(training: bool) -> np.ndarray:
        outputs = layer(sentences, mask=mask, training=training)
        return np.where(mask, keras.ops.convert_to_numpy(outputs)[..., 0] - 1, -1)

    still = np.where(mask, mask.sum(axis=1, keepdims=True) - 1 - np.arange(10), -1)
    np.testing.assert_array_equal(ages(False), still)
    moved = ages(True)
    assert (moved[still == 0] == 0).all()
    assert (moved >= still)[mask].all()
    assert (np.diff(moved, axis=1)[mask[:, 1:]] < 0).all()
    assert (moved[still == 9] - 9).mean() == pytest.approx(4.5, abs=1.5)
    assert not np.array_equal(ages(True), moved)


def test_nothing_but_padding_trains_to_finite_weights() -> None:
    model = universal(supporting_facts=True)
    empty = [np.zeros((2, 3, 4), "int32"), np.zeros((2, 2), "int32")]
    targets = {"answer": [1, 2], "support": np.zeros((2, 3))}
    with untraced(model):
        losses = model.train_on_batch(empty, targets)
    assert np.isfinite(losses).all()
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


def test_evidence_follows_the_weights() -> None:
    model = memory()
    before = with_evidence(model)
    assert with_evidence(model) is before
    feed, labels, _ = stories(8)
    with untraced(model):
        model.fit(feed, labels, verbose=0)
    after = with_evidence(model)
    assert after is not before
    found = after.predict(feed, verbose=0)["answer"]
    np.testing.assert_allclose(found, model.predict(feed, verbose=0), atol=1e-5)
