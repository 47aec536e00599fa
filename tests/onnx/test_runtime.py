"""Exported folders: answers without Keras, and what is missing, damaged, forged or later."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import shutil

import numpy as np
import pytest
from command_line import error_line
from hypothesis import given
from hypothesis import strategies as st
from interpreters import BACKENDS, python
from small_examples import squad_file

import keras_qa
from keras_qa import Example
from keras_qa.answering import Reranker
from keras_qa.answering.opening import needs_backend
from keras_qa.cli import main
from keras_qa.onnx.runtime import ExportedModel, checksum

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "exported"
READER = GOLDEN / "reader"
TEXTS = [
    "then she slept. Mary went to the bathroom. then she slept at home. " * 3,
    *("Mary went home.", "Mary slept.", "", "Mary went home."),
]
QUESTIONS = ["Where went Mary?"] * 4 + [""]
DATA = [Example("Mary went home.", "Where went Mary?", "home", 10), Example("she slept.", "Who?")]


def golden(kind: str) -> list:
    return json.loads((GOLDEN / f"{kind}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("kind", ["reader", "classifier"])
def test_an_exported_reader_answers_as_keras_did(kind: str) -> None:
    qa = keras_qa.load(GOLDEN / kind)
    passages = [qa.read(text).ask(q, top_k=3) for text, q in zip(TEXTS, QUESTIONS, strict=True)]
    for found in (qa.answer(TEXTS, QUESTIONS, top_k=3), passages):
        for row, expected in zip(found, golden(kind), strict=True):
            assert [one.score for one in row] == pytest.approx(
                [one["score"] for one in expected], abs=1e-4
            )
            for one, other in zip(row, expected, strict=True):
                # Answers with scores of nearly 0 may change places.
                if other["score"] > 1e-3:
                    assert (one.text, one.start) == (other["text"], other["start"])


def test_an_exported_ranker_and_embedder_compute_as_keras_did() -> None:
    ranker = keras_qa.load(GOLDEN / "ranker")
    assert isinstance(ranker, Reranker)
    ranked = ranker.rank("Where went Mary?", TEXTS)
    for one, other in zip(ranked, golden("ranker"), strict=True):
        assert one.text == other["text"]
        assert one.score == pytest.approx(other["score"], abs=1e-4)
    embedder = keras_qa.load(GOLDEN / "embedder")
    assert (embedder.name, embedder.dimension) == ("small", 16)
    np.testing.assert_allclose(embedder(TEXTS), golden("embedder"), atol=1e-4)


@pytest.mark.parametrize(("value", "threads"), [("3", 3), ("", 0), ("2,1", 0)])
def test_threads_are_those_of_the_environment(value: str, threads: int, monkeypatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    options = ExportedModel(GOLDEN / "embedder")._session.get_session_options()
    assert options.intra_op_num_threads == threads


WITHOUT_KERAS = """
import sys, tempfile, keras_qa
from keras_qa.answering import Reranker
from keras_qa.documents import Index
golden, text = sys.argv[1:]
qa = keras_qa.load(golden + "/reader")
answers = [qa.answer(text, "Where went Mary?"), qa.read(text).ask("Where went Mary?")]
answers.append(keras_qa.load(golden + "/reader/onnx/model_quantized.onnx").answer(text, "Who?"))
answers.append(keras_qa.load(golden + "/classifier").read(text).ask("Where is Mary?"))
qa.evaluate([keras_qa.Example(text, "Where went Mary?", "home", 10)])
embedder = keras_qa.load(golden + "/embedder")
with Index.create(tempfile.mkdtemp() + "/all.index", encoder=embedder) as index:
    index.add([keras_qa.documents.Document("a", text)])
    answers.append(qa.ask(index, "Where went Mary?", ranker=golden + "/ranker"))
print(len(answers), sorted({"keras", "tensorflow", "torch", "jax"} & {*sys.modules}))
"""


@pytest.mark.parametrize("hidden", [(), (*BACKENDS, "keras")])
def test_nothing_imports_keras(hidden: tuple[str, ...], tmp_path) -> None:
    done = python(WITHOUT_KERAS, str(GOLDEN), TEXTS[1], hidden=hidden, KERAS_HOME=str(tmp_path))
    assert done.stdout.strip() == "5 []", done.stderr


def test_the_commands_answer_without_keras(tmp_path, capsys) -> None:
    assert main(["answer", str(READER), TEXTS[1], QUESTIONS[0]]) == 0
    assert capsys.readouterr().out.split()[1:] == ["home", "Mary", "went", "«home»."]
    data = squad_file(tmp_path / "data.json", DATA)
    assert main(["evaluate", str(READER), "--data", data]) == 0
    assert capsys.readouterr().out.startswith("exact match 100.0 %, F1 100.0 %, 2 examples")
    (tmp_path / "stories").mkdir()
    (tmp_path / "stories" / "mary.txt").write_text(TEXTS[1])
    ask = ["ask", str(tmp_path / "stories"), QUESTIONS[0], "--reader", str(READER)]
    assert main([*ask, "--ranker", str(GOLDEN / "ranker")]) == 0
    printed = capsys.readouterr().out
    assert "home" in printed
    assert "mary.txt:1" in printed


def test_the_commands_index_and_verify_without_keras(tmp_path, capsys) -> None:
    (tmp_path / "stories").mkdir()
    (tmp_path / "stories" / "mary.txt").write_text(TEXTS[1])
    folder = shutil.copytree(GOLDEN / "embedder", tmp_path / "embedder")
    # Without a name of its own it has that of the folder, which the index names.
    change(folder, name="")
    assert main(["index", str(tmp_path / "stories"), "--embed", str(folder)]) == 0
    assert "1 passage with vectors" in capsys.readouterr().out
    index = str(tmp_path / "stories.index")
    assert main(["ask", index, QUESTIONS[0], "--reader", str(READER)]) == 0
    assert "Mary went «home»." in capsys.readouterr().out
    verify = ["verify", "Mary went home.", "--documents", index, "--reader", str(READER)]
    assert main([*verify, "--question", QUESTIONS[0]]) == 0
    assert "Unsupported: 0." in capsys.readouterr().out


def test_predict_trims_batches_and_pads_their_outputs() -> None:
    model = ExportedModel(READER)
    examples = [Example(text, "Mary?") for text in TEXTS] * 20
    feed = model.preprocessor.vectorizer(examples).feed
    whole = model.predict(feed)
    for row in (0, 1, len(feed["token_ids"]) - 1):
        alone = model.predict({name: array[row : row + 1] for name, array in feed.items()})
        used = int(feed["padding_mask"][row].sum())
        for name, value in alone.items():
            np.testing.assert_allclose(whole[name][row], value[0], atol=1e-5)
            assert (value[0, used:] == -1e9).all()


@pytest.mark.parametrize(
    "call",
    [
        lambda qa: qa.fit(DATA),
        lambda qa: qa.save("a.keras"),
        lambda qa: qa.save_pretrained("folder"),
        lambda qa: keras_qa.load(GOLDEN / "ranker").fit(DATA),
    ],
)
def test_an_exported_model_can_neither_be_trained_nor_saved(call, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="is in an exported folder, which can neither be trained"):
        call(keras_qa.load(READER))
    assert not [*tmp_path.iterdir()]


@pytest.fixture
def folder(tmp_path) -> pathlib.Path:
    return shutil.copytree(READER, tmp_path / "reader")


def change(folder: pathlib.Path, **entries: object) -> None:
    """Changes entries of `keras_qa.json`, and its checksum."""
    file = folder / "keras_qa.json"
    settings = {**json.loads(file.read_text()), **entries}
    file.write_text(json.dumps({**settings, "sha256": checksum(settings)}))


def change_decoder(folder: pathlib.Path, **entries: object) -> None:
    """Changes settings of the decoder, and the checksum."""
    graphs = json.loads((folder / "keras_qa.json").read_text())["graphs"]
    graphs[GRAPH]["decoder"].update(entries)
    change(folder, graphs=graphs)


def forge(folder: pathlib.Path, name: str, content: bytes) -> None:
    """Writes a file, its size and its checksum."""
    (folder / name).write_bytes(content)
    files = json.loads((folder / "keras_qa.json").read_text())["files"]
    record = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    change(folder, files={**files, name: record})


def replace_text(folder: pathlib.Path, name: str, old: str, new: str) -> None:
    """Changes a file, and no checksum."""
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new))


def enlarge(folder: pathlib.Path, name: str) -> None:
    """Gives a file a size of 1 TB, of which nothing is on the disk."""
    os.truncate(folder / name, 10**12)


GRAPH = "onnx/model.onnx"
DIFFERS = "is not the file that was exported: its size or checksum differs. Export the model again"
# What is changed in a folder, and the message.
DAMAGED = {
    "no settings": (
        lambda folder: (folder / "keras_qa.json").unlink(),
        r"`keras_qa.json` is missing or cannot be read \(No such file",
    ),
    "no graph": (lambda folder: (folder / GRAPH).unlink(), f"`{GRAPH}` is missing"),
    "no tokenizer": (lambda folder: (folder / "tokenizer.json").unlink(), "`tokenizer.json` is mi"),
    "empty graph": (
        lambda folder: (folder / GRAPH).write_bytes(b""),
        f"`{GRAPH}` {DIFFERS}",
    ),
    "cut graph": (
        lambda folder: (folder / GRAPH).write_bytes((folder / GRAPH).read_bytes()[:-99]),
        f"`{GRAPH}` is not the file that was exported",
    ),
    "changed config": (
        lambda folder: (folder / "config.json").write_text("{}"),
        "`config.json` is not the file that was exported",
    ),
    "settings of another kind": (
        lambda folder: (folder / "keras_qa.json").write_text("[]"),
        "keras_qa.json` must hold a JSON object",
    ),
    "changed settings": (
        lambda folder: replace_text(
            folder, "keras_qa.json", '"max_answer_words": 15', '"max_answer_words": 28'
        ),
        f"`keras_qa.json` {DIFFERS}",
    ),
    "changed settings of the tokenizer": (
        lambda folder: replace_text(folder, "tokenizer_config.json", "[PAD]", "[SEP]"),
        f"`tokenizer_config.json` {DIFFERS}",
    ),
    "graph of zeros": (
        lambda folder: (folder / GRAPH).write_bytes(bytes((folder / GRAPH).stat().st_size)),
        f"`{GRAPH}` {DIFFERS}",
    ),
    "huge graph": (lambda folder: enlarge(folder, GRAPH), f"`{GRAPH}` {DIFFERS}"),
    "huge tokenizer": (
        lambda folder: enlarge(folder, "tokenizer.json"),
        f"`tokenizer.json` {DIFFERS}",
    ),
    "huge settings": (
        lambda folder: enlarge(folder, "keras_qa.json"),
        "`keras_qa.json` has more than 67,108,864 bytes. Export the model again",
    ),
    "later format": (
        lambda folder: change(folder, format=2),
        "has the format 2, and this keras-qa reads formats up to 1. Install a newer keras-qa.",
    ),
    "wrong task": (lambda folder: change(folder, task="x"), "`task` must be one of 'question_ans"),
    "task of other outputs": (
        lambda folder: change(folder, task="token_classification"),
        "`name` must be one of 'tokens', 'pairs'. Received: name='spans'",
    ),
    "graph of another task": (
        lambda folder: forge(folder, GRAPH, (GOLDEN / "ranker" / GRAPH).read_bytes()),
        "its graph has no `end_logits`",
    ),
    "graph of another model": (
        lambda folder: forge(folder, GRAPH, (GOLDEN / "classifier" / GRAPH).read_bytes()),
        "its graph has no `end_logits`",
    ),
    "unknown setting": (
        lambda folder: change_decoder(folder, beams=2),
        r"`keras_qa.json` cannot be read \(TypeError\(.*unexpected keyword argument 'beams'",
    ),
    "other answer types": (
        lambda folder: change_decoder(folder, answer_types=["yes"]),
        r"its graph gives `end_logits` the shape \[1, 6\], which must begin with \[1, 7\]",
    ),
    "no preprocessor": (
        lambda folder: change(folder, graphs={GRAPH: {"name": "spans"}}),
        "`vectorizer` must be an object. Received: none",
    ),
    "forged graph": (lambda folder: forge(folder, GRAPH, b"\x0a\x00"), "ONNX Runtime says: "),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_or_forged_folder_is_one_line(name: str, folder, capsys) -> None:
    damage, message = DAMAGED[name]
    damage(folder)
    with pytest.raises(ValueError, match=message) as raised:
        keras_qa.load(folder).answer("a b", "a")
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) <= 300
    assert error_line(capsys, "answer", folder, "a b", "a").startswith("keras-qa: error: ")


def test_deep_settings_are_one_line(folder) -> None:
    # Some depths can be read, but not be written again.
    for depth in range(700, 1000):
        text = '{"format": 1, "a": ' + '{"a": ' * depth + "1" + "}" * (depth + 1)
        (folder / "keras_qa.json").write_text(text)
        with pytest.raises(
            ValueError, match=f"(`keras_qa.json` {DIFFERS}|is not JSON: maximum rec)"
        ):
            ExportedModel(folder)


@pytest.mark.parametrize(
    "name", ["keras_qa.json", "config.json", "tokenizer.json", "tokenizer_config.json", GRAPH]
)
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_a_file_that_is_not_regular_is_never_opened(name: str, kind: str, folder) -> None:
    (folder / name).unlink()
    make = {"pipe": os.mkfifo, "device": lambda path: path.symlink_to("/dev/zero")}
    make.get(kind, os.mkdir)(folder / name)
    with pytest.raises(ValueError, match=f"`{name}` is not a regular file. Export the model again"):
        ExportedModel(folder)


def test_a_link_to_a_regular_file_is_opened(folder) -> None:
    """Caches of downloads have such links."""
    for name in ("keras_qa.json", GRAPH):
        (folder / name).rename(folder / "content")
        (folder / name).symlink_to(folder / "content")
        assert keras_qa.load(folder).answer("Mary went home.", QUESTIONS[0]).text == "home"
        (folder / name).unlink()
        (folder / "content").rename(folder / name)


def test_words_need_a_class_each(tmp_path) -> None:
    folder = shutil.copytree(GOLDEN / "classifier", tmp_path / "classifier")
    graphs = json.loads((folder / "keras_qa.json").read_text())["graphs"]
    graphs[GRAPH]["vectorizer"]["answers"].append("cellar")
    change(folder, graphs=graphs)
    with pytest.raises(ValueError, match="its graph has fewer classes than the 8 answers"):
        keras_qa.load(folder)
    forge(folder, GRAPH, (READER / GRAPH).read_bytes())
    with pytest.raises(ValueError, match="its graph has no `probabilities`"):
        keras_qa.load(folder)


def test_paths_that_are_no_exported_folder(folder, tmp_path) -> None:
    assert not needs_backend(str(folder))
    assert needs_backend(str(tmp_path))
    assert needs_backend(str(tmp_path / "reader.keras"))
    (folder / "model.safetensors").touch()
    (folder / "keras_qa.json").unlink()
    # Then it is a checkpoint that also has a graph.
    assert needs_backend(str(folder))
    shutil.copy(READER / "keras_qa.json", folder)
    (folder / "onnx" / "other.onnx").touch()
    with pytest.raises(ValueError, match=r"has no graph `onnx/other.onnx`, only onnx/model.onnx"):
        keras_qa.load(folder / "onnx" / "other.onnx")
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        ExportedModel(tmp_path / "none")
    with pytest.raises(ValueError, match="reader` is not such a file. Leave `backbone` out"):
        keras_qa.load(READER, backbone="minilm")


@given(st.binary(max_size=60), st.integers(0, 2_000))
def test_any_bytes_in_a_graph_are_one_line(tmp_path_factory, content: bytes, place: int) -> None:
    folder = shutil.copytree(READER, tmp_path_factory.mktemp("forged") / "reader")
    graph = (folder / GRAPH).read_bytes()
    forge(folder, GRAPH, graph[:place] + content + graph[place + len(content) :])
    message = ""
    try:
        keras_qa.load(folder).answer("Mary went home.", "Who?")
    except ValueError as error:
        message = str(error)
    assert "\n" not in message
    assert len(message) <= 300
    shutil.rmtree(folder)
