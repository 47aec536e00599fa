"""`python -m benchmarks.retrieval FOLDER`: how often an index finds the paragraph that answers.

FOLDER holds `train.json` and `valid.json` in SQuAD's format. Each of their paragraphs is a document
of one index. Each question is searched by words alone, and by words and vectors. A paragraph counts
as found if one of its passages is. The record is added to the file of results.

Times are processor times of all cores, which other work hardly changes.
"""

from __future__ import annotations

import argparse
import pathlib
import tempfile
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.measure import RESULTS, circumstances

# Recall is measured among so many first paragraphs.
FIRST = (1, 5, 20)
# A paragraph has several passages.
_PASSAGES = 100
# Searches that are timed one by one.
_TIMED = 100


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.retrieval", description=__doc__)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--encoder", default="minilm", help="default: %(default)s")
    parser.add_argument("--questions", type=int, help="ask the last so many; default: all")
    parser.add_argument(
        "--vectors",
        type=pathlib.Path,
        metavar="FILE.npz",
        help="read and write vectors here; then nothing is timed",
    )
    parser.add_argument("--out", default=RESULTS / "retrieval.json", help="file of results")
    options = parser.parse_args()

    import keras

    from keras_qa.answering import TextEmbedder
    from keras_qa.datasets import squad
    from keras_qa.recipes.results import add_results

    parts = [squad.load(options.folder / f"{part}.json") for part in ("train", "valid")]
    examples = [example for part in parts for example in part]
    paragraphs = list(dict.fromkeys(example.plain_text for example in examples))
    asked = examples[-options.questions :] if options.questions else examples
    folder = pathlib.Path(tempfile.mkdtemp())
    encoder: Any = TextEmbedder(options.encoder)
    if options.vectors:
        encoder = Remembered(encoder, options.vectors)
    for name, used in (("words", None), ("words and vectors", encoder)):
        record = {
            "contender": name,
            "encoder": used and options.encoder,
            "backend": keras.config.backend(),
            "paragraphs": len(paragraphs),
            "questions": len(asked),
            **measured(folder / f"{name}.index", used, paragraphs, asked),
            **circumstances(),
        }
        add_results(options.out, [record])
        print(record)
    if options.vectors:
        encoder.save()


class Remembered:
    """An encoder with a cache of vectors in a file."""

    def __init__(self, encoder: Any, path: pathlib.Path) -> None:
        self.name, self.encoder, self.path = encoder.name, encoder, path
        self.known: dict[str, np.ndarray] = {}
        if path.exists():
            with np.load(path) as file:
                self.known = dict(zip(file["texts"].tolist(), file["vectors"], strict=True))

    def __call__(self, texts: list[str]) -> np.ndarray:
        new = [text for text in dict.fromkeys(texts) if text not in self.known]
        if new:
            self.known.update(zip(new, self.encoder(new), strict=True))
        return np.stack([self.known[text] for text in texts])

    def save(self) -> None:
        texts = np.array([*self.known])
        np.savez(self.path, texts=texts, vectors=np.stack([*self.known.values()]))


def measured(
    path: pathlib.Path, encoder: Any, paragraphs: list[str], asked: Sequence[Any]
) -> dict[str, Any]:
    """Recall, and the times of making an index and of a search."""
    from keras_qa.documents import Document, Index

    with Index.create(path, "en", encoder) as index:
        started = time.process_time()
        index.add(Document(str(number), text) for number, text in enumerate(paragraphs))
        indexing = time.process_time() - started
        numbers = {text: str(number) for number, text in enumerate(paragraphs)}
        questions = [example.question for example in asked]
        ranks = []
        for example, hits in zip(asked, index.search(questions, _PASSAGES), strict=True):
            found = list(dict.fromkeys(hit.document for hit in hits))
            right = numbers[example.plain_text]
            ranks.append(found.index(right) if right in found else len(paragraphs))
        seconds = []
        for question in questions[:_TIMED]:
            started = time.process_time()
            index.search(question)
            seconds.append(time.process_time() - started)
        timed = {
            "indexing_seconds": round(indexing, 2),
            "search_ms": round(1000 * float(np.median(seconds)), 2),
        }
        return {
            "passages": index.passages,
            "recall": {
                str(first): round(100 * float((np.array(ranks) < first).mean()), 2)
                for first in FIRST
            },
            **({} if isinstance(encoder, Remembered) else timed),
            "file_mib": round(path.stat().st_size / 2**20, 2),
        }


if __name__ == "__main__":
    main()
