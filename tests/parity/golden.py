"""What one backend answers by the golden files."""

import json
import pathlib
import sys

import keras

import keras_qa

FOLDER = pathlib.Path(__file__).parent.parent / "golden"
sys.path.insert(0, str(FOLDER))

import make  # noqa: E402


def ask() -> None:
    found = {path.stem: make.asked(keras_qa.load(path)) for path in FOLDER.glob("*.keras")}
    pathlib.Path(f"golden-{keras.config.backend()}.json").write_text(json.dumps(found), "utf-8")
