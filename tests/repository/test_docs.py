"""The blocks of README.md and the docs run, and print what they say."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

import keras_qa
from keras_qa import _backend

ROOT = pathlib.Path(__file__).parents[2]


def blocks(page, language="python"):
    pattern = rf"^```{language}\n(.*?)^```"
    return re.findall(pattern, (ROOT / page).read_text("utf-8"), re.DOTALL | re.MULTILINE)


def expected_output(block):
    """The comments at the end of a block."""
    lines = block.splitlines()
    last = max(place for place, line in enumerate(lines) if not line.startswith("# "))
    return " ".join(line.removeprefix("# ") for line in lines[last + 1 :])


DECIMAL = re.compile(r"\d+\.\d+")


def assert_prints(printed, expected):
    """Compares two texts. Their decimals differ a little, as trained weights of processors do."""
    assert DECIMAL.sub("0.0", printed).split() == DECIMAL.sub("0.0", expected).split()
    numbers, others = (list(map(float, DECIMAL.findall(text))) for text in (printed, expected))
    assert numbers == pytest.approx(others, rel=0.03)


def test_scores_are_compared_with_a_tolerance():
    assert_prints("garden, 0.95\n{'f1': 97.5}", "garden, 0.96 {'f1': 98.5}")
    for other in ("garden, 0.86 {'f1': 98.5}", "garden, 0.96 {'f1': 90.0}", "office, 0.96 {}"):
        with pytest.raises(AssertionError):
            assert_prints("garden, 0.96 {'f1': 98.5}", other)


def run_and_compare_output(page, capsys):
    """The names that each block of a page defines."""
    defined = []
    for block in blocks(page):
        names = {}
        exec(block, names)
        assert_prints(capsys.readouterr().out, expected_output(block))
        defined.append(names)
    return defined


def test_readme_prints_what_it_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    classic, strings = run_and_compare_output("README.md", capsys)
    assert classic["model"].count_params() == 1_000_052
    assert keras_qa.load("qa.keras").evaluate(strings["stories"][1_000:])["exact_match"] >= 95


@pytest.mark.full
def test_reader_from_scratch_prints_what_it_says(capsys):
    names, *_ = run_and_compare_output("docs/readers.md", capsys)
    for answer in names["qa"].answer(names["text"], ["Where do we meet?"]):
        assert names["text"][answer.start : answer.end] == answer.text == "Nairobi"


def test_questions_about_the_docs_have_the_answers_of_the_readme(tmp_path):
    page = (ROOT / "README.md").read_text("utf-8")
    table = page.partition("| question | answer |\n| --- | --- |\n")[2].partition("\n\n")[0]
    rows = dict(row.strip("| ").split(" | ") for row in table.splitlines())
    with keras_qa.documents.Index.create(tmp_path / "docs.index") as index:
        index.update(ROOT / "docs")
        found = keras_qa.load("minilm-squad").ask(index, list(rows))
    assert len(rows) == 3
    assert [one.text for one in found] == [*rows.values()]


@pytest.mark.parametrize(
    "page",
    sorted(
        path.name for path in (ROOT / "docs").glob("*.md") if "```python" in path.read_text("utf-8")
    ),
)
def test_blocks_of_the_docs_run(page, tmp_path, monkeypatch, capsys):
    fit = keras_qa.QuestionAnswerer.fit
    # Other tests train to the end: of README.md, and of docs/readers.md for a release.
    monkeypatch.setattr(
        keras_qa.QuestionAnswerer,
        "fit",
        lambda self, *given, **named: fit(
            self, *given, **{**named, "epochs": 1, "steps_per_epoch": 1}
        ),
    )
    monkeypatch.chdir(tmp_path)
    names, calibrated = {}, 0
    for block in blocks(f"docs/{page}"):
        capsys.readouterr()
        exec(block, names)
        if page == "documents.md" and "qa.calibrate(" in block:
            assert capsys.readouterr().out.split() == expected_output(block).split()
            calibrated += 1
    assert calibrated == (page == "documents.md")


PAGES = ["README.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))]


@pytest.mark.parametrize("language", ["python", "py"])
def test_blocks_import_keras_after_keras_qa_which_chooses_the_backend(language):
    early = re.compile(r"^(?:import|from) keras(?:_hub)?\b", re.MULTILINE)
    for page in PAGES:
        for block in blocks(page, language):
            before = early.split(block)[0]
            assert before == block or re.search("^(import|from) keras_qa", before, re.MULTILINE), (
                f"{page}:\n{block}"
            )


@pytest.mark.full
def test_a_newcomer_can_run_all_blocks_up_to_documents(tmp_path):
    """In the order of the site, in one folder, each in a process; then three others."""
    nav = re.findall(r"(?<=: )[\w-]+\.md", (ROOT / "mkdocs.yml").read_text("utf-8"))
    names = [*nav[: nav.index("documents.md") + 1], "command-line.md", "saving.md", "keras.md"]
    pages = ["README.md", *(f"docs/{name}" for name in names)]
    path = os.pathsep.join([str(pathlib.Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "KERAS_QA_HOME": str(tmp_path / "home")}
    if len(_backend.installed()) == 1:
        # `import keras_qa` in this process has set it.
        del environment["KERAS_BACKEND"]

    def run(page, command):
        options = {"cwd": tmp_path, "env": environment, "text": True, "errors": "replace"}
        done = subprocess.run(command, **options, capture_output=True, timeout=1_800)
        shown = f"{page}:\n{command[-1]}\n{done.stdout}\n{done.stderr}"
        assert done.returncode == 0, shown
        assert not re.search(r"Traceback|\berror:", done.stderr), shown
        return done.stdout

    for page in pages:
        for language, block in blocks(page, "(python|bash)"):
            shell = ["bash", "-euc"] if language == "bash" else [sys.executable, "-c"]
            printed = run(page, [*shell, block])
            if "quickstart" in block:
                commands = printed.partition("Try next")[2].partition("\n")[2]
                assert "«two years»" in run(page, ["bash", "-euc", commands])
    assert (tmp_path / "calibrated.keras").exists()


def test_pictures_are_small():
    shown = sorted((ROOT / "docs" / "pictures").iterdir())
    assert [path.name for path in shown] == ["answer.svg", "attention.svg", "report.png"]
    assert all(0 < path.stat().st_size < 150_000 for path in shown)
