"""The classic model: sizes, configuration, what it refuses in one line."""

import json
import re

import keras
import numpy as np
import pytest
from small_models import batch

import keras_qa


def test_classic_model_has_the_classic_shape() -> None:
    model = keras_qa.models.answer_classifier()
    assert model.count_params() == 1_000_052
    assert [tensor.name for tensor in model.inputs] == ["text", "question"]
    assert [tensor.shape for tensor in model.inputs] == [(None, None)] * 2
    assert model.output.shape == (None, 500)
    assert model.compiled


def test_validation_split_takes_the_end(model) -> None:
    feed, labels = batch(20)
    history = model.fit(feed, labels, validation_split=0.25, verbose=0).history
    loss = model.evaluate([array[15:] for array in feed], labels[15:], verbose=0)[0]
    assert history["val_loss"] == [pytest.approx(loss, rel=1e-5)]


def test_the_widely_copied_mistakes_end_in_one_clear_line() -> None:
    model = keras_qa.models.answer_classifier(64, 10_000, 500)
    text = np.full((2, 100), 4234)
    with pytest.raises(
        ValueError,
        match=re.escape(
            "`text` holds id 4234 at [0, 0], but its vocabulary has 64 entries (ids 0 to 63). "
            "Build the model with `text_vocabulary_size=4235` or more"
        ),
    ):
        model.fit([text, text], [0, 1])
    with pytest.raises(ValueError, match="a row at \\[0\\] that adds up to 0 and has 0 ones"):
        model.fit([text % 64, text], np.random.default_rng(0).integers(0, 1, (2, 500)))


def test_config_can_be_written_as_json(model) -> None:
    config = json.loads(json.dumps(model.get_config()))
    twin = keras_qa.models.QAModel.from_config(config)
    twin.set_weights(model.get_weights())
    feed, _ = batch(3)
    np.testing.assert_array_equal(twin.predict(feed, verbose=0), model.predict(feed, verbose=0))


def test_classic_factories_have_the_classic_sizes() -> None:
    sizes = []
    ids = np.ones((1, 3), "int32")
    for layer, inputs in (
        (keras_qa.layers.text_encoder(10_000), ids),
        (keras_qa.layers.question_encoder(10_000), ids),
        (keras_qa.layers.answer_head(), np.zeros((1, 48), "float32")),
    ):
        layer(inputs)
        sizes.append(layer.count_params())
    assert sizes == [640_000 + 12_416, 320_000 + 3_136, 24_500]


def test_what_pytorch_wrote_is_compiled_without_it() -> None:
    model = keras_qa.models.answer_classifier(10, 10, 4)
    written = model.get_compile_config()
    written["optimizer"]["module"] = "keras.src.backend.torch.optimizers.torch_rmsprop"
    twin = keras_qa.models.QAModel.from_config(model.get_config())
    twin.compile_from_config(written)
    assert type(twin.optimizer) is type(model.optimizer)
    assert isinstance(twin.optimizer, keras.optimizers.RMSprop)
