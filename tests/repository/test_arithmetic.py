"""The arithmetic of docs/scaling-arithmetic.md: values by hand, real models and real files."""

import importlib.util
import pathlib
import sys

import numpy as np
import pytest

import keras_qa
from keras_qa.documents import Index

ROOT = pathlib.Path(__file__).parents[2]
_spec = importlib.util.spec_from_file_location("arithmetic", ROOT / "benchmarks" / "arithmetic.py")
arithmetic = importlib.util.module_from_spec(_spec)
# Dataclasses look their module up.
sys.modules["arithmetic"] = arithmetic
_spec.loader.exec_module(arithmetic)

# One layer of 4 numbers and 2 heads, 10 words, 3 positions, 1 kind of segment.
SMALL = arithmetic.Encoder(1, 4, 16, 2, 10, 3, 1)


def test_weights_by_hand_and_of_a_real_model() -> None:
    # Four matrices of 4 × 4, and two of 4 × 16.
    assert arithmetic.matrix_parameters(SMALL) == 64 + 128
    # 14 embeddings and a normalization; biases of 4 · 4 + 16 + 4; two normalizations.
    assert arithmetic.parameters(SMALL) == (14 * 4 + 8) + 192 + 36 + 16
    assert [arithmetic.weight_bytes(SMALL, name) for name in arithmetic.SLOTS] == [
        8 * 308,
        12 * 308,
        16 * 308,
    ]
    encoder = keras_qa.load("minilm-squad").model_.encoder
    expected = arithmetic.parameters(arithmetic.ENCODERS["MiniLM, 6 layers"])
    assert encoder.count_params() == expected == 22_565_376


def test_activations_and_operations_by_hand() -> None:
    # 15 positions of 8 · 4 + 2 · 16 numbers, 2 · 4 masks, and 2 heads · 3 pairs of 9 bytes.
    assert arithmetic.activation_bytes(SMALL, 5, 3) == 15 * (4 * 64 + 8 + 54)
    # Forward: 3 positions times 192 weights, and 2 products of 3 × 3 × 4, at 2 operations each.
    assert arithmetic.step_operations(SMALL, 5, 3) == 3 * 5 * (2 * 3 * 192 + 2 * 2 * 36)


def test_the_ring_and_the_least_rows_by_hand() -> None:
    assert arithmetic.all_reduce_bytes(SMALL, 1) == 0
    assert arithmetic.all_reduce_bytes(SMALL, 2) == 4 * 308
    assert arithmetic.all_reduce_bytes(SMALL, 4) == 1.5 * 4 * 308
    # 1232 bytes take 1.232 s, in which 38 880 operations, 10 rows, are computed.
    rows = arithmetic.least_rows(SMALL, 2, 3, bandwidth=1_000, operations=38_880 / 1.232)
    assert rows == pytest.approx(10.0)


class Random:
    name = "random"

    def __call__(self, texts):
        return np.random.default_rng(0).standard_normal((len(texts), 384), dtype="float32")


def test_vectors_add_the_bytes_of_the_plan_to_a_real_index(tmp_path) -> None:
    sizes = []
    documents = [{"name": str(number), "text": f"A text {number}."} for number in range(3_000)]
    for name, encoder in (("words", None), ("vectors", Random())):
        path = tmp_path / name
        with Index.create(path, "en", encoder) as index:
            index.add(documents)
        sizes.append(path.stat().st_size)
    plan = arithmetic.IndexPlan(3_000)
    assert plan.vectors_bytes(2) == 3_000 * 768
    # SQLite's pages have 7 % of free space and keys.
    assert (sizes[1] - sizes[0]) / plan.vectors_bytes(2) == pytest.approx(1.07, abs=0.03)


def test_plans_by_hand(monkeypatch) -> None:
    record = {"file_bytes": 3_000, "passages": 2, "passages_per_second": 4}
    monkeypatch.setattr(arithmetic, "_record", lambda: record)
    plan = arithmetic.IndexPlan(1_000_000, dimension=192)
    assert plan.words_bytes() == 1.5e9
    assert plan.indexing_seconds() == 250_000
    assert plan.embedding_seconds(cores=10) == 5_000
    assert plan.opening_seconds() == pytest.approx(2.9 + 0.95)
    assert plan.search_seconds() == pytest.approx(1.45)


def test_the_page_has_the_tables() -> None:
    page = (ROOT / "docs" / "scaling-arithmetic.md").read_text("utf-8")
    for table in (arithmetic.memory_table, arithmetic.link_table, arithmetic.index_table):
        assert table() in page
