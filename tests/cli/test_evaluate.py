"""Readers of spans on the command line: training, official scores, options of answers."""

import dataclasses
import json

import numpy as np
import pytest
from command_line import error_line
from report_cases import Page
from small_examples import SPANS as EXAMPLES
from small_examples import WITHOUT, read_lines, squad_file

import keras_qa
from keras_qa import Example, metrics
from keras_qa.cli import main

SMALL = json.dumps({"units": 8, "embedding_dim": 8, "dropout": 0.0})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A reader that can give no answer, and its files."""
    folder = tmp_path_factory.mktemp("readers")
    both = squad_file(folder / "both.json", EXAMPLES + WITHOUT, "made")
    # Its ids are those of the first questions of the other file.
    answered = squad_file(folder / "answered.json", EXAMPLES)
    arguments = ["--data", both, answered, f"--validation-data={both}"]
    arguments += [f"--output={folder / 'reader.keras'}"]
    arguments += ["--model=span_reader", f"--model-options={SMALL}", "--epochs=2"]
    arguments += ["--max-length=16", "--learning-rate=0.02", f"--results={folder / 'results.json'}"]
    assert main(["train", *arguments]) == 0
    return folder


def test_train_uses_recipe_and_window_length(folder) -> None:
    loaded = keras_qa.load(folder / "reader.keras")
    assert loaded.vectorizer_.max_length == 16
    assert loaded.model_.preprocessor.decoder.no_answer
    (run,) = json.loads((folder / "results.json").read_text())
    assert (run["model"], run["questions"], run["epochs"]) == ("span_reader", 32 + 16, 2)
    assert run["data"] == f"{folder / 'both.json'}, {folder / 'answered.json'}"
    assert len(run["history"]["val_accuracy"]) == 2
    scores = loaded.evaluate(EXAMPLES + WITHOUT)
    assert run["validation_error"] == pytest.approx(100 - scores["exact_match"], abs=1e-3)


def test_yes_and_no_are_trained_and_printed_without_a_place(tmp_path, capsys) -> None:
    rows = [
        {"question": "is it red", "passage": "the car is red.", "answer": True, "title": "Car"},
        {"question": "is it blue", "passage": "the car is red.", "answer": False, "title": "Car"},
    ]
    data, out = tmp_path / "train.jsonl", str(tmp_path / "reader.keras")
    data.write_text("\n".join(map(json.dumps, rows * 4)))
    arguments = ["train", f"--data={data}", f"--validation-data={data}", "--model=span_reader"]
    arguments += [f"--model-options={SMALL}", "--epochs=12", "--learning-rate=0.02"]
    assert main([*arguments, "--answer-types", "span", "yes", "no", f"--output={out}"]) == 0
    assert "exact match 100.0 %" in capsys.readouterr().out
    asked = ["--text=the car is red.", "--question=is it blue"]
    assert main(["answer", out, *asked]) == 0
    assert capsys.readouterr().out.split()[1:] == ["no"]
    report = tmp_path / "report.html"
    assert main(["evaluate", out, f"--data={data}", f"--report={report}"]) == 0
    assert report.exists()


def test_evaluate_prints_official_scores(folder, capsys) -> None:
    path = folder / "report.html"
    arguments = ["evaluate", str(folder / "reader.keras"), f"--data={folder / 'both.json'}"]
    assert main([*arguments, f"--report={path}"]) == 0
    printed = capsys.readouterr().out
    official = json.loads(printed.split("Official scores of SQuAD 2.0: ")[1].splitlines()[0])
    data = keras_qa.datasets.squad.load(folder / "both.json")
    loaded = keras_qa.load(folder / "reader.keras")
    predictions = dict(zip([e.id for e in data], loaded.predict(data), strict=True))
    for name, value in metrics.squad(predictions, data, "2.0").items():
        assert official[name] == value
    assert {"best_exact", "best_f1_thresh"} <= official.keys()
    page = Page(path.read_text(encoding="utf-8"))
    assert page.tables["official"][0] == ["score", "SQuAD 2.0"]
    assert [row[0] for row in page.tables["lengths"][1:]] == ["no answer", "1 word", "2 words"]
    assert page.tables["words"][1][:2] == ["what", "32"]
    assert main([*arguments[:2], f"--data={folder / 'answered.json'}", "--version=1.1"]) == 0
    official = json.loads(capsys.readouterr().out.split("Official scores of SQuAD 1.1: ")[1])
    kept = {e.id: predictions[e.id] for e in data if e.answers}
    assert official == metrics.squad(kept, [e for e in data if e.answers], "1.1")


def test_several_files_are_evaluated_by_source(folder, tmp_path, capsys) -> None:
    # The ids of both files are the same.
    both = str(folder / "both.json")
    other = squad_file(tmp_path / "other.json", EXAMPLES[:4], "more")
    path = tmp_path / "report.html"
    arguments = ["evaluate", str(folder / "reader.keras"), "--data", both, other]
    assert main([*arguments, f"--report={path}"]) == 0
    printed = capsys.readouterr().out
    official = json.loads(printed.split("Official scores of SQuAD 2.0: ")[1].splitlines()[0])
    examples = EXAMPLES + WITHOUT + EXAMPLES[:4]
    predictions = keras_qa.load(folder / "reader.keras").predict(examples)
    for name, value in metrics.squad(predictions, examples, "2.0").items():
        assert official[name] == value
    page = Page(path.read_text(encoding="utf-8"))
    assert page.found("h1") == [f"reader.keras on {both}, {other}"]
    assert [row[:2] for row in page.tables["sources"][1:]] == [["made", "32"], ["more", "4"]]
    headings = ["By source", "By question word", "By answer length"]
    assert page.found("h2")[1:4] == headings


def test_reader_starts_from_word_vectors(tmp_path, capsys) -> None:
    words = ["door", "box", "car", "colour"]
    array = np.random.default_rng(0).normal(size=(4, 5)).astype("float32")
    rows = zip(words, array.tolist(), strict=True)
    text = "".join(f"{word} {' '.join(map(str, row))}\n" for word, row in rows)
    (tmp_path / "vectors.txt").write_text(text)
    data = squad_file(tmp_path / "data.json", EXAMPLES[:8])
    arguments = [f"--data={data}", "--model=span_reader", f"--output={tmp_path / 'a.keras'}"]
    arguments += [f"--vectors={tmp_path / 'vectors.txt'}", '--model-options={"units": 4}']
    arguments += ["--epochs=1"]
    assert main(["train", *arguments]) == 0
    assert "Read the vectors of 4 words, 5 numbers each." in capsys.readouterr().out
    loaded = keras_qa.load(tmp_path / "a.keras")
    ids = [loaded.vectorizer_.tokenizer.vocabulary.index(word) for word in words]
    (table,) = loaded.model_.get_layer("words").get_weights()
    np.testing.assert_array_equal(table[ids], array)
    loaded.fit(EXAMPLES[:8], epochs=1, verbose=0)
    np.testing.assert_array_equal(loaded.model_.get_layer("words").get_weights()[0], table)


def test_wrong_offsets_raise_or_are_counted(folder, tmp_path, capsys) -> None:
    wrong = Example(EXAMPLES[0].text, EXAMPLES[0].question, "red", 3)
    data = squad_file(tmp_path / "data.json", [EXAMPLES[0], wrong])
    arguments = ["evaluate", str(folder / "reader.keras"), f"--data={data}"]
    assert "(id 'q1'): the answer 'red' is not at 3" in error_line(capsys, *arguments)
    assert main([*arguments, "--lenient"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("Skipped 1 of 2 questions")
    assert " 1 example\n" in printed


@pytest.mark.parametrize(
    ("name", "value", "flag"),
    [
        ("max_answer_words", 1, "--max-answer-words=1"),
        ("no_answer", False, "--no-answer=no"),
        ("whole_words", False, "--whole-words=no"),
        ("max_length", 9, "--max-length=9"),
        ("stride", 3, "--stride=3"),
        ("max_question_length", 4, "--max-question-length=4"),
    ],
)
def test_options_of_answer(folder, tmp_path, capsys, name: str, value, flag: str) -> None:
    path = folder / "reader.keras"
    loaded = keras_qa.load(path)
    # More than one window of 16 words. The accent joins the mark and the next word.
    text = " ".join(item.text for item in EXAMPLES[2:8:2]) + " o'\u0301clock"
    question = "What colour is the car?"
    expected = loaded.answer(text, question, top_k=50, **{name: value})
    assert expected != loaded.answer(text, question, top_k=50)
    one = ["answer", str(path), flag, "--top-k=50"]
    assert main([*one, f"--text={text}", f"--question={question}"]) == 0
    shown = [line.split("%  ") for line in capsys.readouterr().out.splitlines() if "%" in line]
    assert [(float(score), answer) for score, answer in shown] == [
        (float(f"{100 * answer.score:.1f}"), answer.text or "(no answer)") for answer in expected
    ]
    asked, out = tmp_path / "asked.jsonl", tmp_path / "out.jsonl"
    asked.write_text(json.dumps({"text": text, "question": question}))
    assert main([*one, f"--input={asked}", f"--output={out}"]) == 0
    (row,) = read_lines(out)
    assert [answer["text"] for answer in row["answers"]] == [answer.text for answer in expected]


def test_all_spans_of_answer(folder, tmp_path, capsys) -> None:
    item, path = EXAMPLES[0], tmp_path / "reader.keras"
    loaded = keras_qa.load(folder / "reader.keras")
    preprocessor = loaded.model_.preprocessor
    # After two epochs no score is high.
    preprocessor.decoder = dataclasses.replace(preprocessor.decoder, span_threshold=0.0)
    loaded.save(path)
    expected = loaded.answer(item, all_spans=True, no_answer=False)
    assert expected
    command = ["answer", str(path), "--all-spans", "--no-answer=no"]
    assert main([*command, f"--text={item.text}", f"--question={item.question}"]) == 0
    found = [line for line in capsys.readouterr().out.splitlines() if "%" in line]
    assert [line.split("  ")[-1] for line in found] == [answer.text for answer in expected]
    asked, out = tmp_path / "asked.jsonl", tmp_path / "out.jsonl"
    rows = [{"text": text, "question": item.question} for text in (item.text, "")]
    asked.write_text("\n".join(map(json.dumps, rows)))
    assert main([*command, f"--input={asked}", f"--output={out}"]) == 0
    some, none = read_lines(out)
    assert [answer["start"] for answer in some["answers"]] == [answer.start for answer in expected]
    assert some["answer"] == expected[0].text
    assert (none["answer"], none["score"], none["start"], none["answers"]) == ("", None, None, [])


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("answer --max-answer-words=0", "words: must be a positive integer. Received: '0'"),
        ("answer --no-answer=perhaps", "--no-answer: must be yes or no. Received: 'perhaps'"),
        ("answer --all-spans --top-k=2", "error: `top_k` and `all_spans` exclude each other."),
        ("answer --stride=-1", "--stride: must be 0 or a positive integer. Received: '-1'"),
        ("train --backbone=x --model=memory_network", "`--backbone` is for --model span_reader"),
        ("train --vectors=x", "`--vectors` is for --model span_reader"),
        ("train --model-options=[]", "`--model-options` must be a JSON object"),
    ],
)
def test_errors_are_one_line(folder, tmp_path, capsys, command: str, message: str) -> None:
    name, *options = command.split()
    data = folder / "both.json"
    files = {
        "answer": [folder / "reader.keras", f"--input={data}", f"--output={tmp_path / 'a.jsonl'}"],
        "train": [f"--data={data}", f"--output={tmp_path / 'a.keras'}"],
    }
    assert message in error_line(capsys, name, *files[name], *options)
    assert not list(tmp_path.iterdir())
