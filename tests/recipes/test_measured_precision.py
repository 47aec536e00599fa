"""`choose_precision` measures matrix products on each backend."""

from __future__ import annotations

import json

from small_checkpoints import copy

from keras_qa import recipes
from keras_qa.recipes import precision


def test_sizes_of_the_encoder(tmp_path, monkeypatch) -> None:
    modern = copy("modernbert", tmp_path / "modern")
    config = json.loads((modern / "config.json").read_text())
    found = recipes.choose_precision(modern)
    assert found.sizes == (config["hidden_size"], config["intermediate_size"])
    assert 0 < found.float32 < 1
    assert 0 < found.bfloat16 < 1
    # A preset of KerasHub is not loaded.
    assert precision.SIZES == (768, 3_072)
    monkeypatch.setattr(precision, "SIZES", (16, 24))
    assert recipes.choose_precision("bert_base_en_uncased").sizes == (16, 24)
