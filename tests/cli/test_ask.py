"""`keras-qa ask`: answers from a folder or an index, with or without vectors."""

import io
import json
import pathlib
import re
import shutil
import sys

import pytest
from command_line import error_line
from small_checkpoints import copy, cross_encoder
from small_encoders import Letters

import keras_qa
from keras_qa.answering.opening import DEFAULT_READER
from keras_qa.cli import main
from keras_qa.cli.ask import load_ranker
from keras_qa.documents import Index

READER = str(pathlib.Path(__file__).parents[1] / "golden" / "reader.keras")
TEXTS = {
    "a.txt": "\n" * 900 + "Mary went to the \x1b[31mhallway.",
    "\x1b[32m.txt": "Once more Mary went to the hallway.",
}


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> str:
    found = tmp_path_factory.mktemp("asking") / "a.index"
    with Index.create(found, language="en") as index:
        index.add({"name": name, "text": text} for name, text in TEXTS.items())
    return str(found)


def test_answers_are_marked_with_their_locations(path, capsys) -> None:
    arguments = ["ask", path, "--reader", READER, "--question=Where is Mary?", "--no-answer=no"]
    assert main([*arguments, "--top-k=2"]) == 0
    printed, errors = capsys.readouterr()
    assert errors == ""
    lines = printed.splitlines()
    assert len(lines) == 6
    for at in (0, 3):
        answer = lines[at].split(" %")[0] and lines[at].split("  ")[-1]
        assert f"«{answer}»" in lines[at + 1]
        assert lines[at + 2].strip() in ("a.txt:901", "\N{REPLACEMENT CHARACTER}[32m.txt:1")
    assert "\x1b" not in printed


def test_a_ranker_sorts_the_passages(capsys, tmp_path) -> None:
    path, question = str(tmp_path / "a.index"), "Where is Mary?"
    texts = ["Mary went to the hallway.", "Once more Mary went to the bathroom."]
    with Index.create(path, language="en") as index:
        index.add({"name": f"{number}.txt", "text": text} for number, text in enumerate(texts))
    ranker = keras_qa.answering.Reranker(cross_encoder(tmp_path / "cross"))
    head = ranker.model_.get_layer("logits").logits
    # Its logits outweigh the search.
    head.kernel.assign(head.kernel * 100)
    arguments = ["ask", path, "--reader", READER, question, "--no-answer=no", "--passages=1"]
    for sign in (1, -1):
        head.kernel.assign(head.kernel * sign)
        ranker.save(tmp_path / "ranker.keras")
        best = ranker.rank(question, texts)[0].index
        assert main([*arguments, "--ranker", str(tmp_path / "ranker.keras")]) == 0
        printed = capsys.readouterr().out
        assert [f"{number}.txt:1" in printed for number in range(2)] == [best == 0, best == 1]
    assert main([*arguments, "--ranker=none"]) == main(arguments) == 0
    printed = capsys.readouterr().out
    assert printed == 2 * printed[: len(printed) // 2]
    assert (load_ranker("none"), load_ranker(None)) == (None, "auto")
    errors = error_line(capsys, "ask", path, "--reader", READER, question, "--ranker", READER)
    assert "is not a ranker. Expected" in errors


def test_questions_from_a_prompt(path, capsys, monkeypatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("Where is Mary?\nzebra?\n\nWhere is John?\n"))
    assert main(["ask", path, "--reader", READER, "--min-score=1"]) == 0
    # Questions that are not typed are printed, too.
    answer = r" +\d+\.\d%  \(no answer\)\n"
    printed = capsys.readouterr().out
    assert re.fullmatch(rf"Where is Mary\?\n{answer}\nzebra\?\n{answer}", printed)
    monkeypatch.setattr("sys.stdin", None)
    errors = error_line(capsys, "ask", path, "--reader", READER)
    assert "`ask` needs a question: standard input is closed." in errors


@pytest.fixture
def shards(tmp_path, monkeypatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    names = ["a.index", "b.index"]
    for name, (document, text) in zip(names, TEXTS.items(), strict=True):
        with Index.create(name, language="en") as index:
            index.add([{"name": document, "text": text}])
    return names


def test_several_indexes_are_asked_as_one(path, shards, capsys, monkeypatch) -> None:
    options = ["--reader", READER, "--no-answer=no", "--top-k=2"]
    assert main(["ask", path, "Where is Mary?", *options]) == 0
    expected = capsys.readouterr()
    assert expected.out.count(".txt:") == 2
    assert main(["ask", *shards, "Where is Mary?", *options]) == 0
    assert capsys.readouterr() == expected
    # The question may be longer than a file name.
    assert main(["ask", *options, *shards, "--question", f"Where is{' ' * 300}Mary?"]) == 0
    assert main(["ask", shards[0], *options, shards[1], f"Where is{' ' * 300}Mary?"]) == 0
    monkeypatch.setattr("sys.stdin", io.StringIO("Where is Mary?\n"))
    capsys.readouterr()
    assert main(["ask", *shards, *options]) == 0
    assert capsys.readouterr().out == f"Where is Mary?\n{expected.out}"


def test_only_indexes_are_asked_as_one(shards, tmp_path, capsys) -> None:
    (tmp_path / "handbook").mkdir()
    (tmp_path / "a.txt").write_text("A text.")
    with Index.create("vectors.index", "en", Letters()) as index:
        index.add([{"name": "c", "text": "A text."}])
    advice = "and only indexes can be searched as one. Make an index of it by `keras-qa index`."
    for second, message in (
        ("handbook", f"'handbook' is a folder or a document, {advice}"),
        ("a.txt", f"'a.txt' is a folder or a document, {advice}"),
        ("none.index", "There is no folder and no file 'none.index'. If the question begins there"),
        ("a.index", "as one must have documents of different names. `a.index` and `a.index` both"),
        ("vectors.index", "as one must have the same encoder. `a.index` has None, `vectors.index"),
    ):
        errors = error_line(capsys, "ask", "a.index", second, "Where?", "--reader", READER)
        assert message in errors
        assert len(errors) < 330
        if second != "none.index":
            assert message in error_line(capsys, "ask", "a.index", second, "--reader", READER)
    errors = error_line(capsys, "ask", *shards, "Where?", "--encoding=cp1252", "--reader", READER)
    assert "`--encoding` is for a folder or a document, and 'a.index' is an index." in errors


@pytest.fixture
def folder(tmp_path, monkeypatch) -> pathlib.Path:
    monkeypatch.chdir(tmp_path)
    found = tmp_path / "handbook"
    found.mkdir()
    (found / "lamp.txt").write_text("The warranty of the lamp lasts three years.")
    (found / "desk.txt").write_text("The desk is made of oak.")
    return found


def test_default_reader_answers_from_a_folder(folder, capsys) -> None:
    assert DEFAULT_READER in keras_qa.presets()
    text = "# Lamp\n\nThe [warranty](a.html) of it lasts **three** years."
    (folder / "lamp.txt").rename(folder / "lamp.md").write_text(text)
    assert main(["ask", "handbook/", "How long does the warranty last?"]) == 0
    printed, errors = capsys.readouterr()
    answer, sentence, place = (line.strip() for line in printed.splitlines())
    assert answer.endswith("%  three years")
    assert sentence == "The warranty of it lasts «three years»."
    assert place == "lamp.md:3"
    assert errors.startswith("handbook.index: 2 documents, 2 passages. 2 new or changed, 0 gone")
    with Index.open("handbook.index") as index:
        assert sorted(index.names) == ["desk.txt", "lamp.md"]


@pytest.mark.parametrize("name", ["lamp.txt", "lamp.md", "lamp.HTML", "lamp.csv"])
def test_one_document_is_asked(name: str, folder, capsys) -> None:
    text = (folder / "lamp.txt").read_text()
    (folder / "lamp.txt").rename(folder / name).write_text(f"text\n{text}\n")
    asked = ["ask", f"handbook/{name}", "How long is the warranty?", "--reader", READER]
    assert main([*asked, "--no-answer=no", "--index=one.index"]) == 0
    printed, errors = capsys.readouterr()
    assert re.search(rf"^ +{re.escape(name)}(#1)?:\d$", printed, re.MULTILINE)
    assert errors.startswith("one.index: 1 document, 1 passage. 1 new or changed")
    assert main(asked) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["desk.txt", name, f"{name}.index"]


def test_verify_with_a_question(folder, capsys) -> None:
    answer = "It has three years of warranty. It is made of glass."
    asked = ["verify", answer, "--documents=handbook"]
    assert main([*asked, "--question=How long does the warranty last?"]) == 1
    assert capsys.readouterr() == (
        "It has three years of warranty. «It is made of glass.»\n\n"
        "Unsupported: 1.\n"
        "  supported  lamp.txt:1  It has three years of warranty.\n",
        "",
    )
    sure = ["--question=How long does the warranty last?", "--threshold=1"]
    assert main([*asked, *sure, f"--reader={DEFAULT_READER}", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)["results"]
    assert [one["supported"] for one in found] == [False, False]
    assert 0.5 < found[0]["score"] < 1
    # Nothing is left beside the folder.
    assert [path.name for path in folder.parent.iterdir()] == ["handbook"]


def test_a_terminal_shows_what_is_read_before_the_imports(tmp_path, monkeypatch, capsys) -> None:
    (tmp_path / "a.txt").write_text("The door is red.")
    monkeypatch.setitem(sys.modules, "keras_qa.answering.answerer", None)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert main(["ask", str(tmp_path), "What is red?"]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first == f"Reading {tmp_path} …"
    assert "import of keras_qa.answering.answerer halted" in second


def test_the_index_is_updated_before_each_question(folder, capsys) -> None:
    asked = ["ask", "handbook", "--reader", READER, "--no-answer=no", "Where is the desk?"]
    assert main(asked) == 0
    capsys.readouterr()
    assert main(asked) == 0
    printed, errors = capsys.readouterr()
    assert ("desk.txt:1" in printed, errors) == (True, "")
    (folder / "desk.txt").unlink()
    (folder / "sofa.txt").write_text("Where the desk is, is no sofa.")
    (folder / "odd.txt").write_bytes(b"\xff")
    assert main(asked) == 0
    printed, errors = capsys.readouterr()
    assert "sofa.txt:1" in printed
    assert "desk.txt" not in printed
    assert errors.splitlines()[0].startswith("Left out odd.txt: it is not UTF-8")
    assert errors.splitlines()[1].startswith(
        "handbook.index: 2 documents, 2 passages. 1 new or changed, 1 gone, 1 left out"
    )


def test_options_of_the_index(folder, tmp_path, capsys) -> None:
    (folder / "odd.txt").write_bytes(b"Caf\xe9 desk.")
    asked = ["ask", str(folder), "desk?", "--reader", READER, "--no-answer=no"]
    given = ["--index=a.index", "--encoding=cp1252", "--language=en"]
    assert main([*asked, *given]) == 0
    assert "3 new or changed, 0 gone, 0 left out" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.index", "handbook"]
    with Index.open("a.index") as index:
        assert (index.text("odd.txt"), index.language) == ("Café desk.", "en")
    # The index remembers the encoding.
    (folder / "new.txt").write_bytes(b"A new caf\xe9.")
    assert main([*asked, "--index=a.index"]) == 0
    errors = capsys.readouterr().err
    assert errors.startswith("a.index: 4 documents, 4 passages. 1 new or changed, 0 gone, 0 left")
    assert errors.endswith(". Settings: language en, encoding cp1252.\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["hanbook"], "There is no folder and no file 'hanbook'. Give a folder of documents, on"),
        (["empty"], "'empty' holds no document that can be read. Expected files that"),
        (["empty/picture.png"], "is not an index of keras-qa: it is not an SQLite file. Make one"),
        (
            ["empty/picture.png", "--index=a.index"],
            "`--index` is for a folder or a document, and '",
        ),
        (["empty/picture.png", "--max-seconds=9"], "`--max-seconds` is for a folder or a document"),
        (["empty/picture.png", "--language=en"], "`--language` is for a folder or a document, and"),
        (["handbook", "--question=b"], "The question must be given once. Received: 'a', and --que"),
        (["handbook", "--index=none/a.index"], "`path` is in a folder that does not exist: 'none"),
        (["handbook", "--reader=none"], "There is no file `none`, and no preset of that name."),
        (["handbook", "--language=x"], "`language` must be a code of two or three letters"),
        (["/", "--reader", READER], "The folder '/' has no name. Name its index by `--index`."),
    ],
)
def test_errors_are_one_line(folder, tmp_path, capsys, arguments, message) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "picture.png").write_bytes(b"")
    reader = [] if any("--reader" in one for one in arguments) else ["--reader", READER]
    errors = error_line(capsys, "ask", arguments[0], "a", *arguments[1:], *reader)
    assert message in errors
    assert len(errors) < 330
    # A failed command leaves no files.
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "handbook"]


@pytest.mark.parametrize("question", ["", " \n"])
def test_a_blank_question_is_an_error_and_no_answer(folder, capsys, question) -> None:
    message = f"`question` must be more than white space. Received: question={question!r}."
    for arguments in (("ask", "handbook", question), ("answer", READER, "A text.", question)):
        assert message in error_line(capsys, *arguments)
    (folder / "blank.txt").write_text("\n \n")
    for text in (question, "handbook/blank.txt"):
        error = error_line(capsys, "answer", READER, text, "Who slept?")
        assert "`text` must be more than white space. Received: text=" in error


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


def test_ask_loads_the_encoder_of_the_index(texts, encoder, tmp_path, capsys) -> None:
    out = tmp_path / "a.index"
    assert main(["index", texts, f"--output={out}", f"--embed={encoder}"]) == 0
    assert ": 2 documents, 2 passages with vectors. 2 new" in capsys.readouterr().out
    with Index.open(out) as index:
        assert index.encoder_name == str(encoder.resolve())
    # The texts have no word of the question, so only vectors can find them.
    assert main(asking(out, "Who is there?")) == 0
    printed, errors = capsys.readouterr()
    assert errors == ""
    assert ".txt:1" in printed
    # `index` loads it, too.
    pathlib.Path(texts, "c.txt").write_text("Sandra left.")
    assert main(["index", texts, f"--output={out}"]) == 0
    printed = capsys.readouterr().out
    assert "3 passages with vectors. 1 new or changed" in printed
    assert printed.endswith(f"encoder {encoder.resolve()}.\n")


def test_vectors_are_added_to_the_index_of_a_folder(texts, encoder, capsys) -> None:
    assert main(asking(texts, "Where is Mary?")) == 0
    assert "2 passages. 2 new or changed" in capsys.readouterr().err
    assert main(["index", texts, f"--embed={encoder}"]) == 0
    assert "2 passages with vectors. 0 new or changed" in capsys.readouterr().out
    assert main(asking(texts, "Who is there?")) == 0
    printed, errors = capsys.readouterr()
    assert (".txt:1" in printed, errors) == (True, "")


def test_a_missing_encoder_raises(texts, encoder, tmp_path, capsys) -> None:
    out = tmp_path / "a.index"
    assert main(["index", texts, f"--output={out}", f"--embed={encoder}"]) == 0
    shutil.rmtree(encoder)
    assert error_line(capsys, *asking(out, "Where is Mary?")) == (
        f"keras-qa: error: `{out}` names the encoder '{encoder.resolve()}', which is neither "
        "minilm nor a local folder. Pass it by `--embed` to load it.\n"
    )
    encoder.mkdir()
    errors = error_line(capsys, *asking(out, "Where is Mary?"))
    assert errors.startswith(f"keras-qa: error: The encoder '{encoder.resolve()}' of `")
    assert "cannot be loaded. `" in errors
    # A line has at most 300 characters, and the paths of tests are long.
    assert "has no `config.json` with a" in errors


@pytest.mark.parametrize(
    "name",
    [
        "hf://mary/reader",
        r"\\host\share",
        "//host/share",
        READER,
        "minilm-squad",
        "\0\n\x1b[",
    ],
)
def test_an_index_cannot_name_a_remote_encoder(name, texts, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    if name.startswith(("hf:", "\\")):
        # A folder with this name makes no difference.
        pathlib.Path(name).mkdir(parents=True)
    out, named = tmp_path / "a.index", Letters()
    named.name = name
    with Index.create(out, encoder=named) as index:
        index.update(texts)
    assert error_line(capsys, *asking(out, "Where is Mary?")) == (
        f"keras-qa: error: `{out}` names the encoder {name!r}, which is neither minilm nor a local "
        "folder. Pass it by `--embed` to load it.\n"
    )


def test_a_given_encoder_must_load(texts, encoder, tmp_path, capsys) -> None:
    out, plain = tmp_path / "a.index", tmp_path / "plain.index"
    assert main(["index", texts, f"--output={out}", f"--embed={encoder}"]) == 0
    Index.create(plain).close()
    second = copy("roberta", tmp_path / "second")
    capsys.readouterr()
    assert main(asking(out, "Who is there?", f"--embed={encoder}")) == 0
    printed, errors = capsys.readouterr()
    assert (".txt:1" in printed, errors) == (True, "")
    for path, told, message in (
        (out, second, "Open it with the encoder that it was made with, or create another index."),
        (out, "none", "There is no file `none`, and no preset"),
        (plain, encoder, "was made without an encoder, and has no vectors. Add them: `In"),
        (tmp_path / "none.index", encoder, "There is no folder and no file '"),
    ):
        assert message in error_line(capsys, *asking(path, "Who is there?", f"--embed={told}"))
    errors = error_line(capsys, "index", texts, f"--output={tmp_path / 'c.index'}", "--embed=none")
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
