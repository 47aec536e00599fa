"""Files that were written before load, and answer as they did, on each backend."""

import itertools
import json
import pathlib

import pytest
from interpreters import BACKENDS

FOLDER = pathlib.Path(__file__).parent.parent / "golden"
KINDS = [
    "adapter",
    "backbone_reader",
    "classifier",
    "int8_reader",
    "lora_reader",
    "memory_network",
    "minilm_squad_small",
    "reader",
    "universal_transformer",
]


def test_there_is_a_file_of_each_kind() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.keras")) == KINDS


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_golden_file_answers_as_it_did(folder, backend: str, kind: str) -> None:
    cases = json.loads((FOLDER / f"{kind}.json").read_text(encoding="utf-8"))
    found = json.loads((folder / f"golden-{backend}.json").read_text(encoding="utf-8"))
    for case, now in zip(cases, found[kind], strict=True):
        assert (now["text"], now["question"]) == (case["text"], case["question"])
        expected = case["answers"]
        assert [answer["score"] for answer in now["answers"]] == pytest.approx(
            [answer["score"] for answer in expected], abs=1e-5
        )
        # Answers whose scores are this close may change places between backends.
        apart = all(
            abs(one["score"] - other["score"]) > 1e-4 for one, other in itertools.pairwise(expected)
        )
        for answer, before in zip(now["answers"], expected, strict=True):
            if apart:
                keys = ("text", "start", "end")
                assert [answer[key] for key in keys] == [before[key] for key in keys]
            assert [fact["weight"] for fact in answer["support"]] == pytest.approx(
                [fact["weight"] for fact in before["support"]], abs=1e-5
            )
