"""`python -m benchmarks.retrieval FOLDER`: how often an index finds the paragraph that answers.

FOLDER holds `train.json` and `valid.json` in SQuAD's format. Each of their paragraphs is a document
of one index. Each question is searched by words alone, and by words and vectors. A paragraph counts
as found if one of its passages is. The record is added to the file of results.
"""

from __future__ import annotations

import argparse
import pathlib
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.measure import RESULTS, circumstances

# Recall is measured among so many first paragraphs.
FIRST = (1, 5, 20)
# A paragraph has several passages.
_PASSAGES = 100


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.retrieval", description=__doc__)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--encoder", default="minilm", help="default: %(default)s")
    parser.add_argument("--out", default=RESULTS / "retrieval.json", help="file of results")
    options = parser.parse_args()

    import keras

    from keras_qa import datasets
    from keras_qa.answering import TextEmbedder
    from keras_qa.training.results import add_results

    parts = [datasets.squad.load(options.folder / f"{part}.json") for part in ("train", "valid")]
    examples = [example for part in parts for example in part]
    paragraphs = list(dict.fromkeys(example.plain_text for example in examples))
    folder = pathlib.Path(tempfile.mkdtemp())
    encoder = TextEmbedder(options.encoder)
    for name, used in (("words", None), ("words and vectors", encoder)):
        record = {
            "contender": name,
            "encoder": used and options.encoder,
            "backend": keras.config.backend(),
            "paragraphs": len(paragraphs),
            "questions": len(examples),
            **measured(folder / f"{name}.index", used, paragraphs, examples),
            **circumstances(),
        }
        add_results(options.out, [record])
        print(record)


def measured(
    path: pathlib.Path, encoder: Any, paragraphs: list[str], examples: Sequence[Any]
) -> dict[str, Any]:
    """How often the right paragraph is among the first ones."""
    from keras_qa.documents import Document, Index

    with Index.create(path, "en", encoder) as index:
        index.add(Document(str(number), text) for number, text in enumerate(paragraphs))
        numbers = {text: str(number) for number, text in enumerate(paragraphs)}
        ranks = []
        questions = [example.question for example in examples]
        for example, hits in zip(examples, index.search(questions, _PASSAGES), strict=True):
            found = list(dict.fromkeys(hit.document for hit in hits))
            right = numbers[example.plain_text]
            ranks.append(found.index(right) if right in found else len(paragraphs))
        recall = {
            str(first): round(100 * float((np.array(ranks) < first).mean()), 2) for first in FIRST
        }
        return {"passages": index.passages, "recall": recall}


if __name__ == "__main__":
    main()
