"""Training on what is answered wrong: which rows an epoch draws, and what they weigh."""

import types

import keras
import numpy as np
import pytest
from small_models import same_weights

import keras_qa
from keras_qa.engine.hard_examples import LEAST_WEIGHT, HardExampleSampling
from keras_qa.layers import SentenceEncoder, answer_head
from keras_qa.models import QAModel

CLASSES = 5


def feed(rows: int = 100, seed: int = 0):
    """Texts of two lengths, so that they come in two buckets, questions and labels."""
    rng = np.random.default_rng(seed)
    text = rng.integers(1, 20, (rows, 24), dtype="int32")
    text[: rows // 2, 4:] = 0
    question = rng.integers(1, 20, (rows, 4), dtype="int32")
    return [text, question], rng.integers(0, CLASSES, rows, dtype="int32")


def classifier(loss: str = "sparse_categorical_crossentropy"):
    """A model that compiles soon, and learns nothing: after an epoch it answers as before."""
    inputs = [keras.Input((None,), dtype="int32", name=name) for name in ("text", "question")]
    encoder = SentenceEncoder(20, 8, "positional")
    vectors = [encoder(item) for item in inputs]
    model = QAModel(inputs, answer_head(CLASSES)(keras.layers.Add()(vectors)))
    model.compile(keras.optimizers.SGD(0.0), loss)
    return model


def test_chances_are_proportional_to_weights() -> None:
    sampling = HardExampleSampling(0.25)
    sampling.weights = np.array([0.1, 0.2, 0.3, 0.4])
    # Of four batches of one row an epoch has one.
    sampling.batches = types.SimpleNamespace(batch_size=1)
    random = np.random.default_rng(0)
    seen = [sampling._draw(random.permutation(4), random).tolist() for _ in range(4_000)]
    counts = np.bincount(np.concatenate(seen))
    np.testing.assert_allclose(counts / 4_000, sampling.weights, atol=0.025)


def test_weights_are_the_chances_of_wrong_answers() -> None:
    inputs, labels = feed()
    model = classifier()
    # Some answers are sure to be right, others to be wrong.
    kernel, bias = model.layers[-1].get_weights()
    bias[1] = 9.0
    model.layers[-1].set_weights([kernel, bias])
    sampling = HardExampleSampling(0.4)
    model.fit(inputs, labels, batch_size=10, callbacks=[sampling], verbose=0)
    chances = model.predict(inputs, verbose=0)[np.arange(100), labels]
    wanted = np.maximum(1.0 - chances, LEAST_WEIGHT)
    seen = sampling.batches.order
    assert len(seen) == 40
    assert wanted.min() == np.float32(LEAST_WEIGHT)
    assert wanted.max() > 0.9
    np.testing.assert_allclose(sampling.weights[seen], wanted[seen], atol=1e-6)
    assert (np.delete(sampling.weights, seen) == 1).all()


def test_later_epochs_follow_the_weights() -> None:
    inputs, labels = feed(80)
    sampling, rows = HardExampleSampling(0.5), []
    seen = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: rows.append(sampling.batches.order)
    )
    sampling.weights = np.where(np.arange(80) % 2, 1.0, 1e-6).astype("float32")
    model = classifier()
    model.fit(inputs, labels, batch_size=10, epochs=2, callbacks=[seen, sampling], verbose=0)
    assert sorted(rows[0]) == list(range(1, 80, 2))
    # They weigh no more than 1 still, and the others as little as before.
    assert sorted(rows[1]) == list(range(1, 80, 2))
    assert (sampling.weights[::2] == np.float32(1e-6)).all()


@pytest.mark.parametrize("kind", ["one-hot", "support"])
def test_labels_of_other_forms(kind: str) -> None:
    inputs, labels = feed(40)
    if kind == "one-hot":
        model = classifier(loss="categorical_crossentropy")
        answers = labels
    else:
        model = keras_qa.models.memory_network(
            20, answer_vocabulary_size=CLASSES, embedding_dim=8, num_hops=1, supporting_facts=True
        )
        model.optimizer.learning_rate = 0.0
        inputs[0] = inputs[0].reshape(40, 6, 4)
        answers = {"answer": labels, "support": np.zeros((40, 6), "int32")}
    sampling = HardExampleSampling(1.0)
    # The last batch is smaller.
    model.fit(inputs, answers, batch_size=12, callbacks=[sampling], verbose=0)
    chances = model.predict(inputs, verbose=0)
    chances = chances if kind == "one-hot" else chances["answer"]
    wanted = np.maximum(1.0 - chances[np.arange(40), labels], LEAST_WEIGHT)
    np.testing.assert_allclose(sampling.weights, wanted, atol=1e-6)


def test_what_cannot_be_chosen_from() -> None:
    inputs, labels = feed(40)
    model = classifier()
    model.optimizer.learning_rate = 0.1
    before = model.get_weights()
    names = {"text": inputs[0], "question": inputs[1]}
    for data in (
        {"x": (batch for batch in [(names, labels)])},
        {"x": inputs, "y": labels, "shuffle": False},
    ):
        with pytest.raises(ValueError, match=r"^`HardExampleSampling` needs arrays, "):
            model.fit(**data, callbacks=[HardExampleSampling(0.5)], verbose=0)
    model.compile("adam", "mean_squared_error")
    with pytest.raises(
        ValueError, match=r"Sampling` needs arrays, .* loss 'mean_squared_error'\.$"
    ):
        model.fit(inputs, np.eye(CLASSES)[labels], callbacks=[HardExampleSampling(0.5)], verbose=0)
    assert same_weights(model, before)
