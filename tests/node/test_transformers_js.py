"""Exported readers in transformers.js: the token ids, token types and logits of Python.

`tox -e node` installs transformers.js, and names its folder by `KERAS_QA_NODE`.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess

import numpy as np
import pytest

import keras_qa
from keras_qa.onnx import export
from keras_qa.onnx.runtime import GRAPH, QUANTIZED, ExportedModel

QUESTIONS = [
    item for task in (1, 2, 6, 15) for item in keras_qa.datasets.babi.simulate(task, 25, seed=0)
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("node")
    # The graph with weights of int8 is kept whatever it loses.
    data = [keras_qa.Example("Ann left.", "Who left?", "Ann", 0)]
    export(keras_qa.load("minilm-squad"), folder / "reader", True, data, max_loss=100)
    asked = [{"question": item.question, "text": item.plain_text} for item in QUESTIONS]
    (folder / "questions.json").write_text(json.dumps(asked), "utf-8")
    return folder


@pytest.mark.parametrize(("dtype", "graph"), [("fp32", GRAPH), ("q8", QUANTIZED)])
def test_transformers_js_computes_the_logits_of_python(folder, dtype: str, graph: str) -> None:
    packages = pathlib.Path(os.environ["KERAS_QA_NODE"])
    # Node looks for packages beside the script.
    script = shutil.copy(pathlib.Path(__file__).parent / "answer.mjs", packages)
    out = folder / f"{dtype}.json"
    arguments = [folder / "questions.json", out, folder, "reader", dtype]
    subprocess.run(["node", script, *map(str, arguments)], check=True)
    found = json.loads(out.read_text("utf-8"))
    model = ExportedModel(folder / "reader" / graph)
    windows = model.preprocessor.vectorizer(QUESTIONS)
    assert len(found) == len(windows) == 100
    # Batches of one row: the scales of int8 depend on the whole batch.
    logits = model.predict(windows.feed, batch_size=1)
    for row, item in enumerate(found):
        size = len(item["ids"])
        assert item["ids"] == windows.feed["token_ids"][row][:size].tolist()
        assert item["types"] == windows.feed["segment_ids"][row][:size].tolist()
        assert not windows.feed["padding_mask"][row][size:].any()
        for name in ("start", "end"):
            np.testing.assert_allclose(item[name], logits[name][row][:size], rtol=0, atol=1e-4)
    # The pipeline joins pieces in lower case, and knows no limits of words and their ends.
    answers = keras_qa.load(folder / "reader" / graph).answer(QUESTIONS, no_answer=False)
    same = [
        one["answer"].strip().lower() == other.text.lower()
        for one, other in zip(found, answers, strict=True)
    ]
    assert np.mean(same) > 0.7
