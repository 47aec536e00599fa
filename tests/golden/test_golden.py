"""Files that were written before load, and answer as they did."""

import itertools
import json
import pathlib

import pytest

import keras_qa

FOLDER = pathlib.Path(__file__).parent
FILES = sorted(FOLDER.glob("*.keras"))


def test_there_is_a_file_of_each_kind() -> None:
    assert [path.stem for path in FILES] == [
        "backbone_reader",
        "classifier",
        "memory_network",
        "reader",
        "universal_transformer",
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_golden_file_answers_as_it_did(path: pathlib.Path) -> None:
    qa = keras_qa.load(path)
    for case in json.loads(path.with_suffix(".json").read_text(encoding="utf-8")):
        found = qa.answer(case["text"], case["question"], top_k=3)
        expected = case["answers"]
        assert [answer.score for answer in found] == pytest.approx(
            [answer["score"] for answer in expected], abs=1e-5
        )
        # Answers whose scores are this close may change places between backends.
        apart = all(
            abs(one["score"] - other["score"]) > 1e-4 for one, other in itertools.pairwise(expected)
        )
        for answer, before in zip(found, expected, strict=True):
            if apart:
                assert (answer.text, answer.start, answer.end) == (
                    before["text"],
                    before["start"],
                    before["end"],
                )
            assert [fact.weight for fact in answer.support] == pytest.approx(
                [fact["weight"] for fact in before["support"]], abs=1e-5
            )
