"""The choice of the dtype policy, with a clock that the tests control."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable

import keras
import pytest
from small_checkpoints import copy

from keras_qa import recipes
from keras_qa.cli import main
from keras_qa.recipes import precision

BACKEND = keras.config.backend()


def clock(float32: float, bfloat16: float) -> Callable[[], float]:
    """A clock that gives each product of a dtype these seconds. The first pair takes longer."""
    pauses = [9.0, 9.0] + [float32, bfloat16] * (precision.REPEATS - 1)
    # `choose_precision` reads the clock before and after each product.
    steps = itertools.chain.from_iterable((0.0, pause) for pause in pauses)
    return itertools.accumulate(steps).__next__


@pytest.mark.parametrize(
    ("bfloat16", "dtype", "shown"),
    [
        (0.25, "mixed_bfloat16", "250.00"),
        (0.375, "mixed_bfloat16", "375.00"),
        (0.4375, "float32", "437.50"),
        (1.0, "float32", "1000.00"),
    ],
)
def test_bfloat16_must_be_clearly_faster(bfloat16, dtype, shown, tmp_path) -> None:
    found = recipes.choose_precision(copy("bert", tmp_path / "reader"), clock(0.5, bfloat16))
    assert found == recipes.Precision(dtype, (16, 24), 0.5, bfloat16)
    assert str(found) == (
        f"1,024 positions times 16 × 24 weights take 500.00 ms in float32 and {shown} ms in "
        f"bfloat16 ({BACKEND}): training in {dtype}."
    )


def test_dtype_auto_of_the_command(tmp_path, monkeypatch, capsys) -> None:
    taken = {}
    measured = precision.choose_precision

    def choose(backbone):
        return measured(backbone, clock(0.5, 0.25))

    def train(*arguments, **options):
        taken.update(arguments[3])
        raise ValueError("That is all.")

    monkeypatch.setattr(recipes, "choose_precision", choose)
    monkeypatch.setattr(recipes, "train", train)
    row = {"text": "Mary is here.", "question": "Who?", "answers": ["Mary"], "answer_start": [0]}
    data = tmp_path / "data.jsonl"
    data.write_text(json.dumps(row))
    command = ["train", f"--data={data}", f"--out={tmp_path / 'qa.keras'}", "--model=span_reader"]
    folder = str(copy("bert", tmp_path / "reader"))
    assert main([*command, f"--backbone={folder}", "--dtype=auto"]) != 0
    assert taken == {"backbone": folder, "dtype": "mixed_bfloat16"}
    said = f"250.00 ms in bfloat16 ({BACKEND}): training in mixed_bfloat16.\n"
    output = capsys.readouterr()
    assert said in output.out + output.err
    assert main([*command, "--dtype=auto"]) != 0
    assert (
        "`--dtype auto` needs `--backbone`, whose matrix sizes it measures"
        in capsys.readouterr().err
    )
