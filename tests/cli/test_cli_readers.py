"""Readers of spans on the command line: training, official scores, options of answers."""

import itertools
import json
import types

import numpy as np
import pytest
from report_cases import Page
from small_examples import SPANS as EXAMPLES
from small_examples import WITHOUT

import keras_qa
from keras_qa import Example, metrics
from keras_qa.cli import main, parser, train

SMALL = json.dumps({"units": 8, "embedding_dim": 8, "dropout": 0.0})


def lines(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def squad_file(path, examples: list[Example]) -> str:
    paragraphs = [
        {
            "context": item.text,
            "qas": [
                {
                    "id": f"q{place}",
                    "question": item.question,
                    "answers": [
                        {"text": text, "answer_start": start}
                        for text, start in zip(item.answers, item.answer_start, strict=True)
                    ],
                }
            ],
        }
        for place, item in enumerate(examples)
    ]
    path.write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}))
    return str(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A reader that can give no answer, and its files."""
    folder = tmp_path_factory.mktemp("readers")
    data = squad_file(folder / "both.json", EXAMPLES + WITHOUT)
    squad_file(folder / "answered.json", EXAMPLES)
    arguments = [f"--data={data}", f"--validation-data={data}", f"--out={folder / 'reader.keras'}"]
    arguments += ["--model=span_reader", f"--model-options={SMALL}", "--epochs=2"]
    arguments += ["--max-length=16", "--learning-rate=0.02", f"--results={folder / 'results.json'}"]
    assert main(["train", *arguments]) == 0
    return folder


def test_train_uses_recipe_and_window_length(folder) -> None:
    loaded = keras_qa.load(folder / "reader.keras")
    assert loaded.vectorizer_.max_length == 16
    assert loaded.model_.preprocessor.decoder.no_answer
    (run,) = json.loads((folder / "results.json").read_text())
    assert (run["model"], run["questions"], run["epochs"]) == ("span_reader", 32, 2)
    assert len(run["history"]["val_accuracy"]) == 2
    scores = loaded.evaluate(EXAMPLES + WITHOUT)
    assert run["validation_error"] == pytest.approx(100 - scores["exact_match"], abs=1e-3)


def test_evaluate_prints_official_scores(folder, capsys) -> None:
    path = folder / "report.html"
    arguments = ["evaluate", str(folder / "reader.keras"), f"--data={folder / 'both.json'}"]
    assert main([*arguments, f"--report={path}"]) == 0
    printed = capsys.readouterr().out
    official = json.loads(printed.split("Official scores of SQuAD 2.0: ")[1].splitlines()[0])
    data = keras_qa.datasets.squad.load(folder / "both.json")
    loaded = keras_qa.load(folder / "reader.keras")
    answers = loaded.answer([e.text for e in data], [e.question for e in data])
    predictions = {e.id: answer.text for e, answer in zip(data, answers, strict=True)}
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


def test_reader_starts_from_word_vectors(tmp_path, capsys) -> None:
    words = ["door", "box", "car", "colour"]
    array = np.random.default_rng(0).normal(size=(4, 5)).astype("float32")
    with (tmp_path / "vectors.txt").open("w") as file:
        for word, row in zip(words, array.tolist(), strict=True):
            print(word, *row, file=file)
    data = squad_file(tmp_path / "data.json", EXAMPLES[:8])
    arguments = [f"--data={data}", "--model=span_reader", f"--out={tmp_path / 'a.keras'}"]
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


@pytest.mark.parametrize(("bfloat16", "dtype"), [(0.375, "mixed_bfloat16"), (0.4375, "float32")])
def test_the_faster_dtype_is_measured(bfloat16: float, dtype: str, monkeypatch, capsys) -> None:
    # The clock is read before and after each product.
    pauses = itertools.cycle([0.0, 0.5, 0.0, bfloat16])
    clock = types.SimpleNamespace(perf_counter=itertools.accumulate(pauses).__next__)
    monkeypatch.setattr(train, "time", clock)
    arguments = ["--data=d", "--out=o", "--model=span_reader", "--backbone=b", "--dtype=auto"]
    options = parser().parse_args(["train", *arguments])
    assert train._options(options) == ({"backbone": "b", "dtype": dtype}, {})
    assert capsys.readouterr().out == (
        f"A matrix product takes 500.00 ms in float32 and {1_000 * bfloat16:.2f} ms in bfloat16: "
        f"training in {dtype}.\n"
    )


# The small tokenizer knows few words.
def test_wrong_offsets_raise_or_are_counted(folder, tmp_path, capsys) -> None:
    wrong = Example(EXAMPLES[0].text, EXAMPLES[0].question, "red", 3)
    data = squad_file(tmp_path / "data.json", [EXAMPLES[0], wrong])
    arguments = ["evaluate", str(folder / "reader.keras"), f"--data={data}"]
    assert main(arguments) == 2
    assert "(id 'q1'): the answer 'red' is not at 3" in capsys.readouterr().err
    assert main([*arguments, "--lenient"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("Skipped 1 of 2 questions")
    assert " 1 examples" in printed


ASKED = {
    "max_answer_words": 1,
    "no_answer": False,
    "whole_words": False,
    "max_length": 9,
    "stride": 3,
    "max_question_length": 4,
}


def flags(options) -> list[str]:
    words = {True: "yes", False: "no"}
    return [
        f"--{name.replace('_', '-')}={words[value] if isinstance(value, bool) else value}"
        for name, value in options.items()
    ]


@pytest.mark.parametrize("name", ASKED)
def test_options_of_answer(folder, tmp_path, capsys, name: str) -> None:
    path = folder / "reader.keras"
    loaded = keras_qa.load(path)
    # More than one window of 16 words. The accent joins the mark and the next word.
    text = " ".join(item.text for item in EXAMPLES[2:8:2]) + " o'\u0301clock"
    question = "What colour is the car?"
    expected = loaded.answer(text, question, top_k=50, **{name: ASKED[name]})
    assert expected != loaded.answer(text, question, top_k=50)
    one = ["answer", str(path), *flags({name: ASKED[name]}), "--top-k=50"]
    assert main([*one, f"--text={text}", f"--question={question}"]) == 0
    shown = [line.split("%  ") for line in capsys.readouterr().out.splitlines() if "%" in line]
    got = [(float(score), answer) for score, answer in shown]
    assert got == [
        (float(f"{100 * answer.score:.1f}"), answer.text or "(no answer)") for answer in expected
    ]
    asked, out = tmp_path / "asked.jsonl", tmp_path / "out.jsonl"
    asked.write_text(json.dumps({"text": text, "question": question}) + "\n")
    assert main([*one, f"--input={asked}", f"--output={out}"]) == 0
    (row,) = lines(out)
    assert [answer["text"] for answer in row["answers"]] == [answer.text for answer in expected]


def test_old_names_of_options_warn(folder, tmp_path, capsys) -> None:
    asked = ["answer", str(folder / "reader.keras"), "--text=a b", "--question=b"]
    train = ["train", f"--data={folder / 'both.json'}", f"--out={tmp_path / 'a.keras'}"]
    for command in (asked, [*train, "--model=span_reader"]):
        with pytest.warns(FutureWarning, match="`length` was renamed to `max_length`"):
            assert main([*command, "--length=0"]) == 2
        assert "`max_length` must be a positive integer. Received" in capsys.readouterr().err
        assert main([*command, "--length=9", "--max-length=9"]) == 2
        assert "only. Received: length=9, max_length=9." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--max-answer-words=0", "--max-answer-words: must be a positive integer. Received: '0'"),
        ("--no-answer=perhaps", "--no-answer: must be yes or no. Received: 'perhaps'"),
        ("--stride=-1", "error: `stride` must be a non-negative integer. Received: stride=-1."),
    ],
)
def test_options_out_of_range_raise_before_answering(
    folder, tmp_path, capsys, option, message
) -> None:
    asked, out = tmp_path / "asked.jsonl", tmp_path / "out.jsonl"
    asked.write_text(json.dumps({"text": "a", "question": "b"}) + "\n")
    arguments = ["answer", str(folder / "reader.keras"), option, f"--input={asked}"]
    try:
        code = main([*arguments, f"--output={out}"])
    except SystemExit as exit:
        code = exit.code
    assert code == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count("\n") == 1
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--backbone=x", "--model=memory_network"], "`--backbone` is for --model span_reader"),
        (["--vectors=x"], "`--vectors` is for --model span_reader"),
        (["--model-options=[]"], "`--model-options` must be a JSON object"),
        (["--model=span_reader", "--dtype=auto"], "`--dtype auto` needs `--backbone`: it meas"),
        (["--model=span_reader", "--vectors=none.txt"], "`path` must be a file"),
    ],
)
def test_errors_are_one_line(folder, tmp_path, capsys, arguments, message) -> None:
    fixed = ["train", f"--data={folder / 'both.json'}", f"--out={tmp_path / 'a.keras'}"]
    assert main([*fixed, *arguments]) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count("\n") == 1
    assert not list(tmp_path.iterdir())
