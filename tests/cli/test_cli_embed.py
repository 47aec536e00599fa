"""`keras-qa index --embed`, and `ask` with an index that has vectors."""

import pathlib
import shutil

import numpy as np
import pytest
from command_line import error_line
from small_checkpoints import copy

from keras_qa.cli import main
from keras_qa.documents import Index

READER = str(pathlib.Path(__file__).parents[1] / "golden" / "reader.keras")


@pytest.fixture
def texts(tmp_path):
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "a.txt").write_text("Mary went to the hallway.")
    (folder / "b.txt").write_text("John slept.")
    return str(folder)


@pytest.fixture
def encoder(tmp_path):
    return copy("bert", tmp_path / "encoder")


def asking(out: pathlib.Path, question: str, *more: str) -> list[str]:
    return ["ask", str(out), "--reader", READER, f"--question={question}", "--no-answer=no", *more]


class Constant:
    """An encoder with any name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, texts: list[str]) -> np.ndarray:
        return np.ones((len(texts), 4), "float32")


def test_ask_loads_the_encoder_of_the_index(texts, encoder, tmp_path, capsys) -> None:
    out = tmp_path / "a.index"
    assert main(["index", texts, f"--out={out}", f"--embed={encoder}"]) == 0
    assert ": 2 documents, 2 passages with vectors. 2 new" in capsys.readouterr().out
    with Index.open(out) as index:
        assert index.encoder_name == str(encoder.resolve())
        count = index._connection.execute("SELECT count(*) FROM vectors").fetchone()
        assert count == (2,)
    # The texts have no word of the question, so only vectors can find them.
    assert main(asking(out, "Who is there?")) == 0
    printed, errors = capsys.readouterr()
    assert errors == ""
    assert ".txt:1" in printed
    # Update the index without its encoder, and with it.
    pathlib.Path(texts, "c.txt").write_text("Sandra left.")
    errors = error_line(capsys, "index", texts, f"--out={out}")
    assert f"`keras-qa index --embed {encoder.resolve()}`." in errors
    assert main(["index", texts, f"--out={out}", f"--embed={encoder}"]) == 0
    assert "3 passages with vectors. 1 new or changed" in capsys.readouterr().out


def test_a_missing_encoder_raises(texts, encoder, tmp_path, capsys) -> None:
    out = tmp_path / "a.index"
    assert main(["index", texts, f"--out={out}", f"--embed={encoder}"]) == 0
    shutil.rmtree(encoder)
    assert error_line(capsys, *asking(out, "Where is Mary?")) == (
        f"keras-qa: error: `{out}` names the encoder '{encoder.resolve()}', which is neither "
        "minilm nor a local folder. Pass it by `--embed` to load it.\n"
    )
    encoder.mkdir()
    assert error_line(capsys, *asking(out, "Where is Mary?")).startswith(
        f"keras-qa: error: The encoder '{encoder.resolve()}' of `{out}` cannot be loaded. "
        f"`{encoder.resolve()}` has no `config.json`"
    )


@pytest.mark.parametrize(
    "name",
    [
        "hf://mary/reader",
        r"\\host\share",
        "//host/share",
        READER,
        "minilm-squad-small",
        "\0\n\x1b[",
    ],
)
def test_an_index_cannot_name_a_remote_encoder(name, texts, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    if name.startswith(("hf:", "\\")):
        # A folder with this name makes no difference.
        pathlib.Path(name).mkdir(parents=True)
    out = tmp_path / "a.index"
    with Index.create(out, encoder=Constant(name)) as index:
        index.update(texts)
    assert error_line(capsys, *asking(out, "Where is Mary?")) == (
        f"keras-qa: error: `{out}` names the encoder {name!r}, which is neither minilm nor a local "
        "folder. Pass it by `--embed` to load it.\n"
    )


def test_a_given_encoder_must_load(texts, encoder, tmp_path, capsys) -> None:
    out, plain = tmp_path / "a.index", tmp_path / "plain.index"
    assert main(["index", texts, f"--out={out}", f"--embed={encoder}"]) == 0
    Index.create(plain).close()
    second = copy("roberta", tmp_path / "second")
    capsys.readouterr()
    assert main(asking(out, "Who is there?", f"--embed={encoder}")) == 0
    printed, errors = capsys.readouterr()
    assert (".txt:1" in printed, errors) == (True, "")
    for path, told, message in (
        (out, second, f"and none of '{second.resolve()}'. Open it with the encoder that it was"),
        (out, "none", "There is no file `none`, and no preset"),
        (plain, encoder, "was made without an encoder, and has no vectors."),
        (tmp_path / "none.index", encoder, "There is no folder and no index '"),
    ):
        assert message in error_line(capsys, *asking(path, "Who is there?", f"--embed={told}"))
    errors = error_line(capsys, "index", texts, f"--out={tmp_path / 'c.index'}", "--embed=none")
    assert "There is no file `none`, and no preset" in errors
    assert not (tmp_path / "c.index").exists()


def test_ask_updates_vectors_of_a_folder(texts, encoder, tmp_path, capsys) -> None:
    assert main(asking(texts, "Who is there?", f"--embed={encoder}")) == 0
    printed, errors = capsys.readouterr()
    assert ".txt:1" in printed
    assert "2 documents, 2 passages with vectors. 2 new" in errors
    # The encoder of the index also encodes new documents.
    pathlib.Path(texts, "c.txt").write_text("Sandra left.")
    assert main(asking(texts, "Who is there?")) == 0
    printed, errors = capsys.readouterr()
    assert "3 documents, 3 passages with vectors. 1 new" in errors
    with Index.open(f"{texts}.index") as index:
        assert index._connection.execute("SELECT count(*) FROM vectors").fetchone() == (3,)
