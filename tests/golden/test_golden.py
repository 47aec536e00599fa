"""Files that were written before load, and answer as they did, on each backend."""

import itertools
import json
import pathlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from interpreters import BACKENDS, python

FOLDER = pathlib.Path(__file__).parent
KINDS = ["backbone_reader", "classifier", "memory_network", "reader", "universal_transformer"]
ASK = """
import json, keras_qa, make, pathlib
files = sorted(pathlib.Path(make.__file__).parent.glob("*.keras"))
print(json.dumps({path.stem: make.asked(keras_qa.load(path)) for path in files}))
"""


@pytest.fixture(scope="module")
def found() -> dict[str, dict]:
    """What each backend answers, a process each and two at a time."""

    def ask(backend: str) -> dict:
        done = python(
            f"import sys; sys.path[:0] = {[str(FOLDER), str(FOLDER.parent)]}\n{ASK}",
            KERAS_BACKEND=backend,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(BACKENDS, pool.map(ask, BACKENDS), strict=True))


def test_there_is_a_file_of_each_kind() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.keras")) == KINDS


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_golden_file_answers_as_it_did(found, backend: str, kind: str) -> None:
    cases = json.loads((FOLDER / f"{kind}.json").read_text(encoding="utf-8"))
    for case, now in zip(cases, found[backend][kind], strict=True):
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
