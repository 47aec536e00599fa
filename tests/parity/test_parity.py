"""A file, and a training from the same start, give the same numbers on every backend."""

import itertools
import json
import pathlib

import numpy as np
import pytest
from interpreters import BACKENDS

GOLDEN = pathlib.Path(__file__).parent.parent / "golden"
PAIRS = list(itertools.combinations(BACKENDS, 2))
KINDS = sorted(path.stem for path in GOLDEN.glob("*.keras"))


def test_a_model_that_one_backend_saved_answers_alike_on_all(folder) -> None:
    results = {backend: dict(np.load(folder / f"{backend}.npz")) for backend in BACKENDS}
    saved = {path.stem for path in folder.glob("*.keras")}
    assert len(saved) == 4
    for one, other in PAIRS:
        keys = set(results[one])
        assert keys == set(results[other])
        assert {key.partition("/")[0] for key in keys} == saved
        for key in keys:
            left, right = results[one][key], results[other][key]
            if left.dtype.kind == "f":
                np.testing.assert_allclose(left, right, rtol=0, atol=1e-5, err_msg=key)
            elif not key.endswith("answers"):
                np.testing.assert_array_equal(left, right, err_msg=key)
            else:
                # Answers whose scores are closer than the tolerance may change places.
                scores = results[one][key.replace("answers", "scores")]
                close = np.abs(np.diff(scores)) < 2e-5
                firm = ~np.pad(close, [(0, 0), (1, 0)]) & ~np.pad(close, [(0, 0), (0, 1)])
                firm[:, -1] = False
                np.testing.assert_array_equal(left[firm], right[firm], err_msg=key)


@pytest.mark.parametrize(
    "kind", ["classifier", "memory-network", "universal-transformer", "reader", "backbone"]
)
def test_the_same_start_gives_the_same_losses_in_24_steps(folder, kind: str) -> None:
    found = {name: np.load(folder / "steps" / f"{name}.npz")[kind] for name in BACKENDS}
    for one, other in PAIRS:
        np.testing.assert_allclose(found[one], found[other], rtol=1e-4)
    # The mean loss of the second epoch is lower than that of the first.
    assert found["torch"][-1] < 0.99 * found["torch"][len(found["torch"]) // 2 - 1]


def test_a_classifier_that_one_backend_saved_gives_the_same_logits_on_all(folder) -> None:
    found = {name: dict(np.load(folder / "heads" / f"{name}.npz")) for name in BACKENDS}
    assert found["torch"].keys() == {"electra", "modernbert", "roberta"}
    for kind, logits in found["torch"].items():
        assert logits.std() > 0.01
        for name in BACKENDS:
            np.testing.assert_allclose(found[name][kind], logits, rtol=0, atol=1e-5, err_msg=kind)


def test_each_backend_exports_the_same_bytes(folder) -> None:
    found = {name: json.loads((folder / f"onnx-{name}.json").read_text()) for name in BACKENDS}
    assert len([name for name in found["torch"] if name.endswith("model.onnx")]) == 5
    for name in BACKENDS:
        assert found[name] == found["torch"]


def test_no_golden_file_is_lost() -> None:
    assert len(KINDS) == 9


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_golden_file_answers_as_before(folder, backend: str, kind: str) -> None:
    cases = json.loads((GOLDEN / f"{kind}.json").read_text(encoding="utf-8"))
    found = json.loads((folder / f"golden-{backend}.json").read_text(encoding="utf-8"))
    for case, now in zip(cases, found[kind], strict=True):
        assert (now["text"], now["question"]) == (case["text"], case["question"])
        expected = case["answers"]
        scores = [answer["score"] for answer in expected]
        assert [answer["score"] for answer in now["answers"]] == pytest.approx(scores, abs=1e-5)
        # Answers whose scores are this close may change places between backends.
        apart = all(abs(one - other) > 1e-4 for one, other in itertools.pairwise(scores))
        for answer, before in zip(now["answers"], expected, strict=True):
            if apart:
                keys = ("text", "start", "end")
                assert [answer[key] for key in keys] == [before[key] for key in keys]
            assert [fact["weight"] for fact in answer["support"]] == pytest.approx(
                [fact["weight"] for fact in before["support"]], abs=1e-5
            )
