"""Exported folders: the answers of the `.keras` file, files, weights of int8, the command."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import pathlib
import re
import shutil

import numpy as np
import onnx
import pytest
from command_line import error_line
from small_checkpoints import bert_tokens, copy, cross_encoder, with_head
from small_examples import squad_file
from small_models import same_weights
from small_readers import SPANS, WITHOUT, trained_reader

import keras_qa
from keras_qa import Answer, Example, QuestionAnswerer
from keras_qa.answering import Reranker, TextEmbedder
from keras_qa.cli import main
from keras_qa.documents import Index
from keras_qa.models import text_classifier
from keras_qa.onnx import export, quantization
from keras_qa.onnx.runtime import ExportedModel, checksum
from keras_qa.preprocessing.pair_preprocessor import PairPreprocessor

TEXT = "then she slept. Mary went to the bathroom. then she slept at home. " * 3
QUESTION = "Where went Mary?"


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> pathlib.Path:
    """A small reader with thresholds, and its exported folder."""
    folder = tmp_path_factory.mktemp("exported")
    qa = trained_reader(folder)
    assert qa.evaluate(SPANS)["f1"] > 60
    qa.save(folder / "reader.keras")
    export(qa, folder / "reader")
    return folder


def close(found: object, expected: object) -> None:
    """Compares answers, whose scores may differ by 0.0001."""
    if isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            close(one, other)
        return
    assert found.score == pytest.approx(expected.score, abs=1e-4)
    changes = {"score": 0.0, "sources": ()} if isinstance(found, Answer) else {"score": 0.0}
    assert dataclasses.replace(found, **changes) == dataclasses.replace(expected, **changes)


@pytest.mark.parametrize(
    ("call", "options"),
    [
        ("answer", {"top_k": 3}),
        ("answer", {"no_answer": False, "max_length": 24, "stride": 4}),
        ("answer", {"all_spans": True, "no_answer": False}),
        ("read", {}),
        ("evaluate", {}),
        ("ask", {"top_k": 2}),
    ],
)
def test_an_exported_reader_gives_the_answers_of_its_file(files, call, options, tmp_path) -> None:
    loaded, exported = keras_qa.load(files / "reader.keras"), keras_qa.load(files / "reader")
    if call == "answer":
        texts, questions = [TEXT, SPANS[0].text, ""], [QUESTION, SPANS[0].question, QUESTION]
        close(*(qa.answer(texts, questions, **options) for qa in (exported, loaded)))
    elif call == "read":
        close(*(qa.read(TEXT).ask([QUESTION, ""], top_k=2) for qa in (exported, loaded)))
    elif call == "evaluate":
        # Not the examples of the fit: the threshold is the score of one of them.
        others = [Example(f"at home {e.text}", e.question, e.answers) for e in SPANS + WITHOUT]
        assert exported.evaluate(others) == loaded.evaluate(others)
    else:
        (tmp_path / "colours.txt").write_text(TEXT)
        with Index.create(tmp_path / "all.index") as index:
            index.update(tmp_path / "colours.txt")
            close(*(qa.ask(index, QUESTION, **options) for qa in (exported, loaded)))


def test_exported_rankers_choosers_token_readers_and_embedders(tmp_path) -> None:
    ranker = keras_qa.load(cross_encoder(tmp_path / "cross"))
    export(ranker, tmp_path / "ranker")
    texts = ["Mary slept.", "", "She went home."]
    found = keras_qa.load(tmp_path / "ranker")
    assert isinstance(found, Reranker)
    for one, other in zip(*(each.rank("Who?", texts) for each in (found, ranker)), strict=True):
        assert (one.index, one.text) == (other.index, other.text)
        assert one.score == pytest.approx(other.score, abs=1e-4)

    backbone = with_head(tmp_path / "encoder", "bert", "Model", {})
    chooser = QuestionAnswerer("multiple_choice", {"backbone": backbone}, seed=0, max_length=40)
    item = Example("Mary went home. " * 4, "Where is Mary?", "home", choices=("home", "at sea"))
    chooser.fit([item], epochs=0, verbose=0)
    export(chooser, tmp_path / "chooser")
    close(*(qa.answer(item, top_k=2) for qa in (keras_qa.load(tmp_path / "chooser"), chooser)))

    tokens = keras_qa.load(bert_tokens(tmp_path / "tokens"))
    export(tokens, tmp_path / "labels")
    found = keras_qa.load(tmp_path / "labels")
    close(*(qa.answer(TEXT, QUESTION, top_k=3, no_answer=True) for qa in (found, tokens)))

    embedder = TextEmbedder(copy("mpnet", tmp_path / "mpnet"), max_length=30)
    export(embedder, tmp_path / "embedder")
    found = keras_qa.load(tmp_path / "embedder")
    assert (found.dimension, found.max_length) == (embedder.dimension, 30)
    assert found.name == str(tmp_path / "embedder")
    np.testing.assert_allclose(found(texts), embedder(texts), atol=1e-4)
    with pytest.raises(ValueError, match="is not an embedder, such as `minilm-embed`"):
        TextEmbedder(tmp_path / "ranker")
    with pytest.raises(ValueError, match="is not a ranker. Expected a model for sequence class"):
        Reranker(tmp_path / "embedder")


def test_large_weights_have_a_file_of_their_own(files, tmp_path) -> None:
    loaded = keras_qa.load(files / "reader.keras")
    export(loaded, tmp_path, data_size=20_000)
    graph, data = tmp_path / "onnx" / "model.onnx", tmp_path / "onnx" / "model.onnx_data"
    assert graph.stat().st_size < data.stat().st_size
    before = graph.read_bytes(), data.read_bytes()
    # A second export replaces both files.
    export(loaded, tmp_path, data_size=20_000)
    assert (graph.read_bytes(), data.read_bytes()) == before
    close(keras_qa.load(tmp_path).answer(TEXT, QUESTION), loaded.answer(TEXT, QUESTION))
    size = data.stat().st_size
    for content in (before[1][:-4] + b"abcd", before[1][:-4], bytes(size)):
        data.write_bytes(content)
        with pytest.raises(ValueError, match=r"`onnx/model.onnx_data` is not the file that was ex"):
            keras_qa.load(tmp_path)
    data.unlink()
    with pytest.raises(ValueError, match=r"`onnx/model.onnx_data` is missing or cannot be read"):
        keras_qa.load(tmp_path)
    export(loaded, tmp_path)
    assert not data.exists()


@pytest.mark.parametrize(
    "location", ["../../secret", "/etc/passwd", "model.onnx_data", "weights", "model.onnx_data2"]
)
@pytest.mark.parametrize("has_data", [False, True])
def test_weights_that_were_not_exported_are_never_read(
    location: str, has_data: bool, files, tmp_path
) -> None:
    folder = shutil.copytree(files / "reader", tmp_path / "a" / "reader")
    (tmp_path / "a" / "secret").write_bytes(bytes(1_000_000))
    for name in ("weights", "model.onnx_data", "model.onnx_data2"):
        (folder / "onnx" / name).write_bytes(bytes(1_000_000))
    path = folder / "onnx" / "model.onnx"
    graph = onnx.load(path)
    weight = max(graph.graph.initializer, key=lambda one: len(one.raw_data))
    weight.ClearField("raw_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    weight.external_data.add(key="location", value=location)
    path.write_bytes(graph.SerializeToString())
    settings = json.loads((folder / "keras_qa.json").read_text())
    for name in ["onnx/model.onnx", "onnx/model.onnx_data"][: 1 + has_data]:
        content = (folder / name).read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        settings["files"][name] = {"size": len(content), "sha256": digest}
    settings["sha256"] = checksum(settings)
    (folder / "keras_qa.json").write_text(json.dumps(settings))
    if has_data and location == "model.onnx_data":
        assert ExportedModel(folder).width is None
        return
    message = "`onnx/model.onnx` names a file with weights that was not exported"
    with pytest.raises(ValueError, match=message):
        keras_qa.load(folder)


def test_int8_is_fitted_and_kept_if_it_loses_little(files, tmp_path, capsys) -> None:
    data = squad_file(tmp_path / "valid.json", SPANS + WITHOUT)
    out = tmp_path / "out"
    arguments = ["export", str(files / "reader.keras"), str(out), "--int8", "--data", data]
    assert main([*arguments, "--max-loss=100"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == f"Wrote {out}."
    assert [line.split()[0] for line in printed[1:3]] == ["float32", "int8"]
    assert all(" MB " in line and "questions a second" in line for line in printed[1:3])
    assert printed[3].startswith("Wrote onnx/model_quantized.onnx: it loses ")
    small, settings = out / "onnx" / "model_quantized.onnx", out / "keras_qa.json"
    graphs = json.loads(settings.read_text())["graphs"]
    assert [*graphs] == ["onnx/model.onnx", "onnx/model_quantized.onnx"]
    own = ExportedModel(small)
    decoders = [one.preprocessor.decoder for one in (own, ExportedModel(out))]
    assert decoders[1] == keras_qa.load(files / "reader.keras").model_.preprocessor.decoder
    _, fitted = quantization.measure(small, SPANS + WITHOUT)
    assert own.preprocessor.decoder == fitted.decoder
    # Without unanswerable examples, the threshold of no answer stays.
    _, kept = quantization.measure(out / "onnx" / "model.onnx", SPANS)
    assert kept.decoder.no_answer_threshold == decoders[1].no_answer_threshold
    assert kept.decoder.no_answer_weights == decoders[1].no_answer_weights
    windows = own.preprocessor.vectorizer(SPANS[:1]).feed
    one, other = (model.predict(windows)["start"] for model in (own, ExportedModel(out)))
    assert not np.allclose(one, other, atol=1e-4)
    assert keras_qa.load(small).answer(SPANS[0]).text == SPANS[0].answers[0]

    # Nothing may be better by 100 points.
    assert main([*arguments, "--max-loss=-100"]) == 1
    assert capsys.readouterr().out.splitlines()[3].startswith("Wrote no int8 graph: it loses")
    assert not small.exists()
    assert [*json.loads(settings.read_text())["graphs"]] == ["onnx/model.onnx"]
    keras_qa.load(out)


def test_large_weights_of_int8_are_checked(files, tmp_path, monkeypatch) -> None:
    loaded, examples = keras_qa.load(files / "reader.keras"), SPANS + WITHOUT
    monkeypatch.setattr(quantization, "MAX_SIZE", 4_000)
    export(loaded, tmp_path, True, examples, max_loss=100)
    names = {item.name for item in (tmp_path / "onnx").iterdir()}
    small = "model_quantized.onnx"
    assert names == {"model.onnx", small, f"{small}_data"}
    with_data = keras_qa.load(tmp_path / "onnx" / small).answer(TEXT, QUESTION)
    data = tmp_path / "onnx" / f"{small}_data"
    data.write_bytes(bytes(data.stat().st_size))
    with pytest.raises(ValueError, match=rf"`onnx/{small}_data` is not the file that was exported"):
        keras_qa.load(tmp_path / "onnx" / small)
    monkeypatch.undo()
    export(loaded, tmp_path, True, examples, max_loss=100)
    assert {item.name for item in (tmp_path / "onnx").iterdir()} == {"model.onnx", small}
    assert keras_qa.load(tmp_path / "onnx" / small).answer(TEXT, QUESTION) == with_data


def test_a_preprocessor_of_another_task_cannot_be_exported(files, tmp_path) -> None:
    loaded = keras_qa.load(files / "reader.keras").model_
    before = loaded.get_weights()
    loaded.preprocessor = PairPreprocessor(loaded.preprocessor.vectorizer)
    message = "classifies pairs of texts, but no task of exported folders fits its preprocessor"
    with pytest.raises(ValueError, match=message):
        export(loaded, tmp_path / "out")
    assert same_weights(loaded, before)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"int8": True}, "`int8` compares both graphs on `validation_data`. Give some examples"),
        ({"int8": "yes"}, "`int8` must be `True` or `False`. Received: int8='yes'"),
        ({"max_loss": "a"}, "`max_loss` must be a finite number. Received: max_loss='a'"),
        ({"data_size": 0}, "`data_size` must be a positive integer. Received: data_size=0"),
    ],
)
def test_wrong_arguments_of_export(files, options, message: str, tmp_path) -> None:
    loaded = keras_qa.load(files / "reader.keras")
    before = loaded.model_.get_weights()
    with pytest.raises(ValueError, match=message):
        export(loaded, tmp_path / "out", **options)
    with pytest.raises(TypeError, match="`model` must be a trained reader, a ranker, an embedder"):
        export(keras_qa.load(files / "reader"), tmp_path / "out")
    (tmp_path / "cat.txt").write_text("A cat.")
    with pytest.raises(ValueError, match="^`folder` must be a folder, or a path without a file"):
        export(loaded, tmp_path / "cat.txt")
    assert (tmp_path / "cat.txt").read_text() == "A cat."
    assert same_weights(loaded.model_, before)
    assert not (tmp_path / "out").exists()


def test_the_command_refuses_data_without_int8(files, tmp_path, capsys) -> None:
    reader, data = files / "reader.keras", squad_file(tmp_path / "valid.json", SPANS)
    command = ["export", str(reader), str(tmp_path / "out")]
    for given in (["--int8"], [f"--data={data}"]):
        assert "`--int8` and `--data` need each other" in error_line(capsys, *command, *given)
    assert not (tmp_path / "out").exists()


def outputs(path: pathlib.Path) -> tuple[np.ndarray, np.ndarray]:
    """The outputs of a graph for each question with its own text and with the next one."""
    model, texts = ExportedModel(path), [example.text for example in SPANS]
    questions = [example.question for example in SPANS] * 2
    feed = model.preprocessor.make_feed(model, questions, texts + texts[1:] + texts[:1])
    return model.predict(feed).astype("float64"), feed["padding_mask"] == 1


@pytest.mark.parametrize("kind", ["ranker", "tokens", "embedder"])
def test_int8_of_other_models_is_kept_if_it_agrees(kind, tmp_path) -> None:
    if kind == "ranker":
        model = keras_qa.load(cross_encoder(tmp_path / "cross"))
    elif kind == "tokens":
        model = text_classifier(bert_tokens(tmp_path / "tokens"))
        export(model, tmp_path / "first")
        logits, mask = outputs(tmp_path / "first")
        # Half of the pieces have each label, so that some labels change.
        middle = np.median((logits[..., 1] - logits[..., 0])[mask])
        model.get_layer("logits").logits.bias.assign_add([middle, 0.0])
    else:
        model = TextEmbedder(copy("mpnet", tmp_path / "mpnet"))
    out = tmp_path / "out"
    scores = export(model, out, True, SPANS, max_loss=100)
    small = out / "onnx" / "model_quantized.onnx"
    (before, mask), (after, _) = outputs(out), outputs(small)
    assert not np.allclose(before, after, atol=1e-4)
    if kind == "embedder":
        unit = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (before, after)]
        share = (unit[0] * unit[1]).sum(axis=1).mean()
    elif kind == "tokens":
        # Padding has no label.
        share = (before.argmax(axis=-1) == after.argmax(axis=-1))[mask].mean()
        assert share < 1
        assert not mask.all()
    else:
        couples = itertools.combinations(range(len(before)), 2)
        signs = [np.sign((rows[:, None] - rows[None])[..., 0]) for rows in (before, after)]
        share = np.mean([signs[0][couple] * signs[1][couple] >= 0 for couple in couples])
    assert scores.int8.scores == {"agreement": pytest.approx(100 * share), "examples": len(SPANS)}
    assert scores.float32.scores == {"agreement": pytest.approx(100), "examples": len(SPANS)}
    assert scores.loss == pytest.approx(100 - 100 * share)
    assert not export(model, out, True, SPANS, max_loss=-1).is_kept
    assert not small.exists()


def test_the_command_prints_the_agreement(tmp_path, capsys) -> None:
    data, ranker = squad_file(tmp_path / "valid.json", SPANS), cross_encoder(tmp_path / "cross")
    command = ["export", str(ranker), str(tmp_path / "out"), "--int8", f"--data={data}"]
    assert main([*command, "--max-loss=100"]) == 0
    first, _, last = capsys.readouterr().out.splitlines()[1:]
    assert first.endswith("questions a second  agreement 100.00 %")
    pattern = r"Wrote onnx/model_quantized.onnx: it loses \d\.\d\d agreement, and 100 may be lost\."
    assert re.fullmatch(pattern, last)


def test_an_exported_classifier_of_tokens_reads_and_verifies(tmp_path) -> None:
    folder = bert_tokens(tmp_path / "tokens")
    assert main(["export", str(folder), str(tmp_path / "out")]) == 0
    close(*(keras_qa.load(path).answer(TEXT, QUESTION) for path in (tmp_path / "out", folder)))
    found, expected = (
        keras_qa.verify("Mary slept at home.", [TEXT], reader=path)
        for path in (tmp_path / "out", folder)
    )
    close(found, expected)
    assert found
