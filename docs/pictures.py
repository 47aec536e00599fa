"""`python docs/pictures.py`: draws `docs/pictures/` with the package itself. Needs matplotlib.

The reader is the one of `docs/readers.md`. Chromium takes the screenshot of the report; without
Chromium the picture of the report is left as it is.
"""

from __future__ import annotations

import contextlib
import html
import io
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
from typing import Any

# One backend, so that the pictures do not change with it.
os.environ.setdefault("KERAS_BACKEND", "jax")

import matplotlib
from PIL import Image

import keras_qa
from keras_qa.cli.output import print_answers
from keras_qa.report import plots

PICTURES = pathlib.Path(__file__).parent / "pictures"
READERS = pathlib.Path(__file__).parent / "readers.md"
STORY = [
    "Mary took the milk.",
    "John went to the garden.",
    "Mary moved to the kitchen.",
    "Mary dropped the milk.",
    "John went to the office.",
    "Mary travelled to the hallway.",
]
QUESTION = "Where is the milk?"
QUESTIONS = ("Who gives the talk?", "Where do we meet?")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
# Pixels of a character and of a line of the terminal.
WIDTH, HEIGHT, MARGIN = 8.4, 20, 16


def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    answerer, unseen = _answerer()
    _attention(answerer)
    _report(answerer, unseen)
    _answers()
    for path in sorted(PICTURES.iterdir()):
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


def _answerer() -> tuple[keras_qa.QuestionAnswerer, list[keras_qa.Example]]:
    """A trained memory network, and stories for validation."""
    stories = keras_qa.datasets.babi.simulate(task=2, examples=9_500, seed=0)
    train, valid = stories[:-500], stories[-500:]
    done = keras_qa.recipes.train(train, valid, "memory_network", recipe={"epochs": 40}, verbose=0)
    return done.answerer, valid


def _attention(answerer: keras_qa.QuestionAnswerer) -> None:
    answer = answerer.answer(STORY, QUESTION)
    feed = answerer.vectorizer_([keras_qa.Example(STORY, QUESTION)])
    by_hop = answerer.model_.with_evidence().predict(feed, verbose=0)["attention"][0]
    figure = plots.attention(by_hop, STORY, title=f"{QUESTION} – {answer.text.capitalize()}.")
    figure.axes[0].set_xlabel("hop")
    # The same bytes each time: no date, and ids that depend only on the drawing.
    with matplotlib.rc_context({"svg.hashsalt": "keras-qa"}):
        figure.savefig(PICTURES / "attention.svg", bbox_inches="tight", metadata={"Date": None})


def _report(answerer: keras_qa.QuestionAnswerer, examples: list[keras_qa.Example]) -> None:
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        return
    found = keras_qa.report.evaluate(answerer, examples)
    with tempfile.TemporaryDirectory() as folder:
        page, shot = pathlib.Path(folder, "report.html"), pathlib.Path(folder, "report.png")
        found.save(page, title="Two supporting facts")
        options = ("--headless", "--no-sandbox", "--hide-scrollbars", "--window-size=1000,930")
        command = [browser, *options, f"--screenshot={shot}", page.as_uri()]
        subprocess.run(command, check=True, capture_output=True)
        picture = Image.open(shot).convert("RGB").quantize(64)
        picture.save(PICTURES / "report.png", optimize=True)


def _answers() -> None:
    """Draws the answers of the reader of `docs/readers.md` as a terminal shows them."""
    blocks = re.findall(r"```python\n(.*?)```", READERS.read_text(encoding="utf-8"), re.DOTALL)
    made: dict[str, Any] = {}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(blocks[-1], made)
    lines = []
    for question in QUESTIONS:
        command = 'keras-qa answer reader.keras --text letter.txt --question "{}"'
        lines.append(f"$ {command.format(question)}")
        with contextlib.redirect_stdout(_Terminal()) as terminal:
            print_answers([made["qa"].answer(made["text"], question)], made["text"])
        lines += terminal.getvalue().splitlines()
    (PICTURES / "answer.svg").write_text(_drawn(lines), encoding="utf-8")


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _drawn(lines: list[str]) -> str:
    """Terminal lines as SVG. Marked parts have a background of their own."""
    columns = max(len(re.sub(r"\x1b\[[\d;]*m", "", line)) for line in lines)
    width, height = columns * WIDTH + 2 * MARGIN, len(lines) * HEIGHT + 2 * MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" '
        f'width="{width:.0f}" height="{height}" font-family="monospace" font-size="14">',
        f'<rect width="{width:.0f}" height="{height}" rx="6" fill="#1e2129"/>',
    ]
    for row, line in enumerate(lines):
        column, base = 0, MARGIN + row * HEIGHT + 14
        for place, text in enumerate(re.split(r"\x1b\[[\d;]*m", line)):
            if not text:
                continue
            left, length = MARGIN + column * WIDTH, len(text) * WIDTH
            colour = "#e2e4e9"
            if place % 2:
                parts.append(
                    f'<rect x="{left:.1f}" y="{base - 15}" width="{length:.1f}" '
                    f'height="{HEIGHT}" fill="#ffd54f"/>'
                )
                colour = "#1e2129"
            parts.append(
                f'<text x="{left:.1f}" y="{base}" textLength="{length:.1f}" fill="{colour}" '
                f'xml:space="preserve">{html.escape(text)}</text>'
            )
            column += len(text)
    return "\n".join([*parts, "</svg>\n"])


if __name__ == "__main__":
    main()
