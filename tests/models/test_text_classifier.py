"""Classifiers on published encoders: values, padding, training, files, and what is refused."""

import json
import pathlib

import keras
import numpy as np
import pytest
import reference
from safetensors.numpy import load_file
from small_checkpoints import bert_tokens, roberta_labels, with_head

import keras_qa
from keras_qa.layers.classification_head import transformer_of
from keras_qa.models import text_classifier
from keras_qa.models.pretrained.checkpoint_writer import save_pretrained

QUESTIONS = ["Where is Mary?", "Who slept?", ""]
TEXTS = ["Mary went to the bathroom, then she slept at home.", "", "home"]
NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def feed_of(model: keras.Model) -> dict[str, np.ndarray]:
    return model.preprocessor.make_feed(model, QUESTIONS, TEXTS)


def vectors_of(model: keras.Model, feed) -> np.ndarray:
    """The outputs of the encoder."""
    encoder = transformer_of(model)
    inputs = [keras.ops.convert_to_tensor(feed[name]) for name in encoder.input_names]
    return keras.ops.convert_to_numpy(encoder(inputs))


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

    def test_one_file_holds_all_of_a_model(self, tmp_path) -> None:
        for name, folder in (
            ("a", roberta_labels(tmp_path / "a")),
            ("b", bert_tokens(tmp_path / "b")),
        ):
            model = text_classifier(folder)
            feed = feed_of(model)
            model.save(tmp_path / f"{name}.keras")
            loaded = keras.saving.load_model(tmp_path / f"{name}.keras")
            np.testing.assert_array_equal(feed_of(loaded)["token_ids"], feed["token_ids"])
            expected = model.predict(feed, verbose=0)
            np.testing.assert_allclose(loaded.predict(feed, verbose=0), expected, atol=1e-6)
            save_pretrained(loaded, tmp_path / f"{name}-again")
            before = load_file(folder / "model.safetensors")
            after = load_file(tmp_path / f"{name}-again" / "model.safetensors")
            assert before.keys() == after.keys()
            assert all(np.array_equal(before[key], after[key]) for key in before)
            config = json.loads((tmp_path / f"{name}-again" / "config.json").read_text())
            assert config["architectures"][0].endswith(
                ("SequenceClassification", "TokenClassification")
            )


class TestTraining:
    def train(self, folder: pathlib.Path, feed, labels) -> None:
        model = text_classifier(folder, optimizer=keras.optimizers.SGD(0.01))
        # TensorFlow traces a graph for longer than these steps take.
        model.run_eagerly = keras.config.backend() == "tensorflow"
        before = model.evaluate(feed, labels, verbose=0)
        model.fit(feed, labels, epochs=3, batch_size=3, verbose=0)
        assert model.evaluate(feed, labels, verbose=0) < before

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


class TestHeads:
    def test_an_encoder_gets_a_new_head_and_keeps_its_pooler(self, tmp_path) -> None:
        heads = {"bert.pooler.dense.weight": (16, 16), "bert.pooler.dense.bias": (16,)}
        folder = with_head(tmp_path / "encoder", "bert", "Model", heads)
        model = text_classifier(folder, task="sequence_classification", num_labels=3)
        head = model.get_layer("logits")
        pooler = load_file(folder / "model.safetensors")["bert.pooler.dense.weight"]
        np.testing.assert_array_equal(head.dense.kernel.numpy(), pooler.T)
        assert 0 < np.abs(head.logits.kernel.numpy()).max() < 0.1
        save_pretrained(model, tmp_path / "saved")
        config = json.loads((tmp_path / "saved" / "config.json").read_text())
        assert config["architectures"] == ["BertForSequenceClassification"]
        assert config["label2id"] == {"LABEL_0": 0, "LABEL_1": 1, "LABEL_2": 2}
        again = text_classifier(tmp_path / "saved")
        assert again.output.shape == (None, 3)

    def test_lora_trains_the_head_too(self, tmp_path) -> None:
        model = text_classifier(roberta_labels(tmp_path / "cross"), lora_rank=2)
        paths = [variable.path for variable in model.trainable_variables]
        assert sum("lora_kernel" in path for path in paths) == 24
        assert sum(path.startswith("logits/") for path in paths) == 4

    def test_a_tokenizer_of_its_own(self, tmp_path) -> None:
        folder = roberta_labels(tmp_path / "cross")
        file = folder / "tokenizer.json"
        file.rename(tmp_path / "tokenizer.json")
        assert text_classifier(folder).preprocessor is None
        model = text_classifier(folder, tokenizer=tmp_path / "tokenizer.json")
        assert model.preprocessor.vectorizer.max_length == 64
        (folder / "tokenizer_config.json").write_text('{"model_max_length": 20}')
        model = text_classifier(folder, tokenizer=model.preprocessor.vectorizer.tokenizer)
        assert feed_of(model)["token_ids"].shape == (3, 20)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"num_labels": 3}, r"has the shape \(1, 16\), but .* says \(3, 16\). Get it"),
            ({"num_labels": 0}, "`num_labels` must be a positive integer. Received: num_labels=0"),
            ({"task": "token_classification"}, "ForSequenceClassification: a model for another ta"),
            ({"task": "rank"}, "`task` must be one of 'sequence_classification', .*task='rank'"),
        ],
    )
    def test_bad_arguments(self, options, message: str, tmp_path) -> None:
        self.refused(roberta_labels(tmp_path / "cross"), options, message)

    @pytest.mark.parametrize(
        ("config", "message"),
        [
            ({"architectures": ["BertModel"]}, "`task` must be one of .*Received: task=None"),
            ({"id2label": None, "num_labels": 10**9}, r"says \(1000000000, 16\)"),
            ({"id2label": None, "num_labels": "2"}, "`num_labels` must be a positive int"),
            ({"architectures": ["BertForMultipleChoice"]}, r"has the shape \(2, 16\)"),
            ({"num_labels": 2, "num_hidden_layers": 2}, "unexpected tensor: `.*encoder.layer.2"),
        ],
    )
    def test_bad_config(self, config, message: str, tmp_path) -> None:
        self.refused(bert_tokens(tmp_path / "tokens", **config), {}, message)

    def test_bad_settings_of_heads(self, tmp_path) -> None:
        for kind, suffix, config, message in (
            ("bert", "ForMultipleChoice", {}, "lacks the tensor `classifier.weight`. Get it again"),
            (
                "electra",
                "ForMultipleChoice",
                {"summary_type": "last"},
                "summary_type='last'` is n",
            ),
            (
                "modernbert",
                "ForSequenceClassification",
                {"classifier_pooling": "max"},
                "pooling='",
            ),
            ("modernbert", "ForQuestionAnswering", {"classifier_bias": True}, "`task` must be one"),
            (
                "deberta-v2",
                "ForMultipleChoice",
                {"pooler_hidden_act": "x"},
                "activation 'x' is",
            ),
        ):
            folder = with_head(tmp_path / f"{kind}{suffix}", kind, suffix, {}, **config)
            self.refused(folder, {}, message)

    def test_several_logits_of_a_choice(self, tmp_path) -> None:
        folder = with_head(tmp_path / "encoder", "bert", "Model", {})
        options = {"task": "multiple_choice", "num_labels": 4}
        self.refused(folder, options, "`num_labels` must be a positive integer, at most 1")

    def refused(self, folder, options, message: str) -> None:
        with pytest.raises(ValueError, match=message) as raised:
            text_classifier(folder, **options)
        assert "\n" not in str(raised.value)
        assert len(str(raised.value).replace(str(folder), "folder")) <= 300


def test_a_reader_does_not_take_a_classifier(tmp_path) -> None:
    folder = bert_tokens(tmp_path / "tokens")
    with pytest.raises(ValueError, match="XForTokenClassification: a model for another task"):
        keras_qa.models.span_reader(backbone=folder)
    model = text_classifier(roberta_labels(tmp_path / "labels", 3))
    with pytest.raises(ValueError, match="`model` must answer questions, but `text_classifier`"):
        keras_qa.QuestionAnswerer(model).fit([keras_qa.Example("a b", "c", "a", 0)])
