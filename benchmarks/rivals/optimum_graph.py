"""`python -m benchmarks.rivals.optimum_graph FOLDER`: what `optimum-onnx` exports of a reader."""

from __future__ import annotations

import pathlib
import sys

READER = "minilm-squad"


def main(folder: pathlib.Path) -> None:
    """Writes the weights of the preset as a checkpoint, and its graph as `model.onnx`."""
    from optimum.exporters.onnx import main_export

    import keras_qa

    checkpoint = folder / "checkpoint"
    keras_qa.load(READER).save_pretrained(checkpoint)
    main_export(str(checkpoint), output=folder, task="question-answering")
    print(f"Wrote {folder / 'model.onnx'}.")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
