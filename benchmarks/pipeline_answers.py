"""`python -m benchmarks.pipeline_answers FOLDER DATA.json --python PYTHON`: compares answers.

FOLDER is a reader in Hugging Face's layout, PYTHON the interpreter of an environment with
`transformers<5`, whose question-answering pipeline answers the same questions. Each question with
different answers is printed with both answers, their number of pieces, and the rank of the
pipeline's answer here.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import subprocess
import sys

# The default limit of the pipeline.
PIECES = 15

PIPELINE = """
import json, sys
from transformers import pipeline
folder, count = sys.argv[1], int(sys.argv[2])
reader = pipeline("question-answering", model=folder, tokenizer=folder)
rows = json.load(sys.stdin)
found = [reader(question=q, context=t, max_answer_len=count, top_k=3) for q, t in rows]
json.dump(found, sys.stdout)
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pipeline_answers")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("data", type=pathlib.Path, help="questions in SQuAD's format")
    parser.add_argument("--python", required=True, help="of an environment with transformers<5")
    parser.add_argument("--questions", type=int, default=300)
    options = parser.parse_args()

    import keras_qa

    examples = keras_qa.datasets.squad.load(options.data)
    examples = examples[:: max(1, len(examples) // options.questions)][: options.questions]
    rows = [[item.question, item.plain_text] for item in examples]
    done = subprocess.run(
        [options.python, "-c", PIPELINE, str(options.folder), str(PIECES)],
        input=json.dumps(rows),
        capture_output=True,
        text=True,
        check=True,
    )
    theirs = json.loads(done.stdout)
    reader = keras_qa.load(options.folder)
    tokenizer = reader.vectorizer_.tokenizer
    ours = reader.answer(examples, top_k=20, no_answer=False, max_answer_words=PIECES, verbose=0)

    def pieces(text: str) -> int:
        return len(tokenizer.encode(text)[0])

    same = 0
    for item, own, other in zip(examples, ours, theirs, strict=True):
        best = other[0] if isinstance(other, list) else other
        # The pipeline cannot give longer answers.
        possible = [answer for answer in own if pieces(answer.text) <= PIECES]
        if possible and (possible[0].start, possible[0].end) == (best["start"], best["end"]):
            same += 1
            continue
        print(f"\n{item.question}")
        print(f"  keras-qa {own[0].text!r} {own[0].score:.3f}, {pieces(own[0].text)} pieces")
        print(f"  pipeline {best['answer']!r} {best['score']:.3f}, {pieces(best['answer'])} pieces")
        ranks = [n for n, a in enumerate(own) if (a.start, a.end) == (best["start"], best["end"])]
        print(f"  the pipeline's answer is number {ranks[0] + 1 if ranks else '> 20'} here")
    print(f"\n{same} of {len(examples)} answers are the same.")


if __name__ == "__main__":
    sys.exit(main())
