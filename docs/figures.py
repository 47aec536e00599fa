"""`python docs/figures.py` writes measured figures into the docs, from `benchmarks/results/*.json`.

The function NAME below returns the text between `<!-- figures: NAME -->` and `<!-- end -->`. With
`--check` nothing is written, and the exit status is 1 if a page differs.
"""

from __future__ import annotations

import json
import math
import pathlib
import re
import statistics
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PAGES = ("README.md", "docs/*.md")
BLOCK = re.compile(r"(<!-- figures: ([\w-]+) -->)(.*?)(<!-- end -->)", re.DOTALL)
BACKENDS = {"tensorflow": "TensorFlow", "torch": "PyTorch", "jax": "JAX"}
# bAbI's papers count a task as failed if its error, in percent, is above this.
FAILED = 5.0
TASKS = (
    *("one supporting fact", "two supporting facts", "three supporting facts"),
    *("two-argument relations", "three-argument relations", "yes or no", "counting"),
    *("lists and sets", "simple negation", "indefinite knowledge", "basic coreference"),
    *("conjunction", "compound coreference", "time", "basic deduction", "basic induction"),
    *("positions", "sizes", "path finding", "motivations"),
)

Case = dict[str, Any]


def _ratio(ours: str, rival: str) -> Callable[[Case], str]:
    """How many times as fast as the rival."""

    def times(case: Case) -> str:
        ratio = _median(case, rival) / _median(case, ours)
        return f"{ratio:.2f}" if ratio < 10 else f"{ratio:.0f}"

    return times


def _median(case: Case, contender: str) -> float:
    return case["seconds"][contender]["median"]


_TORCH = _ratio("keras-qa", "native PyTorch")
_KERAS = _ratio("keras-qa", "plain Keras")
_TRANSFORMERS = _ratio("keras-qa", "transformers")


def _question(case: Case) -> str:
    """Milliseconds of one of the 100 questions of the case."""
    return f"{10 * _median(case, 'keras-qa'):.2f}"


# The rows of the table: what, rival, case, figure.
RATIOS = (
    ("train on full rows", "PyTorch", "train, dense", _TORCH),
    ("train on padded rows", "PyTorch, packed", "train, masked", _TORCH),
    ("train on padded rows", "plain Keras", "train, masked", _KERAS),
    ("predict full rows", "PyTorch", "predict, dense", _TORCH),
    ("predict padded rows", "PyTorch, packed", "predict, masked", _TORCH),
    ("predict padded rows", "plain Keras", "predict, masked", _KERAS),
    ("one question on 100 words", "PyTorch", "one question", _TORCH),
    (
        "one question on 100 words",
        "Keras' `predict_on_batch`",
        "one question",
        _ratio("keras-qa", "Keras' predict_on_batch"),
    ),
    ("a new process, full rows", "plain Keras", "cold, dense", _KERAS),
    ("a new process, padded rows", "plain Keras", "cold, padded", _KERAS),
    ("train on full stories", "PyTorch", "stories, full", _TORCH),
    ("train on stories of any length", "PyTorch", "stories, simulated", _TORCH),
    ("texts to windows", "`transformers`", "windows", _ratio("Windower", "transformers")),
    ("300 questions to MiniLM", "`transformers`", "answering", _TRANSFORMERS),
    ("one question to MiniLM", "`transformers`", "answering, one at a time", _TRANSFORMERS),
    ("rank 20 texts by MiniLM", "`transformers`", "ranking", _TRANSFORMERS),
    ("fine-tune MiniLM", "`transformers`", "fine-tuning", _TRANSFORMERS),
)
PERCENTILES = ("p50", "p95", "p99")
CONTENDERS = {
    "backbone": "on the six layers of MiniLM",
    "transformers": "`transformers.BertForQuestionAnswering`, the same weights",
    "vectors": "from scratch, GloVe with 50 numbers a word",
    "no vectors": "from scratch, no vectors",
    "sliding window": "nothing learned: the words whose surroundings share most with the question",
}


def speed() -> str:
    """Ratios against the rivals."""
    files = _speeds()
    machines = [_machine(files["jax"][case]) for _, _, case, _ in RATIOS]
    usual = max(machines, key=machines.count)
    others = dict(zip(sorted(set(machines) - {usual}), "abc", strict=False))
    rows = []
    for (what, rival, case, figure), machine in zip(RATIOS, machines, strict=True):
        mark = f" ({others[machine]})" if machine in others else ""
        rows.append([f"{what}{mark}", rival, *(figure(file[case]) for file in files.values())])
    rounds = [file[case]["rounds"] for file in files.values() for _, _, case, _ in RATIOS]
    where = "".join(f"; ({letter}) on {name}" for name, letter in others.items())
    count = f"{min(rounds)} to {max(rounds)}" if len(set(rounds)) > 1 else f"{rounds[0]}"
    note = f"Medians of {count} rounds on {usual}{where}."
    return _table(["", "rival", *BACKENDS.values()], rows, numbers_from=2) + f"\n\n{note}"


def speed_in_short() -> str:
    """Some rows of the table of ratios, as sentences."""
    files = _speeds()

    def three(case: str, figure: Callable[[Case], str] = _TORCH) -> str:
        return _listed([figure(file[case]) for file in files.values()])

    cores = files["jax"]["train, dense"]["machine"]["cores"]
    return (
        f"On {cores} CPU cores, for {_listed(BACKENDS.values())}: training on padded rows is "
        f"{three('train, masked')} times as fast as native PyTorch with packed sequences, on full "
        f"rows {three('train, dense')} times; one question takes "
        f"{three('one question', _question)} ms."
    )


def reading() -> str:
    """The scores of readers: a row a contender, its seeds in a cell."""
    runs = _readers()
    rows = []
    for name, records in runs.items():
        seeds = f", {len(records)} seeds" if len(records) > 1 else ""
        row = [f"{CONTENDERS[name]}{seeds}"]
        row += [", ".join(f"{run[key]:.1f}" for run in records) for key in ("exact_match", "f1")]
        minutes = [f"{run['minutes']:.0f} ({_machine(run).split()[-1]})" for run in records]
        rows.append([*row, ", ".join(minutes) if name != "sliding window" else ""])
    about = runs["backbone"][0]
    return (
        f"Trained on {about['questions']:,} questions of SQuAD by these recipes, asked "
        f"{about['validation_questions']:,} others about other paragraphs:\n\n"
    ) + _table(["", "exact match", "F1", "minutes"], rows)


def reading_in_short() -> str:
    """The means of the readers' scores, as sentences."""
    runs = _readers()

    def score(name: str, key: str) -> str:
        return f"{statistics.mean(run[key] for run in runs[name]):.1f}"

    def both(name: str) -> str:
        return f"{score(name, 'exact_match')} and {score(name, 'f1')}"

    run = runs["backbone"][0]
    return (
        f"Trained on {run['questions']:,} questions of SQuAD and asked "
        f"{run['validation_questions']} others: {score('backbone', 'exact_match')} % exact match "
        f"and {score('backbone', 'f1')} % F1 on the six layers of MiniLM ({both('transformers')} "
        f"for `transformers` with the same weights), {both('vectors')} from scratch with GloVe, "
        f"{both('sliding window')} for word overlap."
    )


def retrieval() -> str:
    """How often an index finds the paragraph that answers, by words and with vectors."""
    runs = {record["contender"]: record for record in _records("retrieval.json")}
    firsts = list(runs["words"]["recall"])
    rows = []
    for name, run in runs.items():
        what = name if run["encoder"] is None else f"{name} of `{run['encoder']}`"
        rows.append([what, *(f"{run['recall'][first]:.1f} %" for first in firsts)])
    run = runs["words"]
    note = f"{run['questions']:,} questions of SQuAD, {run['paragraphs']:,} paragraphs."
    head = ["the right paragraph is among the first", *firsts]
    return _table(head, rows, numbers_from=1) + f"\n\n{note}"


def many_passages() -> str:
    """The size of a large index, and the time of a question."""
    runs = [run for run in _records("many_passages.json") if not run.get("vectors")]
    run = runs[-1]
    return (
        f"An index of {run['passages']:,} passages is a file of {run['file_bytes'] / 1e9:.2f} GB. "
        f"Creating it took {run['memory_mib']} MiB of memory, at {run['passages_per_second']:,} "
        f"passages a second. Of {run['questions']} questions the median took "
        f"{run['search_ms']['median']:.0f} ms and the slowest {run['search_ms']['most']:.0f} ms."
    )


def large_vectors() -> str:
    """The size of a large index with vectors, and the time of a question."""
    run = [run for run in _records("many_passages.json") if run.get("vectors")][-1]
    return (
        f"On {_machine(run)}, {run['passages']:,} passages with {run['vectors']} each were a file "
        f"of {run['file_bytes'] / 1e9:.2f} GB, written at {run['passages_per_second']:,} passages "
        f"a second. It took {run['opening_seconds']:.0f} s to open, and of {run['questions']} "
        f"questions the median took {run['search_ms']['median'] / 1e3:.1f} s."
    )


def ray() -> str:
    """Questions a second by Ray, beside processes without it."""
    run = _records("scaling.json")[-1]
    first, second = run["single_per_second"]
    return (
        f"On {_machine(run)}, {run['questions']:,} questions to `{run['reader']}`: "
        f"{run['ray_per_second']:.1f} a second by Ray, {first:.1f} and {second:.1f} by the "
        f"processes without it. The ratio is {run['ratio']:.2f}."
    )


def preset_minilm() -> str:
    """The scores of the preset on MiniLM."""
    records = _records("presets.json")
    run = [record for record in records if record["preset"].startswith("minilm")][-1]
    names = {"reading/valid.json": "MLQA", "squad_small/valid.json": "SQuAD"}
    rows = [
        [
            f"{found['questions']:,} of {names[file]}, always answered",
            f"{found['exact_match']:.1f} %",
            f"{found['f1']:.1f} %",
        ]
        for file, found in run["always"].items()
    ]
    both, recognized = run["mixed"], run["recognized"]
    rows.append(
        [
            f"{both['questions']:,}, half of MLQA, half unanswerable of SQuAD 2.0",
            f"{both['exact_match']:.1f} %",
            f"{both['f1']:.1f} %",
        ]
    )
    text = (
        "The last row is fitted to as many other questions. The F1 "
        f"would be {both['always_f1']:.1f} % with an answer to each question, and "
        f"{both['never_f1']:.1f} % with none. The reader recognizes {both['recognized']:.0f} % of "
        f"the unanswerable questions and refuses {both['refused']:.0f} % of the others; its "
        f"calibration error is {both['calibration_error']:.3f}. Where a quarter of the answerable "
        f"questions of MLQA is refused, {recognized['reading/valid.json']:.0f} % of the "
        f"unanswerable ones are recognized, and {recognized['squad_small/valid.json']:.0f} % where "
        "a quarter of SQuAD is. With the encoder's weights before "
        f"their rounding to int8, the F1 on MLQA is {run['int8_loss']:+.2f} points different."
    )
    return _table(["questions", "exact match", "F1"], rows, numbers_from=1) + f"\n\n{text}"


def same_training() -> str:
    """The scores of a training and of the same one by `transformers`."""
    ours, rival = _records("reading-10000.json")
    return (
        f"On {ours['questions']:,} of the questions, one epoch with the same batches gives "
        f"{ours['f1']:.1f} % F1 on MLQA, and {rival['f1']:.1f} % with `transformers`."
    )


def document_questions() -> str:
    """Answers from folders of documents, by what is searched and how it is measured."""
    records = _records("documents.json")
    asked = {
        (record["folder"], record["search"], record["ranker"]): record
        for record in records
        if record["what"] == "questions"
    }
    left = {
        (record["ranker"], record["alone"]): record
        for record in records
        if record["what"] == "left out"
    }
    rows = []
    for name, record in (
        ("all together", left.get((True, False))),
        ("all together, no ranker", left.get((False, False))),
        ("each project alone", left.get((True, True))),
        ("each project alone, no ranker", left.get((False, True))),
        ("all, weights of all projects", asked.get(("documents", "words", "minilm-rerank"))),
        ("the same, no ranker", asked.get(("documents", "words", None))),
        ("manuals of software", asked.get(("manuals", "words", "minilm-rerank"))),
        ("manuals, no ranker", asked.get(("manuals", "words", None))),
    ):
        if record is not None:
            rows.append(
                [
                    name,
                    f"{record['first_right']:.0f} %",
                    f"{record['among_three']:.0f} %",
                    f"{record['refused_unanswerable']:.0f} % of {record['unanswerable']}",
                    f"{record['right_lost']:.0f} %",
                    f"{record['calibration_error']:.3f}",
                    f"{record['high_right']:.0f} %",
                    f"{record['right_high']:.0f} %",
                ]
            )
    head = ["asked", "first right", "among three", "refused", "lost", "calibration error"]
    head += ["right at 0.5", "right ones at 0.5"]
    return _table(head, rows, numbers_from=1)


def document_failures() -> str:
    """What became of the answerable questions of each project."""
    records = [record for record in _records("documents.json") if record["what"] == "failures"]
    projects = next(one for one in reversed(records) if one["kind"] == "ranker")["projects"]
    kinds = [*next(iter(projects.values()))]
    rows = [[name, *map(str, counts.values())] for name, counts in projects.items()]
    return _table(["project", *kinds], rows, numbers_from=1)


def _coverage(run: dict[str, Any], least: str) -> str:
    """How many questions are answered at a precision, and how many answers are right."""
    found = run["min_precision"].get(least)
    if found is None:
        return f"raises; at most {math.floor(100 * run['most_precise']) / 100:.2f} is reached"
    if not found["answers"]:
        return "no question is answered"
    return f"{100 * found['coverage']:.0f} % answered, {100 * found['right']:.0f} % of these right"


def preset_rerank() -> str:
    """The scores of the ranker, beside the order of the search."""
    runs = {(one["data"], one["contender"]): one for one in _records("rerank.json")}
    names = {
        "squad_small/valid.json": "SQuAD, first 20 of 1,827 paragraphs",
        "ranking/selqa-valid.jsonl": "SelQA, sentences of an article",
    }
    rows = []
    for (data, contender), run in runs.items():
        scores = [f"{run['recall_at_1']:.1f} %", f"{run['mrr']:.1f} %"]
        rows.append([f"{run['questions']:,} of {names[data]}", contender, *scores])
    titles = ["questions", "order", "right text first", "mean reciprocal rank"]
    return _table(titles, rows, numbers_from=2)


def relevance() -> str:
    """The precision and the recall of the ranker's scores."""
    names = {
        "squad_small/valid.json": "SQuAD, first 20 of 1,827 paragraphs",
        "ranking/selqa-valid.jsonl": "SelQA, sentences of an article",
    }
    rows = []
    for run in _records("relevance.json"):
        shares = [f"{run[name]:.1f} %" for name in ("precision", "recall", "none")]
        what = f"{run['questions']:,} of {names[run['data']]}"
        rows.append([what, f"{run['min_precision']:g}", *shares])
    titles = ["questions", "`min_precision`", "precision", "relevant texts kept"]
    return _table([*titles, "empty if none is relevant"], rows, numbers_from=1)


def preset_babi() -> str:
    """The errors of the preset for stories."""
    run = _joint()[1]
    worst = max(run["errors"], key=lambda task: run["errors"][task])
    return (
        f"{run['validation_error']:.2f} % on average, {run['errors'][worst]:.1f} % at most, on "
        f"task {worst}."
    )


def boolq() -> str:
    """The share of right answers of a reader that says yes or no."""
    (run,) = _records("boolq.json")
    return (
        f"After one epoch, {100 - run['validation_error']:.1f} % of the "
        f"{run['validation_questions']:,} answers are right."
    )


def choices() -> str:
    """The accuracy of choosers on MCTest."""
    names = {
        "sliding window": "sliding window with word distances (Richardson et al. 2013)",
        "from scratch": "`multiple_choice`, from scratch",
        "backbone": "`multiple_choice` on `minilm`",
        "on a ranker": "`multiple_choice` on `minilm-rerank`",
        "transformers": "`BertForMultipleChoice` of `transformers` with the same weights",
        "ranker": "`minilm-rerank` without training, by windows of four sentences",
    }
    rows, records = [], _records("choices.json")
    for run in sorted(records, key=lambda run: ([*names].index(run["contender"]), run["seed"])):
        accuracy = [f"{run['accuracy'][part]:.1f} %" for part in ("all", "one", "multiple")]
        # Contenders without a training have taken no time.
        seed, minutes = (str(run["seed"]), f"{run['minutes']:.0f}") if run["minutes"] else ("", "")
        rows.append([names[run["contender"]], seed, *accuracy, minutes])
    processors = " or ".join(dict.fromkeys(run["machine"]["processor"] for run in records))
    head = ["", "seed", "right", "in one sentence", "in several", "minutes"]
    note = (
        f"{run['validation_questions']} questions of both dev parts with four choices each, after "
        f"training on {run['questions']:,}, PyTorch, bfloat16, one core ({processors}) beside "
        "other work."
    )
    return f"{_table(head, rows, numbers_from=1)}\n\n{note}"


def babi_10k() -> str:
    """The best run of each task with 10,000 questions, and a summary."""
    best, runs = _best("babi-10k-jax.json"), _records("babi-10k-jax.json")
    rows = [
        [
            *(str(run["task"]), TASKS[run["task"] - 1], f"`{run['model']}`", str(run["epochs"])),
            *(f"{run['seconds'] / 60:.1f}", _error(run)),
        ]
        for run, _ in best
    ]
    hours = sum(run["seconds"] for run in runs) / 3600
    (alone,) = [
        run for run in runs if run["task"] == 16 and run["model"] == "universal_transformer"
    ]
    return _table(["task", "", "model", "epochs", "minutes", "error"], rows) + (
        f"\n\n{_failed(best)} The mean error is {_mean(best):.2f} %. All {len(runs)} runs, those "
        f"of two models included, took {hours:.1f} hours on one CPU core. The transformer alone "
        f"has {_error(alone)} error on task 16."
    )


def babi_1k() -> str:
    """A summary of the best runs with 1,000 questions."""
    best = _best("babi-1k-jax.json")
    minutes = sum(run["seconds"] for run in _records("babi-1k-jax.json")) / 60
    return (
        f"{_failed(best)} The mean error is {_mean(best):.1f} %. "
        f"All runs took {minutes:.0f} minutes on one CPU core."
    )


def _error(run: Case) -> str:
    return f"{run['validation_error']:.1f} %"


def babi_joint() -> str:
    """The two runs of one model for all twenty tasks."""
    whole, sampled = _joint()
    left = {task: error for task, error in sampled["errors"].items() if round(error, 1)}
    failed = {task: error for task, error in whole["errors"].items() if error > FAILED}
    return (
        f"takes {sampled['seconds'] / 3600:.1f} hours and reaches a mean error of "
        f"{sampled['validation_error']:.2f} % on `valid`: "
        f"{_listed(f'{error:.1f} % on task {task}' for task, error in left.items())}, none on the "
        f"others. An epoch is a fifth of the {sampled['questions']:,} questions. Without "
        f"`--hard-example-share`, {whole['epochs']} whole epochs reach {_error(whole)}, and fail "
        f"{_listed(f'task {task} with {error:.0f} %' for task, error in failed.items())}."
    )


def docs_questions() -> str:
    """The scores of right and wrong answers to questions about the docs."""
    answers = json.loads((RESULTS / "docs-questions.json").read_text("utf-8"))
    scores: dict[bool, list[float]] = {True: [], False: []}
    for answer in answers:
        if answer["answer"]:
            scores[answer["right"]].append(100 * answer["score"])
    right, wrong = (f"{min(found):.0f} to {max(found):.0f} %" for found in scores.values())
    return (
        f"Of {len(answers)} other questions about these pages it answered {len(scores[True])} "
        f"right, with scores of {right}, and {len(scores[False])} wrong, with scores of {wrong}; "
        f"it gave no answer to {sum(not answer['answer'] for answer in answers)}."
    )


def babi_in_short() -> str:
    """The means on bAbI, as sentences."""
    many, few = _best("babi-10k-jax.json"), _best("babi-1k-jax.json")
    right = sum(run["validation_error"] == 0 for run, _ in many)
    return (
        f"On bAbI with 10,000 questions a task, {right} of the 20 tasks have no error on `valid`, "
        f"and the mean is {_mean(many):.2f} %; one model of all twenty has "
        f"{_joint()[1]['validation_error']:.2f} %. With 1,000 questions a task the mean is "
        f"{_mean(few):.1f} %."
    )


def exporting() -> str:
    """Times of an exported reader and of Keras."""
    rows = []
    for backend, cases in _speeds().items():
        many, first = (cases[f"export, {name}"] for name in ("answering", "first answer"))
        seconds = [f"{_median(many, name):.2f}" for name in ("keras-qa", "ONNX", "optimum")]
        seconds += [f"{_median(first, name):.2f}" for name in ("keras-qa", "ONNX")]
        rows.append([BACKENDS[backend], *seconds])
    samples, machine = many["samples"], _machine(many)
    head = ["seconds", f"{samples} questions", "ONNX Runtime", "the graph of optimum-onnx"]
    head += ["first answer", "ONNX Runtime"]
    return _table(head, rows, numbers_from=1) + f"\n\nMedians on {machine}."


def serving() -> str:
    """Questions a second of servers, and how long a client waits."""
    rows, cases = [], _speeds()["torch"]
    for clients in ("1 client", "8 clients", "32 clients"):
        case = cases[f"serving, {clients}"]
        for name, times in case["seconds"].items():
            rate = f"{case['samples'] / times['median']:.0f}"
            waits = [f"{1e3 * times[part]:.0f}" if part in times else "" for part in PERCENTILES]
            rows.append([clients, name, rate, *waits])
    head = ["", "", "questions a second", *(f"{part}, ms" for part in PERCENTILES)]
    return _table(head, rows, numbers_from=2) + f"\n\nMedians on {_machine(case)}."


BLOCKS: dict[str, Callable[[], str]] = {
    function.__name__.replace("_", "-"): function
    for function in (
        *(speed, speed_in_short, reading, reading_in_short),
        docs_questions,
        *(babi_10k, babi_1k, babi_joint, babi_in_short),
        *(preset_minilm, preset_rerank, relevance, preset_babi, boolq, choices, same_training),
        *(
            document_questions,
            document_failures,
            retrieval,
            many_passages,
            large_vectors,
            ray,
            exporting,
            serving,
        ),
    )
}


def filled(page: str) -> str:
    """Fills the blocks of a page.

    A block whose comment is alone in its line is wrapped in paragraphs; any other is inline text.
    """

    def fill(match: re.Match[str]) -> str:
        begin, name, old, end = match.groups()
        if name not in BLOCKS:
            raise ValueError(f"`{begin}` must be one of {', '.join(BLOCKS)}.")
        text = BLOCKS[name]()
        if not old.startswith("\n"):
            return f"{begin}{text}{end}"
        parts = [
            part
            if part.startswith("|")
            else textwrap.fill(part, 110, break_long_words=False, break_on_hyphens=False)
            for part in text.split("\n\n")
        ]
        return "\n\n".join([begin, *parts, end])

    return BLOCK.sub(fill, page)


def pages(root: pathlib.Path = ROOT) -> Iterator[pathlib.Path]:
    """The pages that may hold figures."""
    for pattern in PAGES:
        yield from sorted(root.glob(pattern))


def main(arguments: list[str], root: pathlib.Path = ROOT) -> int:
    """Writes the pages, or with `--check` prints which ones differ."""
    different = []
    for path in pages(root):
        page = path.read_text(encoding="utf-8")
        right = filled(page)
        if right != page:
            different.append(str(path.relative_to(root)))
            if "--check" not in arguments:
                path.write_text(right, encoding="utf-8")
    if "--check" not in arguments:
        print(f"Written: {', '.join(different) or 'nothing, all figures are right'}.")
        return 0
    if different:
        print(f"Figures differ from the results: {', '.join(different)}. Run docs/figures.py.")
    return int(bool(different))


def _table(head: list[str], rows: list[list[str]], numbers_from: int | None = None) -> str:
    """A Markdown table. The columns from `numbers_from` on are aligned to the right."""
    first = len(head) if numbers_from is None else numbers_from
    rule = ["---" if place < first else "---:" for place in range(len(head))]
    lines = [f"| {' | '.join(row)} |" for row in [head, rule, *rows]]
    return "\n".join(line.replace("|  |", "| |") for line in lines)


def _records(name: str) -> list[Case]:
    return json.loads((RESULTS / name).read_text(encoding="utf-8"))


def _joint() -> list[Case]:
    """The two runs of all tasks: with whole epochs, and with hard-example sampling."""
    whole, sampled = _records("babi-10k-joint-jax.json")
    return [whole, sampled]


def _speeds() -> dict[str, Case]:
    files = {name: (RESULTS / f"{name}-cpu.json").read_text(encoding="utf-8") for name in BACKENDS}
    return {name: json.loads(text)["cases"] for name, text in files.items()}


def _readers() -> dict[str, list[Case]]:
    runs = _records("reading.json")
    return {name: [run for run in runs if run["contender"] == name] for name in CONTENDERS}


def _best(name: str) -> list[tuple[Case, list[Case]]]:
    """The best run of each task, the first one if several are equal, and all its runs."""
    runs = _records(name)
    by_task = [[run for run in runs if run["task"] == task] for task in range(1, len(TASKS) + 1)]
    return [(min(many, key=lambda run: run["validation_error"]), many) for many in by_task]


def _mean(best: list[tuple[Case, Any]]) -> float:
    return statistics.mean(run["validation_error"] for run, _ in best)


def _failed(best: list[tuple[Case, Any]]) -> str:
    tasks = [str(run["task"]) for run, _ in best if run["validation_error"] > FAILED]
    if not tasks:
        return f"No task fails (error above {FAILED:.0f} %)."
    return f"Failed (error above {FAILED:.0f} %): {_listed(tasks)}."


def _machine(case: Case) -> str:
    machine = case["machine"]
    name = machine["processor"].replace("(R)", "").replace(" Processor", "")
    return f"{machine['cores']} cores of an {name}"


def _listed(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
