"""A last batch that is smaller than the others, and models whose rows are independent."""

import functools

import keras
import numpy as np
import pytest
from as_keras import ROWS, small, twins, without_loops
from small_models import batch, make_variables, padded_batch, reader_without_loops

import keras_qa
from keras_qa.engine.graph import rows_are_independent

# Two batches of `ROWS` rows, and a last one with half as many.
SOME, EPOCHS = 20, 3
WEIGHTS = np.linspace(0, 2, SOME)


def recurrent() -> keras_qa.models.QAModel:
    model = small()
    return keras_qa.models.QAModel(model.inputs, model.outputs)


def compile_classifier(model: keras.Model) -> None:
    model.compile(
        keras.optimizers.SGD(0.1, momentum=0.5),
        "sparse_categorical_crossentropy",
        metrics=["accuracy", keras.metrics.SparseTopKCategoricalAccuracy(2)],
        weighted_metrics=["accuracy"],
    )


def test_a_smaller_last_batch_is_evaluated_as_in_keras() -> None:
    models = twins(recurrent)
    for model in models:
        compile_classifier(model)

    def assert_alike(rows: int, weights=None, make=batch) -> None:
        feed, labels = make(rows, seed=3)
        given = {"sample_weight": weights, "batch_size": ROWS, "verbose": 0, "return_dict": True}
        ours = models[0].evaluate(feed, labels, **given)
        expected = models[1].evaluate(feed, labels, **given)
        assert ours.keys() == expected.keys()
        for name, value in expected.items():
            np.testing.assert_allclose(ours[name], value, rtol=1e-6, atol=1e-6)

    assert_alike(SOME, make=padded_batch)
    for given in (WEIGHTS, np.where(np.arange(SOME) < 2 * ROWS, WEIGHTS, 0.0)):
        assert_alike(SOME, given)
    assert_alike(5, WEIGHTS[:5])
    feed, labels = batch(5)
    np.testing.assert_allclose(*(m.test_on_batch(feed, labels) for m in models), rtol=1e-6)


def two_answers() -> keras_qa.models.QAModel:
    base = without_loops()
    vectors = base.get_layer("features").input
    heads = [keras_qa.layers.AnswerHead(7, name=name) for name in ("first", "second")]
    outputs = [head(vector) for head, vector in zip(heads, vectors, strict=True)]
    return keras_qa.models.QAModel(base.inputs, outputs)


def reader() -> keras_qa.models.QAModel:
    return reader_without_loops(50)


def data_of(make) -> tuple:
    """A feed of a model, its labels, and its losses."""
    (text, question), labels = batch(SOME, seed=3)
    if make is not reader:
        losses = ["sparse_categorical_crossentropy"] * 2
        return [text, question], [labels, 6 - labels] if make is two_answers else labels, losses
    starts = np.where(labels < 2, 0, labels)
    span_loss = keras_qa.losses.SpanLoss()
    spans = {"start": starts, "end": np.minimum(starts + labels % 2, 9)}
    return [text, question], spans, {"start": span_loss, "end": span_loss}


@pytest.mark.parametrize("make", [without_loops, two_answers, reader])
def test_a_smaller_last_batch_trains_as_in_keras(make) -> None:
    model, plain = twins(make)
    feed, labels, losses = data_of(make)
    options = {"batch_size": ROWS, "verbose": 0}
    weights = WEIGHTS if make is without_loops else None
    found = []
    for one in (model, plain):
        if make is without_loops:
            compile_classifier(one)
        else:
            one.compile(keras.optimizers.SGD(0.1, momentum=0.5), losses)
        make_variables(one, feed, labels)
        fit = {"sample_weight": weights, "epochs": EPOCHS, "shuffle": False, **options}
        history = one.fit(feed, labels, **fit).history
        found.append((history, one.evaluate(feed, labels, return_dict=True, **options)))
    for ours, expected in zip(*found, strict=True):
        for name, values in expected.items():
            np.testing.assert_allclose(ours[name], values, rtol=2e-6, atol=1e-6, err_msg=name)
    for got, expected in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-6)
    if make is reader:
        # Positions are measured by means over rows, which are alike in one batch.
        whole = model.evaluate(feed, labels, batch_size=SOME, verbose=0, return_dict=True)
        assert 0 < whole["f1"] < 1
        for name in ("exact_match", "f1"):
            np.testing.assert_allclose(found[0][1][name], whole[name], rtol=1e-6)
    # A batch of another size, and what comes after, count as they are.
    few = keras.tree.map_structure(lambda array: array[:3], (feed, labels))
    for one in (model, plain):
        one.reset_metrics()
    ours, expected = (one.train_on_batch(*few, return_dict=True) for one in (model, plain))
    for name, value in expected.items():
        np.testing.assert_allclose(ours[name], value, rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.parametrize(
    "mixes",
    [
        lambda vectors: keras.layers.Softmax(axis=0)(vectors),
        lambda vectors: keras.layers.Dense(7, functools.partial(keras.ops.softmax, axis=0))(
            vectors
        ),
        lambda vectors: keras.ops.any(keras.ops.not_equal(vectors, 0), axis=0),
    ],
    ids=["softmax", "activation", "any"],
)
def test_layers_over_the_batch_axis_make_rows_dependent(mixes) -> None:
    words = keras.Input((None,), dtype="int32")
    vectors = keras_qa.layers.SequenceEncoder(50, 4, 7)(words)
    assert rows_are_independent(keras.Model(words, vectors))
    assert not rows_are_independent(keras.Model(words, mixes(vectors)))
