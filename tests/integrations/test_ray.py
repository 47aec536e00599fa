"""`KerasQAPredictor` in Ray Data, and files of questions answered by a Ray cluster of 2 workers."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import ray
from small_examples import read_lines
from talks import TALKS, WARRANTY, make_index, run_block

import keras_qa
from keras_qa.answering.answer_parts import PartWriter
from keras_qa.cli import main
from keras_qa.data.sqlite import lock
from keras_qa.integrations import ray as module
from keras_qa.integrations.ray import KerasQAPredictor, answer_files

# Ray's own.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ray")

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"
READER, CLASSIFIER = (str(GOLDEN / "exported" / name) for name in ("reader", "classifier"))
PLACES = ("home.", "to the bathroom.", "to the bathroom. then she slept at home.")
ROWS = [
    {
        "id": str(n),
        "text": "then she slept. " * (n % 5) + f"Mary went {PLACES[n % 3]}",
        "question": "Where went Mary?",
    }
    for n in range(60)
]
EXAMPLES = [keras_qa.Example(row["text"], row["question"]) for row in ROWS]


@pytest.fixture(scope="module", autouse=True)
def cluster():
    options = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
    ray.init(num_cpus=2, object_store_memory=100 * 2**20, **options)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def expected() -> list[keras_qa.Answer]:
    return keras_qa.load(READER).answer(EXAMPLES)


def column(values) -> np.ndarray:
    return np.array(values, dtype=object)


def test_ray_data_gives_the_answers_in_order_without_keras(expected) -> None:
    # A class of this function is sent to the workers by value, not by its name.
    class Reporting(KerasQAPredictor):
        def __call__(self, batch):
            answers = super().__call__(batch)
            names = " ".join({"keras", "torch", "jax", "tensorflow"} & set(sys.modules))
            rows = len(answers["answer"])
            return {**answers, "modules": np.full(rows, names), "pid": np.full(rows, os.getpid())}

    data = ray.data.from_items(ROWS, override_num_blocks=6)
    data.context.execution_options.preserve_order = True
    data.context.enable_progress_bars = False
    answers = data.map_batches(
        Reporting,
        fn_constructor_kwargs={"model": READER},
        compute=ray.data.ActorPoolStrategy(size=2),
        batch_size=10,
    ).take_all()
    assert [row["id"] for row in answers] == [row["id"] for row in ROWS]
    assert [row["answer"] for row in answers] == [answer.text for answer in expected]
    assert [row["score"] for row in answers] == pytest.approx([a.score for a in expected], abs=1e-5)
    assert {row["modules"] for row in answers} == {""}
    assert os.getpid() not in {row["pid"] for row in answers}


def test_a_reader_adds_places(expected) -> None:
    reader = keras_qa.load("minilm-squad")
    predict = KerasQAPredictor("minilm-squad", backend="torch", batch_size=2)
    texts, questions = [*TALKS.values(), "It rains."], [WARRANTY] * 4
    frame = pd.DataFrame({"text": texts, "question": questions}, index=[5, 6, 7, 8])
    answers = reader.answer(texts, questions)
    for batch in (predict(frame), predict({"text": column(texts), "question": column(questions)})):
        assert list(batch) == ["text", "question", "answer", "score", "start", "end"]
        assert batch["answer"].tolist() == [answer.text for answer in answers]
        assert batch["score"] == pytest.approx([answer.score for answer in answers], abs=1e-5)
        places = list(zip(batch["start"], batch["end"], strict=True))
        assert places == [(-1, -1) if a.start is None else (a.start, a.end) for a in answers]
        assert (-1, -1) in places
    assert predict({"text": [], "question": []})["start"].dtype == "int64"
    assert list(pd.DataFrame(predict(frame)).index) == [5, 6, 7, 8]


def test_an_embedder_a_ranker_and_documents(tmp_path) -> None:
    texts = list(TALKS.values())
    embedding = KerasQAPredictor("minilm-embed")({"text": column(texts)})["embedding"]
    np.testing.assert_allclose(embedding, keras_qa.load("minilm-embed")(texts), atol=1e-6)
    batch = {"question": column([WARRANTY] * 2), "texts": np.empty(2, object)}
    batch["texts"][:] = [texts, column(texts[:2])]
    ranked = KerasQAPredictor("minilm-rerank", top_k=2)(batch)
    expected = keras_qa.load("minilm-rerank").rank([WARRANTY] * 2, [texts, texts[:2]], top_k=2)
    for row, items in enumerate(expected):
        assert ranked["ranking"][row].tolist() == [item.index for item in items]
        np.testing.assert_allclose(ranked["scores"][row], [item.score for item in items], atol=1e-5)
    make_index(tmp_path).close()
    predict = KerasQAPredictor("minilm-squad", documents=tmp_path / "talks.index", threshold=0.5)
    right, wrong = (
        "The warranty of the drill is two years.",
        "The drill has a warranty of six years.",
    )
    verdicts = predict({"answer": column([right, f"{right} {wrong}"])})
    assert verdicts["supported"].tolist() == [True, False]
    assert verdicts["unsupported"].tolist() == ["", wrong]


def test_wrong_arguments_and_batches_raise() -> None:
    reader = keras_qa.load(READER)
    with pytest.raises(TypeError, match="`model` must be a name or a path, which each worker"):
        KerasQAPredictor(reader)
    with pytest.raises(ValueError, match="Keras already uses torch. Received: backend='jax'. Set"):
        KerasQAPredictor("minilm-squad", backend="jax")
    with pytest.raises(ValueError, match="`backend` must be one of 'tensorflow', 'torch', 'jax'"):
        KerasQAPredictor("minilm-squad", backend="theano")
    with pytest.raises(ValueError, match="A row has one answer. Leave `top_k` out."):
        KerasQAPredictor(READER, top_k=2)
    with pytest.raises(TypeError, match="unknown"):
        KerasQAPredictor(READER, unknown=2)
    predict = KerasQAPredictor(READER)
    with pytest.raises(ValueError, match="no column `question`. It has: `text`, `id`."):
        predict({"text": ["a"], "id": [1]})
    with pytest.raises(ValueError, match="columns `answer`, which the results have too. Rename or"):
        predict({"text": ["a"], "question": ["b"], "answer": ["c"]})
    with pytest.raises(TypeError, match="`question` must be a string. Received: None"):
        predict({"text": ["a"], "question": column([None])})


@pytest.fixture
def files(tmp_path) -> pathlib.Path:
    folder = tmp_path / "questions"
    folder.mkdir()
    (folder / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS[:35]))
    pd.DataFrame(ROWS[35:]).to_parquet(folder / "b.parquet", row_group_size=8)
    return folder


def read(folder: pathlib.Path) -> list[dict]:
    lines = [row for path in sorted(folder.glob("*.jsonl")) for row in read_lines(path)]
    tables = [pd.read_parquet(path) for path in sorted(folder.glob("*.parquet"))]
    return lines + pd.concat(tables).to_dict("records")


def check(folder: pathlib.Path, expected: list[keras_qa.Answer]) -> None:
    rows = read(folder)
    assert [row["id"] for row in rows] == [row["id"] for row in ROWS]
    assert [row["answer"] for row in rows] == [answer.text for answer in expected]
    assert [row["score"] for row in rows] == pytest.approx([a.score for a in expected], abs=1e-5)
    assert not list(folder.glob(".*"))


def test_the_command_answers_files(files, tmp_path, expected, capsys) -> None:
    arguments = ["answer", READER, "--engine=ray", f"--input={files}/*", f"--output={tmp_path}/out"]
    assert main([*arguments, "--workers=2"]) == 0
    printed = capsys.readouterr().out
    assert "60/60  100 %" in printed
    assert "Answered 60 questions in" in printed
    check(tmp_path / "out", expected)
    (tmp_path / "out" / "a-00000.jsonl").unlink()
    assert main(arguments) == 0
    assert "Answered 35 questions in" in (printed := capsys.readouterr().out)
    assert "25 were answered before" in printed
    check(tmp_path / "out", expected)
    assert main([*arguments, "--workers=3"]) == 0
    (tmp_path / "out" / "a-00000.jsonl").unlink()
    assert main([*arguments, "--workers=3"]) == 2
    message = "`workers` must be at most 2, the number of processors of the Ray cluster. Received:"
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_killed_worker_loses_and_doubles_nothing(
    when, files, tmp_path, expected, monkeypatch
) -> None:
    marker = tmp_path / "killed"

    class Dying(PartWriter):
        def write(self, part):
            def die():
                if part.target.endswith("a-00002.jsonl") and not marker.exists():
                    marker.touch()
                    os.kill(os.getpid(), signal.SIGKILL)

            if when == "before":
                partial = pathlib.Path(part.target).with_name(".a.12345678.partial.jsonl")
                partial.write_text("{")
                die()
            written = super().write(part)
            die()
            return written

    monkeypatch.setattr(module, "PartWriter", Dying)
    out = tmp_path / "out"
    assert answer_files(READER, str(files / "*"), out, workers=2, size=5, verbose=0) == (60, 0)
    assert marker.exists()
    assert len(list(out.glob("*-*"))) == 12
    check(out, expected)


def test_many_questions_have_one_answer_each_if_a_worker_is_killed_halfway(
    tmp_path, monkeypatch
) -> None:
    marker = tmp_path / "killed"

    class Dying(PartWriter):
        def write(self, part):
            if part.target.endswith("-00100.jsonl") and not marker.exists():
                marker.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return super().write(part)

    monkeypatch.setattr(module, "PartWriter", Dying)
    path, out = tmp_path / "a.jsonl", tmp_path / "out"
    texts = [json.dumps(f"Mary went to the {place}.") for place in ("kitchen", "garden", "hallway")]
    rows = (
        f'{{"id": "{n}", "text": {texts[n % 3]}, "question": "Where is Mary?"}}\n'
        for n in range(200_000)
    )
    path.write_text("".join(rows))
    assert answer_files(CLASSIFIER, str(path), out, workers=2, verbose=0) == (200_000, 0)
    assert marker.exists()
    answers = keras_qa.load(CLASSIFIER).answer([*map(json.loads, texts)], ["Where is Mary?"] * 3)
    lines = [line for part in sorted(out.glob("a-*")) for line in read_lines(part)]
    assert [line["id"] for line in lines] == [str(n) for n in range(200_000)]
    expected = [answer.text for answer in answers]
    assert all(line["answer"] == expected[n % 3] for n, line in enumerate(lines))


def test_a_stopped_run_continues(files, tmp_path, expected) -> None:
    out, path = tmp_path / "out", files / "a.jsonl"
    arguments = READER, str(files / "*"), out
    good = path.read_text()
    path.write_text(good.replace('"id": "24"', '"id": "24'))
    with pytest.raises(ValueError, match=r"a.jsonl`, line 25: expected one JSON object a line"):
        answer_files(*arguments, workers=1, size=5, verbose=0)
    names = [f"a-{number:05}.jsonl" for number in range(4)]
    # Other parts may be ready at that time.
    assert {*names, "a-00004.jsonl"} & {path.name for path in out.glob("*-*")} == set(names)
    path.write_text(good)
    with pytest.raises(ValueError, match="has answers to other questions of `a.jsonl` than the"):
        answer_files(*arguments, size=5, verbose=0)
    (out / "_run.json").unlink()
    written = [(out / name).stat().st_mtime_ns for name in names]
    done, before = answer_files(*arguments, size=5, verbose=0)
    assert (done + before, before >= 20) == (60, True)
    assert [(out / name).stat().st_mtime_ns for name in names] == written
    check(out, expected)


def test_a_second_command_ends_while_the_first_writes_the_folder(files, tmp_path) -> None:
    out = tmp_path / "new" / "out"
    arguments = READER, str(files / "*"), out
    out.parent.mkdir()
    with lock(out), pytest.raises(OSError, match=r"^Another process writes to `.*out`\. Wait for"):
        answer_files(*arguments, verbose=0)
    assert not list(out.parent.iterdir())
    out.parent.rmdir()
    assert answer_files(*arguments, verbose=0) == (60, 0)
    assert [path.name for path in out.parent.iterdir()] == ["out"]


def test_ctrl_c_ends_the_command_which_continues(tmp_path, capsys) -> None:
    rows = [{**ROWS[n % 60], "id": str(n)} for n in range(12_000)]
    path, out = tmp_path / "a.jsonl", tmp_path / "out"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    arguments = ["answer", READER, "--engine=ray", f"--input={path}", f"--output={out}"]
    command = [sys.executable, "-c", "from keras_qa.cli import command; command()"]
    process = subprocess.Popen(
        # This process has a cluster of its own.
        [*command, *arguments, "--workers=1"],
        env={name: value for name, value in os.environ.items() if not name.startswith("RAY_")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while process.poll() is None and not list(out.glob("a-*")):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    line = "keras-qa: interrupted. The same command continues after the last complete parts."
    assert errors.splitlines()[-1] == line
    assert 1 <= len(list(out.glob("a-*"))) < 12
    assert main(arguments) == 0
    assert " were answered before" in capsys.readouterr().out
    lines = [line for path in sorted(out.glob("a-*")) for line in read_lines(path)]
    assert [line["id"] for line in lines] == [row["id"] for row in rows]


def test_a_worker_that_always_ends_is_reported(files, tmp_path, monkeypatch) -> None:
    class Ending(PartWriter):
        def write(self, part):
            os._exit(1)

    class Raising(PartWriter):
        def write(self, part):
            raise OSError(28, "No space left on device")

    arguments = READER, str(files / "a.jsonl"), tmp_path / "out"
    monkeypatch.setattr(module, "PartWriter", Ending)
    monkeypatch.setattr(module, "_RESTARTS", 2)
    with pytest.raises(ValueError, match="^A worker of Ray ended again and again: ") as caught:
        answer_files(*arguments, verbose=0)
    assert len(str(caught.value)) < 300
    monkeypatch.setattr(module, "PartWriter", Raising)
    with pytest.raises(OSError, match="No space left on device"):
        answer_files(*arguments, verbose=0)


def test_the_command_refuses_what_does_not_fit(capsys) -> None:
    assert main(["answer", READER, "text a", "Why?", "--engine=ray"]) == 2
    assert "`--engine` is for files of questions. Add --input and" in capsys.readouterr().err
    assert main(["answer", READER, "--input=a.jsonl", "--output=b.jsonl", "--workers=2"]) == 2
    assert "`--workers` needs an engine. Add --engine ray." in capsys.readouterr().err


def test_the_example_in_the_docs(capsys) -> None:
    run_block("Ray", capsys, "scaling.md")


def test_the_example_of_ray_train_in_the_docs(capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_block("Ray Train", capsys, "scaling.md")
