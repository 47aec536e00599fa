"""Training on 1, 2 and 4 devices has the same results."""

from __future__ import annotations

import device_cases
import keras
import numpy as np
import pytest
from command_line import error_line
from device_cases import BATCH_SIZE, EPOCHS, ROWS, classifier, memory_network
from recipe_cases import SMALL, STORIES, Stop, StopAt, assert_same_run, small
from small_examples import SPANS
from small_models import padded_batch, small_model, stories

import keras_qa
from keras_qa.cli import main
from keras_qa.engine.compiling import recompile
from keras_qa.engine.execution import training_on

MODELS = [*device_cases.MODELS, memory_network]


@pytest.fixture
def folders(tmp_path):
    """A new folder at each call."""
    names = iter("abcdef")

    def make():
        folder = tmp_path / next(names)
        folder.mkdir()
        return folder

    return make


def part(data, rows):
    return keras.tree.map_structure(lambda array: array[rows], data)


def trained(make, folder, devices, optimizer, weighted):
    """Trains on a number of devices. Returns weights, outputs, logs and scores."""
    with training_on(devices, list):
        keras.utils.set_random_seed(0)
        model, x, y = make(folder)
        recompile(model, optimizer())
        weights = np.random.default_rng(1).integers(0, 3, ROWS) / 2 if weighted else None
        np.random.seed(0)
        held_out = part((x, y), slice(70))
        history = model.fit(
            x,
            y,
            batch_size=BATCH_SIZE,
            epochs=EPOCHS,
            sample_weight=weights,
            validation_data=held_out,
            verbose=0,
        ).history
        scores = model.evaluate(x, y, batch_size=50, sample_weight=weights, verbose=0)
        outputs = keras.tree.flatten(model.predict(x, verbose=0))
    return model.get_weights(), outputs, history, np.array(scores)


@pytest.mark.parametrize(
    ("make", "weighted"), [(classifier, False), *((make, True) for make in MODELS)]
)
def test_same_weights_on_1_2_and_4_devices(make, weighted, folders) -> None:
    def run(devices):
        return trained(make, folders(), devices, lambda: keras.optimizers.SGD(0.02), weighted)

    weights, outputs, history, scores = run(1)
    for devices in (2, 4):
        others = run(devices)
        for got, expected in zip(others[0], weights, strict=True):
            np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5)
        for got, expected in zip(others[1], outputs, strict=True):
            np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5)
        assert others[2].keys() == history.keys()
        for name, values in history.items():
            np.testing.assert_allclose(others[2][name], values, rtol=1e-5, err_msg=name)
        np.testing.assert_allclose(others[3], scores, rtol=1e-5)


@pytest.mark.parametrize("clip", [None, 0.1])
def test_same_losses_with_adam(clip, folders) -> None:
    def run(devices):
        def optimizer():
            return keras.optimizers.Adam(0.01, global_clipnorm=clip)

        return trained(classifier, folders(), devices, optimizer, weighted=True)

    _, outputs, history, _ = run(1)
    _, others, again, _ = run(4)
    np.testing.assert_allclose(others[0], outputs[0], rtol=0, atol=1e-4)
    for name, values in history.items():
        np.testing.assert_allclose(again[name], values, rtol=1e-4, atol=1e-6, err_msg=name)


class RowCounts(keras.metrics.Metric):
    """Counts how often each label was seen."""

    def __init__(self, labels, name="rows"):
        super().__init__(name=name)
        self.labels = labels
        self.counts = self.add_variable((labels,), "zeros", name="counts")

    def update_state(self, y_true, y_pred, sample_weight=None):
        labels = keras.ops.cast(keras.ops.reshape(y_true, (-1,)), "int32")
        self.counts.assign_add(keras.ops.sum(keras.ops.one_hot(labels, self.labels), axis=0))

    def result(self):
        return keras.ops.convert_to_tensor(self.counts)

    def reset_state(self):
        self.counts.assign(keras.ops.zeros(self.labels))


@pytest.mark.parametrize("rows", [130, 3])
def test_each_row_is_seen_once(rows) -> None:
    with training_on(4, list):
        model = keras_qa.models.memory_network(12, None, rows, embedding_dim=8, num_hops=1)
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=[RowCounts(rows)])
    x, _, _ = stories(rows)
    history = model.fit(x, np.arange(rows), batch_size=32, epochs=2, verbose=0).history
    np.testing.assert_array_equal(history["rows"], np.ones((2, rows)))
    scores = model.evaluate(x, np.arange(rows), batch_size=50, verbose=0, return_dict=True)
    np.testing.assert_array_equal(scores["rows"], np.ones(rows))


def test_single_batches() -> None:
    x, y = padded_batch(8)
    results = []
    for devices in (1, 4):
        with training_on(devices, list):
            model = small_model(optimizer=keras.optimizers.SGD(0.1))
        losses = [model.train_on_batch(*part((x, y), slice(n)))[0] for n in (8, 6)]
        losses += [model.test_on_batch(*part((x, y), slice(6)))[0]]
        results.append((losses, model.predict_on_batch(part(x, slice(6)))))
    for got, expected in zip(*results, strict=True):
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5)


def test_a_reader_that_is_fitted_on_texts() -> None:
    results = []
    for devices in (1, 4):
        with training_on(devices, list):
            options = {"units": 8, "embedding_dim": 8, "dropout": 0.0}
            options["optimizer"] = keras.optimizers.SGD(0.5)
            qa = keras_qa.QuestionAnswerer("span_reader", model_options=options, seed=1)
            qa.fit(SPANS, validation_data=SPANS[:7], epochs=5, batch_size=6, verbose=0)
            answers = qa.answer(SPANS)
        results.append([(best.text, best.start) for best in answers])
        results.append([best.score for best in answers])
        results.append(qa.evaluate(SPANS))
    texts, scores, metrics, *others = results
    assert others[0] == texts
    np.testing.assert_allclose(others[1], scores, rtol=0, atol=1e-4)
    assert others[2] == metrics


def test_train_resumed_with_the_same_and_another_number_of_devices(tmp_path) -> None:
    options = {**SMALL, "dropout": 0.0, "noise": 0.0}
    out = tmp_path / "qa.keras"

    def interrupted(devices):
        with pytest.raises(Stop):
            small(out=out, model_options=options, devices=2, callbacks=[StopAt(2)])
        done = small(out=out, model_options=options, devices=devices, resume=True)
        out.unlink()
        return done

    unbroken = small(model_options=options, devices=2)
    assert_same_run(interrupted(2), unbroken)
    for done in (interrupted(4), interrupted(None)):
        losses = [run.runs[0].history["val_loss"] for run in (done, unbroken)]
        np.testing.assert_allclose(*losses, rtol=0, atol=1e-5)
        examples = STORIES[:8]
        answers, expected = (run.answerer.answer(examples) for run in (done, unbroken))
        assert [best.text for best in answers] == [best.text for best in expected]
        scores = [[best.score for best in part] for part in (answers, expected)]
        np.testing.assert_allclose(*scores, rtol=0, atol=1e-4)
        assert done.answerer.evaluate(examples) == unbroken.answerer.evaluate(examples)


def test_the_distribution_is_undone(tmp_path) -> None:
    with pytest.raises(Stop):
        small(devices=2, callbacks=[StopAt(0)])
    done = small(devices=2, out=tmp_path / "qa.keras", recipe={"epochs": 1, "batch_size": 16})
    if keras.config.backend() == "jax":
        assert keras.distribution.distribution() is None
    else:
        import tensorflow as tf

        assert not tf.distribute.has_strategy()
    # The answerer is used, trained and saved without the distribution.
    before = done.answerer.answer(STORIES[:3])
    loaded = keras_qa.load(tmp_path / "qa.keras").answer(STORIES[:3])
    assert [best.text for best in before] == [best.text for best in loaded]
    x = [np.ones((3, 2, 4), "int32"), np.ones((3, 4), "int32")]
    done.answerer.model_.fit(x, np.zeros(3, "int32"), verbose=0)


def test_too_many_devices() -> None:
    name = {"jax": "JAX", "tensorflow": "TensorFlow"}[keras.config.backend()]
    with pytest.raises(ValueError, match=f"^`devices` is 5, but {name} has 4: .*CPU") as error:
        small(devices=5)
    assert len(str(error.value)) <= 300


def test_train_command(tmp_path, capsys) -> None:
    output = tmp_path / "qa.keras"
    command = ["train", "--data=simulated", "--simulate=60", "--model=memory_network"]
    command += ["--epochs=1", f"--output={output}"]
    assert "`devices` is 9, but " in error_line(capsys, *command, "--devices=9")
    assert main([*command, "--devices=4"]) == 0
    assert output.exists()
