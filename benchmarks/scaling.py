"""`python -m benchmarks.scaling FILE`: answers by 2 Ray workers, beside 2 processes without Ray.

FILE has questions in SQuAD's format, which are repeated. The two processes run at the same time,
each on a core of its own and with half of the questions. Ray gets the same two cores. Times are
those of whole commands. The record is added to the file of results.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

from benchmarks.measure import RESULTS, circumstances

COMMAND = [sys.executable, "-c", "from keras_qa.cli import command; command()", "answer"]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("file", type=pathlib.Path)
    parser.add_argument("--questions", type=int, default=20_000, help="default: %(default)s")
    parser.add_argument("--reader", default="minilm-squad", help="default: %(default)s")
    parser.add_argument("--out", default=RESULTS / "scaling.json", help="file of results")
    options = parser.parse_args()

    import keras_qa
    from keras_qa.training.results import add_results

    examples = keras_qa.datasets.squad.load(options.file)
    cores = sorted(os.sched_getaffinity(0))[:2]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        halves = [folder / f"{number}.jsonl" for number in range(2)]
        for number, path in enumerate(halves):
            write_questions(path, examples, number, options.questions)
        single = [
            (options.reader, "--input", str(path), "--output", str(path.with_suffix(".out.jsonl")))
            for path in halves
        ]
        with ThreadPoolExecutor(2) as threads:
            seconds = [*threads.map(answer, single, ([core] for core in cores))]
        engine = ("--engine", "ray", "--workers", "2", "--output", str(folder / "answers"))
        ray = answer((options.reader, "--input", str(folder / "[01].jsonl"), *engine), cores)
    rates = [options.questions / 2 / each for each in seconds]
    record = {
        "reader": options.reader,
        "questions": options.questions,
        "backend": os.environ.get("KERAS_BACKEND"),
        "single_per_second": [round(rate, 2) for rate in rates],
        "ray_per_second": round(options.questions / ray, 2),
        "ratio": round(options.questions / ray / sum(rates), 3),
        **circumstances(),
    }
    add_results(options.out, [record])
    print(record)


def write_questions(path: pathlib.Path, examples: list, first: int, count: int) -> None:
    """Writes every second of `count` questions, from the first or the second on."""
    numbered = enumerate(itertools.islice(itertools.cycle(examples), count))
    with path.open("w", encoding="utf-8") as file:
        for number, example in itertools.islice(numbered, first, None, 2):
            row = {"id": str(number), "text": example.plain_text, "question": example.question}
            file.write(json.dumps(row) + "\n")


def answer(arguments: tuple[str, ...], cores: list[int]) -> float:
    """Runs the command on these cores, one thread a process, and returns its seconds."""
    began = time.perf_counter()
    subprocess.run(
        [*COMMAND, *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
