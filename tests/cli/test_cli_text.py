"""`keras-qa answer` with one text: how to pass it, and the printed answers."""

import io
import os
import re
import sys

import pytest
from small_examples import EXAMPLES

from keras_qa.answering import answerer
from keras_qa.cli import main

TEXT, QUESTION = EXAMPLES[0].text, EXAMPLES[0].question


@pytest.fixture
def printed(classifier_file, capsys, monkeypatch):
    """Returns the output of `keras-qa answer` for a text."""

    def run(text: str, stdin: bytes = b"") -> str:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        arguments = [f"--text={text}", f"--question={QUESTION}", "--top-k=3"]
        assert main(["answer", str(classifier_file), *arguments]) == 0
        return capsys.readouterr().out

    return run


def test_text_from_argument_file_and_standard_input(
    printed, classifier, classifier_file, tmp_path, capsys
) -> None:
    path = tmp_path / "my text.txt"
    path.write_text(TEXT)
    found = printed(TEXT)
    assert found == printed(str(path)) == printed("-", TEXT.encode())
    expected = classifier.answer(TEXT, QUESTION, top_k=3)
    scores = re.findall(r"^ +([\d.]+)%  (\w+)$", found, re.MULTILINE)
    assert scores == [(f"{100 * answer.score:.1f}", answer.text) for answer in expected]
    # Positional arguments.
    for text in (TEXT, str(path)):
        assert main(["answer", str(classifier_file), text, "--top-k=3", QUESTION]) == 0
        assert capsys.readouterr().out == found


def test_empty_text(printed, classifier) -> None:
    (answer, *_) = classifier.answer("", QUESTION, top_k=3)
    for found in (printed(""), printed("-", b""), printed(os.devnull)):
        assert found.splitlines()[0] == f"  {answer.score:6.1%}  {answer.text}"
        assert len(found.splitlines()) == 3


def test_control_characters_of_a_text_are_replaced(printed) -> None:
    text = "the \x1b]0;title\x07door\x1b[2J is red\x9b, green\x08\tor blue."
    found = printed("-", text.encode())
    shown = "the �]0;title�door�[2J is red�, green� or blue."
    for colour in ("red", "green", "blue"):
        assert f"  {shown.replace(colour, f'«{colour}»')}\n" in found


def test_keras_progress_bars_only_on_terminals(
    classifier_file, tmp_path, capsys, monkeypatch
) -> None:
    monkeypatch.setattr(answerer, "LONG_WORK", 1)
    rows = [f"{item.text},{item.question},{item.answers[0]}\n" for item in EXAMPLES]
    path = tmp_path / "data.csv"
    path.write_text("text,question,answer\n" + "".join(rows * 8))
    arguments = ["evaluate", str(classifier_file), f"--data={path}"]
    assert main(arguments) == 0
    line = capsys.readouterr().out
    assert re.fullmatch(r"exact match [\d.]+ %, F1 [\d.]+ %, 72 examples\n", line)
    # The command restores the setting of Keras.
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert "3/3" in shown
    assert shown.endswith(line)


def test_unwritable_results_raise_before_training(tmp_path, capsys) -> None:
    arguments = ["train", "--data=simulated", "--examples=10", f"--out={tmp_path / 'qa.keras'}"]
    (tmp_path / "r.json").write_text("{}")
    assert main([*arguments, f"--results={tmp_path / 'r.json'}"]) == 2
    printed = capsys.readouterr()
    assert "has no JSON list to append results to. Delete it, or name another" in printed.err
    assert printed.out == "10 questions to train on, 200 to validate on.\n"
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"]
