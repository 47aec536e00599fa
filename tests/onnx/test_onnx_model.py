"""ONNX graphs of models: the outputs of Keras, names, and what cannot be exported."""

from __future__ import annotations

import pathlib
import re

import keras
import numpy as np
import onnx
import pytest
from small_checkpoints import FOLDER, KINDS, copy, cross_encoder, feed, with_head
from small_models import same_weights

import keras_qa
from keras_qa import Example, QuestionAnswerer
from keras_qa.answering import TextEmbedder
from keras_qa.layers.classification_head import transformer_of
from keras_qa.models import multiple_choice, span_reader, text_classifier
from keras_qa.models.reader import enable_lora
from keras_qa.onnx import export
from keras_qa.onnx.onnx_model import LAYERS
from keras_qa.onnx.runtime import ExportedModel

TOLERANCE = 1e-4
DOCS = pathlib.Path(__file__).parents[2] / "docs" / "export.md"
TEXTS = ["Mary went home, then she slept.", "Mary slept.", "", "she went to the bathroom. " * 9]
QUESTIONS = ["Who slept?", "Where is Mary? " * 4, "Who went?", ""]


def randomize(model: keras.Model) -> keras.Model:
    """Gives all weights values that matter, those that start at 0 or 1 too."""
    random = np.random.default_rng(0)
    for weight in model.trainable_variables:
        weight.assign(weight.numpy() + random.normal(size=weight.shape, scale=0.2))
    return model


def flat(outputs: object) -> dict[str, np.ndarray]:
    return outputs if isinstance(outputs, dict) else {"logits": outputs}


def check(model: keras.Model, arrays: dict[str, np.ndarray], folder: pathlib.Path) -> ExportedModel:
    """Compares the outputs of Keras and of the exported model, in one batch and row by row."""
    exported = ExportedModel(folder)
    before = [array.copy() for array in arrays.values()]
    expected = flat(model.predict(arrays, verbose=0))
    for batch_size in (32, 1):
        found = flat(exported.predict(arrays, batch_size))
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            assert found[name].dtype == np.float32
            np.testing.assert_allclose(found[name], value, rtol=0, atol=TOLERANCE, err_msg=name)
    for array, same in zip(arrays.values(), before, strict=True):
        np.testing.assert_array_equal(array, same)
    return exported


def graph_of(folder: pathlib.Path) -> onnx.ModelProto:
    found = onnx.load(folder / "onnx" / "model.onnx")
    onnx.checker.check_model(found, full_check=True)
    return found


def names(values: object) -> list[str]:
    return [value.name for value in values]


@pytest.mark.parametrize("kind", KINDS)
def test_a_reader_of_each_family(kind: str, tmp_path) -> None:
    model = randomize(span_reader(backbone=copy(kind, tmp_path / kind)))
    weights = model.get_weights()
    export(model, tmp_path / "out")
    assert same_weights(model, weights)
    check(model, feed(model, kind), tmp_path / "out")
    found = graph_of(tmp_path / "out").graph
    expected = ["input_ids", "attention_mask"]
    expected += ["token_type_ids"] * ("segment_ids" in feed(model, kind))
    assert names(found.input) == expected
    assert {one.type.tensor_type.elem_type for one in found.input} == {onnx.TensorProto.INT64}
    assert names(found.output) == ["start_logits", "end_logits"]


def on_encoder(folder: pathlib.Path, kind: str, task: str, labels: int = 3) -> keras.Model:
    return text_classifier(with_head(folder, kind, "Model", {}), task, labels)


# The models of the table in docs/export.md, by their names there.
MODELS = {
    "span reader on a published encoder": lambda folder: span_reader(
        backbone=copy("electra", folder)
    ),
    "span reader with yes and no": lambda folder: span_reader(
        backbone=copy("bert", folder), answer_types=["span", "yes", "no"]
    ),
    "ranker": lambda folder: keras_qa.load(cross_encoder(folder)).model_,
    "classifier of pairs": lambda folder: on_encoder(folder, "roberta", "sequence_classification"),
    "token classifier": lambda folder: on_encoder(folder, "modernbert", "token_classification", 2),
    "multiple-choice model on a published encoder": lambda folder: multiple_choice(
        backbone=with_head(folder, "deberta-v2", "Model", {})
    ),
    "text embedder": lambda folder: TextEmbedder(copy("mpnet", folder)),
    "answer_classifier": lambda folder: keras_qa.load(
        pathlib.Path(__file__).parents[1] / "golden" / "classifier.keras"
    ),
}


def table(heading: str) -> list[list[str]]:
    """The rows of the table after a heading of docs/export.md."""
    part = DOCS.read_text(encoding="utf-8").split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in part.splitlines() if line.startswith("|")]
    return rows[2:]


@pytest.mark.parametrize("name", MODELS)
def test_a_model_of_the_table(name: str, tmp_path) -> None:
    made = MODELS[name](tmp_path / "checkpoint")
    model = randomize(getattr(made, "model_", made))
    export(made, tmp_path / "out")
    preprocessor = model.preprocessor
    if name == "answer_classifier":
        examples = [Example(*pair) for pair in zip(TEXTS, QUESTIONS, strict=True)]
        check(model, preprocessor.vectorizer(examples), tmp_path / "out")
    elif name == "text embedder":
        vectors = keras_qa.load(tmp_path / "out")(TEXTS)
        np.testing.assert_allclose(vectors, made(TEXTS), rtol=0, atol=TOLERANCE)
    elif name.startswith("multiple-choice"):
        examples = [
            Example(text, asked, "home", choices=("home", "at home, then")[: 1 + place % 2])
            for place, (text, asked) in enumerate(zip(TEXTS, QUESTIONS, strict=True))
        ]
        check(model, preprocessor.make_training_data(model, examples)[0], tmp_path / "out")
    elif hasattr(preprocessor, "make_feed"):
        check(model, preprocessor.make_feed(model, QUESTIONS, TEXTS), tmp_path / "out")
    else:
        examples = [Example(*pair) for pair in zip(TEXTS, QUESTIONS, strict=True)]
        windows = preprocessor.vectorizer(examples).feed
        arrays = {tensor.name: windows[tensor.name] for tensor in model.inputs}
        check(model, arrays, tmp_path / "out")
    rows = {row[0]: row[1:] for row in table("What can be exported")}
    found = graph_of(tmp_path / "out").graph
    inputs, outputs = (re.findall(r"`(\w+)`", cell) for cell in rows[name][:2])
    assert set(names(found.input)) <= set(inputs)
    assert sorted(names(found.output)) == sorted(outputs)


def test_the_docs_list_all_models_and_layers() -> None:
    assert [row[0] for row in table("What can be exported")] == list(MODELS)
    listed = re.findall(r"`([A-Z]\w+)`", DOCS.read_text(encoding="utf-8").split("Layers: ")[1])
    assert {kind.__name__ for kind in LAYERS} == set(listed[: len(LAYERS)])


@pytest.mark.parametrize(
    ("cell", "pooling", "bidirectional"),
    [("lstm", "last", True), ("lstm", "mean", False), ("gru", "max", True), ("gru", "last", False)],
)
def test_a_recurrent_classifier(cell: str, pooling: str, bidirectional: bool, tmp_path) -> None:
    options = {"cell": cell, "pooling": pooling, "bidirectional": bidirectional, "hidden_dim": 7}
    pairs = zip(TEXTS, QUESTIONS, strict=True)
    data = [Example(text or "home", asked or "?", "home") for text, asked in pairs]
    qa = QuestionAnswerer(model_options={**options, "text_units": 9, "question_units": 5}, seed=0)
    qa.fit(data, epochs=0, verbose=0)
    randomize(qa.model_)
    export(qa, tmp_path)
    arrays = qa.vectorizer_([*data, Example("", "Who?"), Example("home", "")])
    exported = check(qa.model_, arrays, tmp_path)
    assert exported.task == "answer_classification"


def test_lora_is_merged(tmp_path) -> None:
    model = span_reader(backbone=copy("bert", tmp_path / "bert"))
    enable_lora(transformer_of(model), 2)
    randomize(model)
    export(model, tmp_path / "out")
    check(model, feed(model, "bert"), tmp_path / "out")
    weights = names(graph_of(tmp_path / "out").graph.initializer)
    assert not [name for name in weights if "lora" in name]
    with pytest.raises(AssertionError, match="start|end"):
        check(span_reader(backbone=FOLDER / "bert"), feed(model, "bert"), tmp_path / "out")


def quantized(folder: pathlib.Path) -> keras.Model:
    model = span_reader(backbone=copy("bert", folder))
    model.get_layer("backbone").blocks[0].hidden.quantize("int8")
    return model


def without_tokenizer(folder: pathlib.Path) -> keras.Model:
    return span_reader(backbone=copy("bert", folder, tokenizer=False))


def from_scratch(folder: pathlib.Path) -> keras.Model:
    return QuestionAnswerer("span_reader", {"units": 4}).fit(
        [Example("a b", "c", "a", 0)], epochs=0, verbose=0
    )


REFUSED = {
    "span_reader from scratch": (from_scratch, r"layer `words` \(WordEmbedding\) cannot be exp"),
    "memory_network": (lambda folder: stories("memory_network"), r"`\w+` \(SentenceEncoder\) cann"),
    "quantized": (quantized, "layer `hidden` is quantized to int8 and cannot be exported"),
    "no tokenizer": (without_tokenizer, "`span_reader` has no tokenizer. Pass one to the"),
}


def stories(name: str) -> QuestionAnswerer:
    data = keras_qa.datasets.babi.simulate(task=1, examples=4, seed=0)
    options = {"embedding_dim": 4, "max_words": 6, "max_sentences": 8}
    return QuestionAnswerer(name, options).fit(data, epochs=0, verbose=0)


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_exported_is_named(name: str, tmp_path) -> None:
    make, message = REFUSED[name]
    made = make(tmp_path / "checkpoint")
    model = getattr(made, "model_", made)
    before = model.get_weights()
    with pytest.raises(ValueError, match=message) as raised:
        export(made, tmp_path / "out")
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) <= 300
    assert same_weights(model, before)
    assert not (tmp_path / "out").exists()
