"""`python -m benchmarks.many_passages FOLDER`: the size of a large index, and the time of a search.

FOLDER holds `train.json` and `valid.json` in SQuAD's format. Their paragraphs are repeated, with
one word in ten replaced by another of their words, up to the number of passages. The record counts
the distinct texts, and is added to the file of results. A million passages take several minutes and
a gigabyte. With `--vectors 384` each passage and each question has a random vector of this size,
which measures size and time, but not what is found: no encoder is run.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import math
import pathlib
import resource
import sqlite3
import tempfile
import time
from collections.abc import Iterator

import numpy as np

from benchmarks.measure import RESULTS, circumstances

# The share of replaced words in a repeated paragraph.
CHANGED = 0.1
# Passages of a paragraph, before they are known.
AT_MOST = 2.0


class RandomVectors:
    """An encoder whose vectors have nothing to do with the texts."""

    name = "random"

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension
        self.rng = np.random.default_rng(0)

    def __call__(self, texts: list[str]) -> np.ndarray:
        return self.rng.standard_normal((len(texts), self.dimension), dtype="float32")


def peak_memory() -> float:
    """The peak memory of this process, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.many_passages", description=__doc__)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--passages", type=int, default=1_000_000, help="default: %(default)s")
    parser.add_argument("--questions", type=int, default=200, help="default: %(default)s")
    parser.add_argument("--vectors", type=int, metavar="N", help="random vectors of N numbers")
    parser.add_argument("--out", default=RESULTS / "many_passages.json", help="file of results")
    options = parser.parse_args()

    from keras_qa import datasets
    from keras_qa.documents import Document, Index
    from keras_qa.training.results import add_results

    imported = peak_memory()
    parts = [datasets.squad.load(options.folder / f"{part}.json") for part in ("train", "valid")]
    examples = [example for part in parts for example in part]
    paragraphs = list(dict.fromkeys(example.plain_text for example in examples))
    questions = [example.question for example in parts[1]][: options.questions]
    encoder = RandomVectors(options.vectors) if options.vectors else None
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "many.index"
        with Index.create(path, "en", encoder) as index:
            texts = enumerate(repeated(paragraphs))
            begun, each = time.perf_counter(), AT_MOST
            # Few calls, since each ends with a checksum of the whole index.
            while (missing := options.passages - index.passages) > 0:
                some = itertools.islice(texts, math.ceil(missing / each))
                index.add(Document(str(number), text) for number, text in some)
                each = index.passages / len(index)
            indexing = time.perf_counter() - begun
            passages = index.passages
        size = path.stat().st_size
        begun = time.perf_counter()
        with Index.open(path, encoder) as index:
            # The first search verifies the file.
            index.search(questions[0], 20)
            opening = time.perf_counter() - begun
            seconds = []
            for question in questions:
                begun = time.perf_counter()
                index.search(question, 20)
                seconds.append(time.perf_counter() - begun)
        memory = peak_memory() - imported
        with contextlib.closing(sqlite3.connect(path)) as file:
            query = "SELECT count(*), count(DISTINCT hash) FROM documents"
            documents, distinct = file.execute(query).fetchone()
    record = {
        "passages": passages,
        "documents": documents,
        "distinct_documents": distinct,
        "vectors": options.vectors and f"{options.vectors} random numbers",
        "file_bytes": size,
        "memory_mib": round(memory),
        "passages_per_second": round(passages / indexing),
        "opening_seconds": round(opening, 2),
        "questions": len(questions),
        "search_ms": {
            name: round(1e3 * float(np.quantile(seconds, share)), 1)
            for name, share in (("median", 0.5), ("nine in ten", 0.9), ("most", 1.0))
        },
        **circumstances(),
    }
    add_results(options.out, [record])
    print(record)


def repeated(paragraphs: list[str]) -> Iterator[str]:
    """The paragraphs, then endless copies of them with replaced words."""
    rng = np.random.default_rng(0)
    words = [paragraph.split(" ") for paragraph in paragraphs]
    every = [word for part in words for word in part]
    yield from paragraphs
    while True:
        for part in words:
            changed = rng.random(len(part)) < CHANGED
            others = iter(rng.integers(len(every), size=int(changed.sum())).tolist())
            yield " ".join(
                every[next(others)] if change else word
                for word, change in zip(part, changed.tolist(), strict=True)
            )


if __name__ == "__main__":
    main()
