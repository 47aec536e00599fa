"""The answers of one backend by the golden files."""

import json
import pathlib
import sys
import tempfile

import keras

FOLDER = pathlib.Path(__file__).parent.parent / "golden"
sys.path.insert(0, str(FOLDER))

import make  # noqa: E402


def ask() -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = {
            path.stem: make.asked(make.load(path, pathlib.Path(folder)))
            for path in FOLDER.glob("*.keras")
        }
    pathlib.Path(f"golden-{keras.config.backend()}.json").write_text(json.dumps(found), "utf-8")
