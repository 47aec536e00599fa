"""The figures in the docs are those of the results, and `docs/figures.py --check` finds others."""

import importlib.util
import json
import pathlib
import re
import shutil

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
# A number with the unit of a measured figure.
FIGURE = re.compile(r"\d[\d,.]* ?(?:%|ms\b|s\b|MiB\b|times\b|minutes\b|hours\b)")

PAGES = (
    "README.md",
    "docs/documents.md",
    "docs/readers.md",
    "docs/speed.md",
    "docs/stories.md",
)


def _script():
    spec = importlib.util.spec_from_file_location("figures", ROOT / "docs" / "figures.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


figures = _script()


@pytest.fixture
def copy(tmp_path):
    """A copy of the pages that hold figures."""
    for page in figures.pages():
        target = tmp_path / page.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(page, target)
    return tmp_path


def _between(page: str) -> list[tuple[str, str]]:
    return [(name, text) for _, name, text, _ in figures.BLOCK.findall(page)]


def test_pages_show_the_results(capsys) -> None:
    assert figures.main(["--check"]) == 0
    assert capsys.readouterr().out == ""


def test_every_block_stands_in_some_page() -> None:
    shown = {name for page in figures.pages() for name, _ in _between(page.read_text("utf-8"))}
    assert shown == set(figures.BLOCKS)


@pytest.mark.parametrize("page", PAGES)
def test_a_changed_digit_is_found_and_corrected(page: str, copy, capsys) -> None:
    path = copy / page
    right = path.read_text("utf-8")
    text = _between(right)[0][1]
    digit = re.search(r"\d(?=[^\d]*$)", text)
    spoilt = text[: digit.start()] + str((int(digit[0]) + 1) % 10) + text[digit.end() :]
    path.write_text(right.replace(text, spoilt), "utf-8")

    assert figures.main(["--check"], copy) == 1
    assert page in capsys.readouterr().out
    assert text not in path.read_text("utf-8")
    assert figures.main([], copy) == 0
    assert path.read_text("utf-8") == right


@pytest.mark.parametrize("page", [*PAGES, "docs/training.md"])
def test_no_figure_is_typed_by_hand(page: str) -> None:
    text = figures.BLOCK.sub("", (ROOT / page).read_text("utf-8"))
    by_hand = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    assert FIGURE.findall(by_hand) == []


def test_a_block_that_does_not_exist_is_named() -> None:
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
        {
            "task": task,
            "validation_error": error,
            "seconds": 60.0,
            "model": "memory_network",
            "epochs": 1,
            "copies": 0,
        }
        for task in range(1, 21)
        for error in (8.0, 6.2 if task == 3 else 1.0)
    ]
    (tmp_path / "babi-1k-jax.json").write_text(json.dumps(runs), "utf-8")
    # (19 + 6.2) / 20, and two minutes a task.
    assert figures.babi_1k().splitlines()[-1] == (
        "Failed (error above 5 %): 3. The mean error is 1.3 %. "
        "All runs took 40 minutes on one CPU core."
    )
