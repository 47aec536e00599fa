"""Classifiers on published encoders: files, heads, and folders that are refused."""

import json

import keras
import numpy as np
import pytest
from safetensors.numpy import load_file
from small_checkpoints import bert_tokens, feed_of, roberta_labels, with_head

import keras_qa
from keras_qa.models import text_classifier
from keras_qa.models.pretrained.checkpoint_writer import save_pretrained


def test_one_file_holds_all_of_a_model(tmp_path) -> None:
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
