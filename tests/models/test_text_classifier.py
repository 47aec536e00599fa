"""Classifiers on published encoders: values, padding, training, and labels that are refused."""

import pathlib

import keras
import numpy as np
import pytest
import reference
from backend_calls import compiled_call, to_numpy
from small_checkpoints import bert_tokens, feed_of, roberta_labels

from keras_qa.layers.classification_head import transformer_of
from keras_qa.models import text_classifier

NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def vectors_of(model: keras.Model, feed) -> np.ndarray:
    """The outputs of the encoder."""
    encoder = transformer_of(model)
    inputs = [keras.ops.convert_to_tensor(feed[name]) for name in encoder.input_names]
    return to_numpy(compiled_call(encoder)(inputs))


class TestValues:
    def test_a_sequence(self, tmp_path) -> None:
        model = text_classifier(roberta_labels(tmp_path / "cross", 3))
        feed = feed_of(model)
        first = vectors_of(model, feed)[:, 0].astype("float64")
        kernel, bias, last, offset = model.get_layer("logits").get_weights()
        expected = np.tanh(first @ kernel + bias) @ last + offset
        found = model.predict(feed, verbose=0)
        np.testing.assert_allclose(found, expected, atol=1e-5)
        assert (model.output_names, found.dtype) == (["logits"], np.float32)
        assert list(feed) == ["token_ids", "padding_mask"]

    def test_positions_in_any_batch_and_width(self, tmp_path) -> None:
        model = text_classifier(bert_tokens(tmp_path / "tokens"))
        feed = feed_of(model)
        weights = model.get_layer("logits").get_weights()
        expected = reference.classification_head(vectors_of(model, feed), weights, None)
        expected *= feed["padding_mask"][..., None]
        found = model.predict(feed, batch_size=1, verbose=0)
        np.testing.assert_allclose(found, expected, atol=1e-5)
        assert (found[1, -3:] == 0).all()
        wide = {name: np.pad(array, [(0, 0), (0, 9)]) for name, array in feed.items()}
        found = model.predict(wide, batch_size=2, verbose=0)
        np.testing.assert_allclose(found[:, :-9], expected, atol=1e-5)
        assert (found[:, -9:] == 0).all()


class TestTraining:
    def train(self, folder: pathlib.Path, feed, labels) -> None:
        model = text_classifier(folder, optimizer=keras.optimizers.SGD(0.01))
        # TensorFlow traces a graph for longer than these steps take.
        model.run_eagerly = keras.config.backend() == "tensorflow"
        # One batch is an epoch, and there is no dropout: the first loss is that before training.
        losses = model.fit(feed, labels, epochs=4, batch_size=3, verbose=0).history["loss"]
        assert losses[3] < losses[0]

    def test_labels_of_a_sequence(self, tmp_path) -> None:
        folder = roberta_labels(tmp_path / "cross", 3, **NO_DROPOUT)
        feed = feed_of(text_classifier(folder))
        self.train(folder, feed, np.array([2, 0, 1]))

    def test_labels_of_positions_are_trimmed_with_their_rows(self, tmp_path) -> None:
        folder = bert_tokens(tmp_path / "tokens", **NO_DROPOUT)
        model = text_classifier(folder)
        feed = feed_of(model)
        wide = {name: np.pad(array, [(0, 0), (0, 9)]) for name, array in feed.items()}
        labels = np.where(wide["padding_mask"] == 1, wide["token_ids"] % 2, -100)
        loss = model.evaluate(wide, labels, batch_size=1, verbose=0)
        # The mean over positions of each batch, as Keras computes it.
        logits = model.predict(wide, verbose=0).astype("float64")
        there = labels >= 0
        chosen = np.take_along_axis(logits, np.maximum(labels, 0)[..., None], -1)[..., 0]
        each = np.log(np.exp(logits).sum(-1)) - chosen
        expected = np.mean([each[row][there[row]].mean() for row in range(3)])
        assert loss == pytest.approx(expected, abs=1e-4)
        self.train(folder, wide, labels)

    @pytest.mark.parametrize(
        ("labels", "message"),
        [
            ([[0, 1]] * 3, r"labels of `logits` have shape \(3, 2\), but there are 23 positions"),
            ([[2] * 23] * 3, r"hold 2 at \[0, 0\], but there are 2 classes .* with 3 labels or m"),
            (
                [1, 0, 1],
                r"integers of shape \(batch, time\) or one-hot rows of shape \(batch, time, 2\)",
            ),
        ],
    )
    def test_bad_labels_of_positions(self, labels, message: str, tmp_path) -> None:
        model = text_classifier(bert_tokens(tmp_path / "tokens"))
        feed = feed_of(model)
        assert feed["token_ids"].shape == (3, 23)
        self.refused(model, feed, labels, message)

    def test_bad_labels_of_one_logit(self, tmp_path) -> None:
        model = text_classifier(roberta_labels(tmp_path / "cross"))
        self.refused(model, feed_of(model), [0, 2, 1], r"hold 2 at \[1\], but must be between 0 a")

    def refused(self, model: keras.Model, feed, labels, message: str) -> None:
        before = model.get_weights()
        with pytest.raises(ValueError, match=message) as raised:
            model.fit(feed, np.array(labels), verbose=0)
        assert "\n" not in str(raised.value)
        for one, other in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)
