"""`keras-qa index --embed` and `ask`: an index that keeps vectors, and finds its encoder."""

import json
import pathlib
import shutil

import pytest
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


def ask(out: pathlib.Path, question: str) -> int:
    return main(["ask", str(out), "--reader", READER, f"--question={question}", "--no-no-answer"])


def test_an_index_finds_its_encoder(texts, encoder, tmp_path, capsys) -> None:
    out = tmp_path / "a.index"
    assert main(["index", texts, f"--out={out}", f"--embed={encoder}"]) == 0
    assert ": 2 documents, 2 passages with vectors. 2 new" in capsys.readouterr().out
    with Index.open(out) as index:
        assert index.encoder_name == str(encoder.resolve())
        count = index._connection.execute("SELECT count(*) FROM vectors").fetchone()
        assert count == (2,)
    # No word of it stands in a text: what is found is found by vectors.
    assert ask(out, "Who is there?") == 0
    printed, errors = capsys.readouterr()
    assert errors == ""
    assert ".txt:1" in printed
    # The same command again, and without its encoder.
    pathlib.Path(texts, "c.txt").write_text("Sandra left.")
    assert main(["index", texts, f"--out={out}"]) == 2
    errors = capsys.readouterr().err
    assert f"`keras-qa index --embed {encoder.resolve()}`." in errors
    assert errors.count("\n") == 1
    assert main(["index", texts, f"--out={out}", f"--embed={encoder}"]) == 0
    assert "3 passages with vectors. 1 new or changed" in capsys.readouterr().out


def test_evaluate_finds_the_encoder_too(texts, encoder, tmp_path, capsys) -> None:
    out, data = tmp_path / "a.index", tmp_path / "questions.jsonl"
    assert main(["index", texts, f"--out={out}", f"--embed={encoder}"]) == 0
    example = {"text": "John slept.", "question": "Who?", "answers": ["John"], "answer_start": [0]}
    data.write_text(json.dumps(example))
    capsys.readouterr()
    arguments = [f"--index={out}", f"--data={data}", "--no-no-answer"]
    assert main(["evaluate", READER, *arguments]) == 0
    printed, errors = capsys.readouterr()
    assert errors == ""
    # By words it would not be found.
    assert "100.0 % at 20, 1 examples" in printed


def test_without_its_encoder_words_are_searched(texts, encoder, tmp_path, capsys) -> None:
    out = tmp_path / "a.index"
    assert main(["index", texts, f"--out={out}", f"--embed={encoder}"]) == 0
    shutil.rmtree(encoder)
    capsys.readouterr()
    assert ask(out, "Where is Mary?") == 0
    printed, errors = capsys.readouterr()
    assert "a.txt:1" in printed
    first, second = errors.splitlines()
    assert first.startswith(f"keras-qa: The encoder of {out} cannot be loaded: There is no file `")
    assert second.startswith(f"keras-qa: `{out}` has vectors of the encoder '{encoder.resolve()}'")
    assert "it is searched by words alone" in second


def test_what_is_wrong_is_one_line(texts, encoder, tmp_path, capsys) -> None:
    plain, other = tmp_path / "plain.index", tmp_path / "other.index"
    Index.create(plain).close()
    assert main(["index", texts, f"--out={other}", f"--embed={encoder}"]) == 0
    second = copy("roberta", tmp_path / "second")
    capsys.readouterr()
    for arguments, message in (
        ([f"--out={plain}", f"--embed={encoder}"], "was made without an encoder, and has no vec"),
        ([f"--out={other}", f"--embed={second}"], f"and none of '{second.resolve()}'. Open it wi"),
        ([f"--out={tmp_path / 'c.index'}", "--embed=none"], "There is no file `none`, and no pre"),
    ):
        assert main(["index", texts, *arguments]) == 2
        errors = capsys.readouterr().err
        assert message in errors
        assert errors.count("\n") == 1
    assert not (tmp_path / "c.index").exists()
