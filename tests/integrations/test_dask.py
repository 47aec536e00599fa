"""`KerasQAPredictor` in Dask's data frames, in scripts: Dask cannot pickle tests of pytest."""

import json
import pathlib

import pytest
from interpreters import python

import keras_qa

ROOT = pathlib.Path(__file__).parents[2]
READER = str(ROOT / "tests" / "golden" / "exported" / "reader")
TEXTS = ["then she slept. " * (n % 5) + "Mary went home." for n in range(9)]
CODE = f"""
import json, sys
import dask.dataframe
import pandas as pd
from keras_qa.integrations.ray import KerasQAPredictor

def answer(frame):
    results = pd.DataFrame(KerasQAPredictor({READER!r})(frame))
    return results.assign(keras="keras" in sys.modules)

if __name__ == "__main__":
    frame = pd.DataFrame({{"text": {TEXTS!r}, "question": "Where went Mary?"}})
    types = {{"answer": object, "score": float, "start": int, "end": int, "keras": bool}}
    data = dask.dataframe.from_pandas(frame, npartitions=3)
    answers = data.map_partitions(answer, meta={{**frame.dtypes, **types}})
    print(answers.compute(scheduler=sys.argv[1]).to_json(orient="records"))
"""


@pytest.mark.parametrize("scheduler", ["threads", "processes"])
def test_map_partitions_gives_the_answers_in_order_without_keras(scheduler, tmp_path) -> None:
    script = tmp_path / "script.py"
    script.write_text(CODE)
    done = python(f"import runpy; runpy.run_path({str(script)!r}, run_name='__main__')", scheduler)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    expected = keras_qa.load(READER).answer(TEXTS, ["Where went Mary?"] * 9)
    assert [row["text"] for row in rows] == TEXTS
    for row, answer in zip(rows, expected, strict=True):
        place = (-1, -1) if answer.start is None else (answer.start, answer.end)
        assert (row["answer"], row["start"], row["end"]) == (answer.text, *place)
        assert row["score"] == pytest.approx(answer.score, abs=1e-5)
        assert not row["keras"]


def test_the_example_in_the_docs() -> None:
    page = (ROOT / "docs" / "scaling.md").read_text("utf-8")
    block = page.split("## Dask\n")[1].split("```py\n")[1].split("```")[0]
    done = python(block)
    expected = [line.removeprefix("# ") for line in block.splitlines() if line.startswith("# ")]
    assert done.stdout.splitlines() == expected, done.stderr
