"""`--json` of each command: one object on standard output, with the fields that the docs list."""

import dataclasses
import io
import json
import pathlib

import pytest
from command_line import error_line, json_results
from pdf_files import at, write_pdf
from small_examples import EXAMPLES, SPANS, squad_file

import keras_qa
from keras_qa.cli import main
from keras_qa.cli.output import Results
from keras_qa.documents import Index

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"
READER = GOLDEN / "exported" / "reader"
TEXT, QUESTION = "then she slept. Mary went to the bathroom.", "Where went Mary?"


def as_json(value: object) -> object:
    return json.loads(json.dumps(value, default=dataclasses.asdict))


@pytest.fixture
def data(tmp_path) -> pathlib.Path:
    rows = [{"text": e.text, "question": e.question, "answer": e.answers[0]} for e in EXAMPLES]
    (tmp_path / "data.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return tmp_path / "data.jsonl"


def test_answer(tmp_path, capsys) -> None:
    reader = keras_qa.load(READER)
    (found,) = json_results(capsys, "answer", READER, TEXT, QUESTION, "--top-k=2")
    assert found["question"] == QUESTION
    assert found["answers"] == as_json(reader.answer(TEXT, QUESTION, top_k=2))
    questions, out = tmp_path / "questions.jsonl", tmp_path / "answers.jsonl"
    questions.write_text(json.dumps({"text": TEXT, "question": QUESTION}))
    (found,) = json_results(capsys, "answer", READER, "--input", questions, "--output", out)
    assert found == {"output": str(out), "questions": 1, "answered_before": 0}


def test_index_and_ask(tmp_path, capsys, monkeypatch) -> None:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text(TEXT)
    (tmp_path / "texts" / "b.txt").write_bytes(b"\xff")
    path = tmp_path / "a.index"
    (found,) = json_results(capsys, "index", tmp_path / "texts", "--output", path)
    assert (found.pop("output"), [*found.pop("unreadable")]) == (str(path), ["b.txt"])
    counts = {"documents": 1, "passages": 1, "written": 1, "removed": 0, "kept": 0, "others": {}}
    assert found == counts
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{QUESTION}\nWho slept?\n"))
    results = json_results(capsys, "ask", path, "--reader", READER, "--no-answer=no")
    assert [found["question"] for found in results] == [QUESTION, "Who slept?"]
    with Index.open(path) as index:
        for found in results:
            answers = keras_qa.load(READER).ask(index, found["question"], 1, no_answer=False)
            assert found["answers"] == as_json(answers)
            assert found["answers"][0]["document"] == "a.txt"


def test_ask_a_pdf_file(tmp_path, capsys) -> None:
    write_pdf(tmp_path / "a.pdf", [b"", at(50, 700, TEXT)])
    path, options = tmp_path / "a.pdf", ("--reader", READER, "--no-answer=no")
    (found,) = json_results(capsys, "ask", path, QUESTION, *options)
    (answer,) = found["answers"]
    with Index.open(tmp_path / "a.pdf.index") as index:
        (box,) = index.boxes("a.pdf", answer["start"], answer["end"])
    edges = {"left": box.left, "top": box.top, "right": box.right, "bottom": box.bottom}
    assert answer["boxes"] == [{"page": 2, **edges}]


def test_verify(tmp_path, capsys) -> None:
    (tmp_path / "a.txt").write_text("The lamp costs 1,200 euros.")
    answer = "The lamp costs 1,200 euros. It costs 1,300 euros."
    arguments = ["verify", answer, "--documents", tmp_path / "a.txt", "--reader=none"]
    results = json_results(capsys, *arguments, code=1)
    assert [found["supported"] for found in results] == [True, False]
    assert results[1]["instead"] == "The lamp costs 1,200 euros."


def test_train_and_evaluate(data, tmp_path, capsys) -> None:
    out = tmp_path / "qa.keras"
    options = ["--data", data, "--validation-data", data, "--model=answer_classifier"]
    options += ["--epochs=1", "--seed=3", "--output", out]
    (trained,) = json_results(capsys, "train", *options)
    assert (trained["output"], trained["adapter"]) == (str(out), None)
    assert [(run["model"], run["seed"]) for run in trained["runs"]] == [("answer_classifier", 3)]
    (found,) = json_results(capsys, "evaluate", out, "--data", data)
    assert found == trained["scores"] == keras_qa.load(out).evaluate(EXAMPLES)


def test_evaluate_spans_and_documents(tmp_path, capsys) -> None:
    data, page, path = tmp_path / "a.json", tmp_path / "a.html", tmp_path / "a.index"
    squad_file(data, SPANS)
    arguments = ["evaluate", GOLDEN / "reader.keras", "--data", data]
    (found,) = json_results(capsys, *arguments, "--report", page)
    assert (found["examples"], found["report"]) == (len(SPANS), str(page))
    assert (found["version"], found["coverage"]) == ("1.1", [])
    with Index.create(path) as index:
        index.add({"name": str(n), "text": text} for n, text in enumerate({s.text for s in SPANS}))
    (found,) = json_results(capsys, *arguments, "--index", path, "--no-answer=no")
    assert found["located"] == len(SPANS)
    assert found["coverage"][-1]["coverage"] == 1


def test_export(tmp_path, capsys) -> None:
    reader = GOLDEN / "classifier.keras"
    (found,) = json_results(capsys, "export", reader, "--output", tmp_path / "folder")
    assert found == {"output": str(tmp_path / "folder"), "int8": None}
    assert (tmp_path / "folder" / "onnx" / "model.onnx").is_file()


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        ([], "`export` needs the folder to write: FOLDER or --output."),
        (["a", "--output=b"], "The output must be given once. Received: 'a', and --output 'b'."),
    ],
)
def test_export_needs_one_folder(folders: list[str], message: str, capsys) -> None:
    assert message in error_line(capsys, "export", GOLDEN / "classifier.keras", *folders)


def test_nan_is_null(capsys) -> None:
    results = Results()
    with results.as_json("train"):
        results.add(history=[float("nan"), 1.5], scores=None)
        print("progress")
    results.print()
    results.print()
    printed = '{"command": "train", "results": [{"history": [null, 1.5], "scores": null}]}\n'
    assert capsys.readouterr() == (printed, "")


def test_errors_are_in_the_object_and_on_standard_error(tmp_path, capsys, monkeypatch) -> None:
    assert main(["answer", str(READER), "none.txt", QUESTION, "--json"]) == 2
    printed, errors = capsys.readouterr()
    found = json.loads(printed)
    assert (found["command"], found["results"]) == ("answer", [])
    assert found["error"].startswith("There is no text file 'none.txt', and without a space")
    assert errors == f"keras-qa: error: {found['error']}\n"

    def interrupt(*given: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("keras_qa.cli.data.read_text", interrupt)
    assert main(["answer", str(READER), "A text.", QUESTION, "--json"]) == 130
    printed, errors = capsys.readouterr()
    assert json.loads(printed)["error"] == errors.removeprefix("keras-qa: ").strip()
    # A wrong option.
    with pytest.raises(SystemExit):
        main(["answer", str(READER), "--json", "--none"])
    assert capsys.readouterr().out == ""
