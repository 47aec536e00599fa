"""The figures in the docs: those of the results, computed right, and none typed by hand."""

import importlib.util
import json
import pathlib
import re
import shutil
import types

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
# A number with the unit of a measured figure.
FIGURE = re.compile(r"\d[\d,.]* ?(?:%|ms\b|s\b|MiB\b|times\b|minutes\b|hours\b)")
PAGES = ("documents", "readers", "speed", "stories", "training")


def script(path: str) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(pathlib.Path(path).stem, ROOT / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


figures = script("docs/figures.py")
sliding_window = script("benchmarks/rivals/sliding_window.py")


def test_pages_show_the_results(capsys) -> None:
    assert figures.main(["--check"]) == 0
    assert capsys.readouterr().out == ""
    pages = "".join(page.read_text("utf-8") for page in figures.pages())
    assert {name for _, name, _, _ in figures.BLOCK.findall(pages)} == set(figures.BLOCKS)


def test_a_changed_digit_is_found_and_corrected(tmp_path, capsys) -> None:
    shutil.copy(ROOT / "README.md", tmp_path)
    path = tmp_path / "README.md"
    right = path.read_text("utf-8")
    text = figures.BLOCK.findall(right)[0][2]
    digit = re.search(r"\d(?=[^\d]*$)", text)
    wrong = text[: digit.start()] + str((int(digit[0]) + 1) % 10) + text[digit.end() :]
    path.write_text(right.replace(text, wrong), "utf-8")

    assert figures.main(["--check"], tmp_path) == 1
    assert "README.md" in capsys.readouterr().out
    assert path.read_text("utf-8") != right
    assert figures.main([], tmp_path) == 0
    assert path.read_text("utf-8") == right


@pytest.mark.parametrize("page", ["README.md", *(f"docs/{name}.md" for name in PAGES)])
def test_no_figure_is_typed_by_hand(page: str) -> None:
    text = figures.BLOCK.sub("", (ROOT / page).read_text("utf-8"))
    assert FIGURE.findall(re.sub(r"```.*?```", "", text, flags=re.DOTALL)) == []


def test_an_unknown_block_raises() -> None:
    with pytest.raises(ValueError, match="figures: speeed"):
        figures.filled("<!-- figures: speeed -->1<!-- end -->")


def test_figures_are_computed_from_the_files(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(figures, "RESULTS", tmp_path)
    for backend, ours in (("tensorflow", 0.5), ("torch", 2.0), ("jax", 0.08)):
        times = {"keras-qa": {"median": ours}, "native PyTorch": {"median": 1.0}}
        names = ("train, dense", "train, masked", "one question")
        cases = {name: {"seconds": times, "machine": {"cores": 2}} for name in names}
        (tmp_path / f"{backend}-cpu.json").write_text(json.dumps({"cases": cases}), "utf-8")
    # 1 / 0.08 has two digits before the point; 100 questions in 0.5 s are 5 ms each.
    assert "padded rows is 2.00, 0.50 and 12 times as fast" in figures.speed_in_short()
    assert "one question takes 5.00, 20.00 and 0.80 ms." in figures.speed_in_short()

    runs = [
        {"task": task, "validation_error": error, "seconds": 60.0}
        for task in range(1, 21)
        for error in (8.0, 6.2 if task == 3 else 1.0)
    ]
    (tmp_path / "babi-1k-jax.json").write_text(json.dumps(runs), "utf-8")
    # (19 + 6.2) / 20, and two minutes a task.
    assert figures.babi_1k() == (
        "Failed (error above 5 %): 3. The mean error is 1.3 %. "
        "All runs took 40 minutes on one CPU core."
    )


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Where did the Normans come from?", "came"),
        ("Who built a castle in Vienna?", "large"),
        ("Normans from which country came?", "Denmark. Anne"),
        # No word of the question is in the text: the first of the longest runs.
        ("Zebras?", "Normans came"),
    ],
)
def test_the_baseline_answers_near_the_words_of_the_question(question: str, expected: str) -> None:
    text = "The Normans came from Denmark. Anne of Austria built a large castle in Vienna in 1521."
    assert sliding_window.answer(text, question) == expected
    assert sliding_window.answer("the of", question) == ""


def test_the_baseline_of_choices_is_that_of_the_paper():
    text = "Ann has a red hat. It is warm today. Bob has a blue hat."
    choose = sliding_window.choose
    # A window of five words has "bob", "has", "blue" and "hat"; none has "bob" and "red".
    assert choose(text, "Which hat has Bob?", ["red", "blue", "green"]) == "blue"
    # No window decides, so that the nearest word does.
    assert choose("red x x x x dog x blue", "dog", ["red", "blue"]) == "blue"
    assert choose("", "Who?", ["a", "b"]) == "a"
