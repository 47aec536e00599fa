"""The data of the classic model in most cases."""

from __future__ import annotations

import numpy as np

from benchmarks.measure import sized

VOCABULARY, ANSWERS, BATCH, EPOCHS = 10_000, 500, 128, 3


def rows_of_data() -> int:
    return sized(1_000, 128)


def data(masked: bool) -> tuple[list[np.ndarray], np.ndarray]:
    """1,000 rows of 100 + 100 words; masked: log-normal lengths of 28 and 8 words on average."""
    rng = np.random.default_rng(0)
    rows = rows_of_data()
    if masked:
        sizes = [
            np.clip(rng.lognormal(np.log(28) - 0.3, 0.77, rows).astype(int), 1, 100),
            np.clip(rng.poisson(8, rows), 1, 20),
        ]
        widths = (100, 20)
    else:
        sizes, widths = [np.full(rows, 100)] * 2, (100, 100)
    return words(rng, sizes, widths), rng.integers(0, ANSWERS, rows)


def words(
    rng: np.random.Generator, sizes: list[np.ndarray], widths: tuple[int, ...]
) -> list[np.ndarray]:
    """Random ids for rows of these lengths, each input padded to its width."""
    return [
        np.where(
            np.arange(width) < size[:, None], rng.integers(1, VOCABULARY, (len(size), width)), 0
        ).astype("int32")
        for size, width in zip(sizes, widths, strict=True)
    ]
