"""`python docs/figures.py`: writes the figures in the pages, from `benchmarks/results/*.json`.

Between `<!-- figures: NAME -->` and `<!-- end -->` a page holds what the function NAME below
returns. `python docs/figures.py --check` writes nothing, and fails where a page says otherwise.
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
PAGES = ("README.md", "docs/*.md", "benchmarks/results/*.md")
BLOCK = re.compile(r"(<!-- figures: ([\w-]+) -->)(.*?)(<!-- end -->)", re.DOTALL)
BACKENDS = {"tensorflow": "TensorFlow", "torch": "PyTorch", "jax": "JAX"}
# An error above 5 % is a failed task, as in the papers.
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


def _time(contender: str, scale: float = 1.0, digits: int = 2) -> Callable[[Case], str]:
    """How long it takes, in the unit of which `scale` are what the file counts in seconds."""
    return lambda case: f"{_median(case, contender) * scale:,.{digits}f}"


def _memory(case: Case) -> str:
    return f"{case['peak_mib']:,}"


def _median(case: Case, contender: str) -> float:
    return case["seconds"][contender]["median"]


_OURS = _ratio("keras-qa", "native PyTorch")
_KERAS = _ratio("keras-qa", "plain Keras")
_OVER_IMPORT = _ratio("import keras", "keras-qa answer")
_READER = _ratio("keras-qa", "transformers")
# The case is of 100 questions.
_QUESTION = _time("keras-qa", scale=10)

# A row of the table on speed: what, against whom or in which unit, the case, its figure.
SPEED = (
    ("train on full rows", "× PyTorch", "train, dense", _OURS),
    ("train on padded rows", "× PyTorch, packed", "train, masked", _OURS),
    ("the same", "× plain Keras", "train, masked", _KERAS),
    ("… kernels alone", "× neither", "levers", _ratio("kernels alone", "neither")),
    ("… batches by length alone", "× neither", "levers", _ratio("buckets alone", "neither")),
    (
        "… both",
        "× neither",
        "levers",
        _ratio("kernels and buckets", "neither"),
    ),
    ("predict full rows", "× PyTorch", "predict, dense", _OURS),
    ("predict padded rows", "× PyTorch, packed", "predict, masked", _OURS),
    ("the same", "× plain Keras", "predict, masked", _KERAS),
    ("one question on 100 words", "× PyTorch", "one question", _OURS),
    ("the same", "× plain Keras", "one question", _KERAS),
    ("the same", "ms", "one question", _QUESTION),
    ("100 questions on a text", "× one by one", "passage", _ratio("read and ask", "answer")),
    ("a new process, full rows", "× plain Keras", "cold, dense", _KERAS),
    ("a new process, padded rows", "× plain Keras", "cold, padded", _KERAS),
    ("`keras-qa answer`", "times `import keras`", "cold, answer", _OVER_IMPORT),
    ("train on full stories", "× PyTorch", "stories, full", _OURS),
    ("train on stories of any length", "× PyTorch", "stories, simulated", _OURS),
    ("texts to windows", "× `transformers`", "windows", _ratio("Windower", "transformers")),
    ("fine-tune MiniLM", "× `transformers`", "fine-tuning", _READER),
    ("the same in bfloat16", "× `transformers`", "fine-tuning, bfloat16", _READER),
    ("best spans of 10,000 windows", "s", "decoding", _time("a window a text")),
    ("a question on 50,000 words", "s", "long text, 50,000 words", _time("answer")),
    ("a question on 400,000 words", "s", "long text, 400,000 words", _time("answer")),
    ("most memory, 25,000 words", "MiB", "long text, 25,000 words", _memory),
    ("most memory, 400,000 words", "MiB", "long text, 400,000 words", _memory),
    ("`import keras_qa` after Keras", "ms", "import", _time("keras_qa after keras", 1000, 0)),
)
GROWTH = (
    ("200 / 400 words", "words 200", "words 400"),
    ("256 / 512 rows a batch", "rows 256", "rows 512"),
    ("20,000 / 40,000 words in the vocabulary", "vocabulary 20000", "vocabulary 40000"),
    ("64 + 32 / 128 + 64 units", "units 64", "units 128"),
)
CONTENDERS = {
    "backbone": "on the six layers of MiniLM",
    "transformers": "`transformers.BertForQuestionAnswering`, the same weights",
    "vectors": "from scratch, GloVe with 50 numbers a word",
    "no vectors": "from scratch, no vectors",
    "sliding window": "nothing learned: the words whose surroundings share most with the question",
}


def speed() -> str:
    """The table on speed, and the machines it is of."""
    files = _speeds()
    machines = [_machine(files["jax"][case]) for _, _, case, _ in SPEED]
    usual = max(machines, key=machines.count)
    others = dict(zip(sorted(set(machines) - {usual}), "abc", strict=False))
    lines = [f"| | | {' | '.join(BACKENDS.values())} |", "| --- | --- | ---: | ---: | ---: |"]
    for (what, against, case, figure), machine in zip(SPEED, machines, strict=True):
        mark = f" ({others[machine]})" if machine in others else ""
        values = " | ".join(figure(file[case]) for file in files.values())
        lines.append(f"| {what}{mark} | {against} | {values} |")
    rounds = [file[case]["rounds"] for file in files.values() for _, _, case, _ in SPEED]
    where = "".join(f"; ({letter}) on {name}" for name, letter in others.items())
    lines += ["", f"Medians of {min(rounds)} to {max(rounds)} rounds on {usual}{where}."]
    return "\n".join(lines)


def growth() -> str:
    """How the time of an epoch grows, where all as they are is 1.0."""
    lines = [f"| | {' | '.join(BACKENDS.values())} |", "| --- | --- | --- | --- |"]
    cases = [file["growth"]["seconds"] for file in _speeds().values()]
    for what, *names in GROWTH:
        pairs = [
            " / ".join(f"{case[n]['least'] / case['all as they are']['least']:.1f}" for n in names)
            for case in cases
        ]
        lines.append(f"| {what} | {' | '.join(pairs)} |")
    return "\n".join(lines)


def speed_in_short() -> str:
    """Some rows of the table on speed, as sentences."""
    files = _speeds()

    def three(case: str, figure: Callable[[Case], str] = _OURS) -> str:
        return _listed([figure(file[case]) for file in files.values()])

    cores = files["jax"]["train, dense"]["machine"]["cores"]
    return _sentences(
        f"On {cores} CPU cores, for {_listed(BACKENDS.values())}: training on padded rows is",
        f"{three('train, masked')} times as fast as native PyTorch with packed sequences, on full",
        f"rows {three('train, dense')} times; one question takes",
        f"{three('one question', _QUESTION)} ms.",
    )


def reading() -> str:
    """How well readers read: a row a contender, its seeds in a cell."""
    lines = ["| | exact match | F1 | minutes |", "| --- | --- | --- | --- |"]
    for name, runs in _readers().items():
        seeds = f", {_word(len(runs))} seeds" if len(runs) > 1 else ""
        exact, f1 = (", ".join(f"{run[key]:.1f}" for run in runs) for key in ("exact_match", "f1"))
        minutes = ", ".join(f"{run['minutes']:.0f} ({_machine(run).split()[-1]})" for run in runs)
        learned = minutes if name != "sliding window" else ""
        lines.append(
            f"| {CONTENDERS[name]}{seeds} | {exact} | {f1} | {learned} |".replace("  ", " ")
        )
    return "\n".join(lines)


def reading_questions() -> str:
    """How many questions readers were trained on, and asked."""
    run = _readers()["backbone"][0]
    return (
        f"Trained on {run['questions']:,} questions of SQuAD by these recipes, asked "
        f"{run['validation_questions']:,} others about other paragraphs:"
    )


def reading_in_short() -> str:
    """The means of the readers' scores, as sentences."""
    runs = _readers()

    def score(name: str, key: str) -> str:
        return f"{statistics.mean(run[key] for run in runs[name]):.1f}"

    def both(name: str) -> str:
        return f"{score(name, 'exact_match')} and {score(name, 'f1')}"

    run = runs["backbone"][0]
    return _sentences(
        f"Trained on {run['questions']:,} questions of SQuAD and asked",
        f"{run['validation_questions']} others: {score('backbone', 'exact_match')} % exact match",
        f"and {score('backbone', 'f1')} % F1 on the six layers of MiniLM ({both('transformers')}",
        f"for `transformers` with the same weights), {both('vectors')} from scratch with GloVe,",
        f"{both('sliding window')} for word overlap.",
    )


def retrieval() -> str:
    """How often an index finds the paragraph that answers, by words alone and with vectors."""
    runs = {record["contender"]: record for record in _records("retrieval.json")}
    firsts = list(runs["words"]["recall"])
    lines = [
        f"| the right paragraph is among the first | {' | '.join(firsts)} |",
        f"| --- |{' ---: |' * len(firsts)}",
    ]
    for name, run in runs.items():
        values = " | ".join(f"{run['recall'][first]:.1f} %" for first in firsts)
        what = name if run["encoder"] is None else f"{name} of `{run['encoder']}`"
        lines.append(f"| {what} | {values} |")
    run = runs["words"]
    lines += ["", f"Of {run['questions']:,} questions of SQuAD, {run['paragraphs']:,} paragraphs."]
    return "\n".join(lines)


def many_passages() -> str:
    """How long a question to a large index takes, and how large that is."""
    run = _records("many_passages.json")[-1]
    most = run["search_ms"]
    return _sentences(
        f"An index of {run['passages']:,} passages is a file of {run['file_bytes'] / 1e9:.2f} GB.",
        f"To make it took {run['memory_mib']} MiB of memory, at {run['passages_per_second']:,}",
        f"passages a second; {run['questions']} questions to it took {most['median']:.0f} ms",
        f"in the middle and {most['most']:.0f} ms at most.",
        "`python -m benchmarks.many_passages FOLDER` makes these figures.",
    )


def preset_minilm() -> str:
    """The scores of the preset on MiniLM, as sentences."""
    run = [record for record in _records("presets.json") if record["preset"].startswith("minilm")][
        -1
    ]
    both = run["with_unanswerable"]
    return _sentences(
        f"{run['exact_match']:.1f} % exact match and {run['f1']:.1f} % F1 where it must answer.",
        f"With {run['unanswerable_questions']} unanswerable questions among them it comes to",
        f"{both['exact_match']:.1f} and {both['f1']:.1f}, and says of {both['NoAns_exact']:.1f} %",
        "of those that there is no answer.",
    )


def asking() -> str:
    """Answers from indexes of paragraphs, and from their own paragraph alone."""
    records = _records("asking.json")
    (own,) = [record for record in records if record["what"] == "own paragraph"]
    runs = {(one["what"], one["search"]): one for one in records if one is not own}
    searches = ("words", "words and vectors")
    rows = [
        ("its own paragraph, always answered", own["always"]),
        ("its own paragraph, as the reader decides", own["as it decides"]),
    ]
    for search in searches:
        rows.append((f"all paragraphs by {search}, with the defaults", runs["default", search]))
        rows.append((f"all paragraphs by {search}, calibrated", runs["calibrated", search]))
    lines = ["| a question is asked of | exact match | F1 |", "| --- | ---: | ---: |"]
    lines += [f"| {what} | {run['exact_match']:.1f} % | {run['f1']:.1f} % |" for what, run in rows]
    fitted = {search: runs["calibrated", search] for search in searches}
    about = fitted["words"]
    text = [
        f"`{about['reader']}` on {about['questions']} questions of SQuAD, all of",
        f"{about['documents']:,} paragraphs being documents, calibrated on",
        f"{about['calibration_questions']} questions about others of them.",
    ]
    for search, run in fitted.items():
        recall = _listed(f"{share:.1f} % at {most}" for most, share in run["recall"].items())
        before = runs["default", search]["calibration_error"]
        text += [
            f"By {search} recall is {recall}, the fitted weight of retrieval",
            f"{run['retrieval_weight']:.1f} and the temperature {run['temperature']:.2f}; the",
            f"calibration error goes from {before:.3f} to {run['calibration_error']:.3f}.",
        ]
    time = runs["time", "words"]["ask_to_read"]
    text += [
        f"Asking takes {time:.2f} times the processor time of reading the ten passages.",
        "`python -m benchmarks.asking FOLDER` makes these figures.",
    ]
    lines += ["", textwrap.fill(_sentences(*text), 110, break_on_hyphens=False), ""]
    lines += ["| `min_precision` | by words | by words and vectors |", "| --- | --- | --- |"]
    for least in ("0.7", "0.8", "0.9"):
        lines.append(f"| {least} | {' | '.join(_given(run, least) for run in fitted.values())} |")
    return "\n".join(lines)


def _given(run: dict[str, Any], least: str) -> str:
    """How many questions get an answer at a precision, and how many of these are right."""
    found = run["min_precision"].get(least)
    if found is None:
        return f"cannot be had; {math.floor(100 * run['most_precise']) / 100:.2f} can"
    if not found["answers"]:
        return "no question is answered"
    return f"{100 * found['coverage']:.0f} % answered, {100 * found['right']:.0f} % of these right"


def preset_babi() -> str:
    """The errors of the preset for stories, as a sentence."""
    run = _joint()[1]
    worst = max(run["errors"], key=lambda task: run["errors"][task])
    return _sentences(
        f"{run['validation_error']:.2f} % on average, {run['errors'][worst]:.1f} % at most, on",
        f"task {worst}.",
    )


def babi_10k() -> str:
    """A row for the best run of each task with 10,000 questions."""
    lines = [
        "| task | | model | epochs | minutes | error |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for run, _ in _best("babi-10k-jax.json"):
        lines.append(
            f"| {run['task']} | {TASKS[run['task'] - 1]} | `{run['model']}` | {run['epochs']} | "
            f"{run['seconds'] / 60:.1f} | {run['validation_error']:.1f} % |"
        )
    return "\n".join(lines)


def babi_10k_summary() -> str:
    """The mean, the failed tasks and the time of all runs with 10,000 questions."""
    best, runs = _best("babi-10k-jax.json"), _records("babi-10k-jax.json")
    hours = sum(run["seconds"] for run in runs) / 3600
    (alone,) = [
        run for run in runs if run["task"] == 16 and run["model"] == "universal_transformer"
    ]
    return _sentences(
        f"{_failed(best)} The mean error is {_mean(best):.2f} %. All {len(runs)} runs, those of",
        f"two models included, took {hours:.1f} hours on one CPU core. The transformer alone comes",
        f"to {alone['validation_error']:.1f} % error on task 16.",
    )


def babi_1k() -> str:
    """A row for the best run of each task with 1,000 questions."""
    lines = [
        "| task | | model | copies | epochs | minutes, all runs | error |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for run, runs in _best("babi-1k-jax.json"):
        minutes = sum(item["seconds"] for item in runs) / 60
        lines.append(
            f"| {run['task']} | {TASKS[run['task'] - 1]} | `{run['model']}` | {run['copies']} | "
            f"{run['epochs']} | {minutes:.1f} | {run['validation_error']:.1f} % |"
        )
    return "\n".join(lines)


def babi_1k_summary() -> str:
    """The mean, the failed tasks and the time of all runs with 1,000 questions."""
    best = _best("babi-1k-jax.json")
    minutes = sum(run["seconds"] for run in _records("babi-1k-jax.json")) / 60
    return _sentences(
        f"{_failed(best)} The mean error is {_mean(best):.1f} %.",
        f"All runs took {minutes:.0f} minutes on one CPU core.",
    )


def babi_joint() -> str:
    """The two runs of one model for all twenty tasks."""
    whole, sampled = _joint()
    left = {task: error for task, error in sampled["errors"].items() if round(error, 1)}
    failed = {task: error for task, error in whole["errors"].items() if error > FAILED}
    return _sentences(
        f"takes {sampled['seconds'] / 3600:.1f} hours, and leaves a mean error of",
        f"{sampled['validation_error']:.2f} % on `valid`:",
        f"{_listed(f'{error:.1f} % on task {task}' for task, error in left.items())}, none on all",
        f"others. An epoch is a fifth of the {sampled['questions']:,} questions. Without",
        f"`--hard-example-share`, {whole['epochs']} whole epochs leave",
        f"{whole['validation_error']:.1f} %, and fail",
        f"{_listed(f'task {task} with {error:.0f} %' for task, error in failed.items())}.",
    )


def hard_examples() -> str:
    """What drawing hard examples first gains on all twenty tasks."""
    whole, sampled = _joint()
    return _sentences(
        "One model of all twenty tasks of bAbI comes to a mean error of",
        f"{whole['validation_error']:.1f} % in {whole['epochs']} whole epochs, and to",
        f"{sampled['validation_error']:.2f} % in {sampled['epochs']} epochs of a fifth.",
    )


def babi_in_short() -> str:
    """The means on bAbI, as sentences."""
    many, few = _best("babi-10k-jax.json"), _best("babi-1k-jax.json")
    right = sum(run["validation_error"] == 0 for run, _ in many)
    return _sentences(
        f"On bAbI with 10,000 questions a task {right} of the 20 tasks have no error on `valid`,",
        f"and the mean is {_mean(many):.2f} %; one model of all twenty comes to",
        f"{_joint()[1]['validation_error']:.2f} %. With 1,000 questions a task the mean is",
        f"{_mean(few):.1f} %.",
    )


BLOCKS: dict[str, Callable[[], str]] = {
    function.__name__.replace("_", "-"): function
    for function in (
        *(speed, growth, speed_in_short, reading, reading_questions, reading_in_short),
        *(babi_10k, babi_10k_summary, babi_1k, babi_1k_summary, babi_joint, hard_examples),
        babi_in_short,
        *(preset_minilm, preset_babi, asking, retrieval, many_passages),
    )
}


def filled(page: str) -> str:
    """A page with the figures of its blocks as they should be.

    A comment that stands in a line by itself is followed by a paragraph, any other by text.
    """

    def block(found: re.Match[str]) -> str:
        begin, name, old, end = found.groups()
        if name not in BLOCKS:
            raise ValueError(f"`{begin}`: there are {', '.join(BLOCKS)}.")
        text = BLOCKS[name]()
        if not old.startswith("\n"):
            return f"{begin}{text}{end}"
        if "\n" not in text:
            text = textwrap.fill(text, 110, break_long_words=False, break_on_hyphens=False)
        return f"{begin}\n\n{text}\n\n{end}"

    return BLOCK.sub(block, page)


def pages(root: pathlib.Path = ROOT) -> Iterator[pathlib.Path]:
    """The pages that may hold figures."""
    for pattern in PAGES:
        yield from sorted(root.glob(pattern))


def main(arguments: list[str], root: pathlib.Path = ROOT) -> int:
    """Writes the pages, or with `--check` says which differ."""
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
        print(f"Other figures than in the results: {', '.join(different)}. Run docs/figures.py.")
    return int(bool(different))


def _records(name: str) -> list[Case]:
    return json.loads((RESULTS / name).read_text(encoding="utf-8"))


def _joint() -> list[Case]:
    """The two runs for all tasks: with whole epochs, and with hard examples drawn first."""
    whole, sampled = _records("babi-10k-joint-jax.json")
    return [whole, sampled]


def _speeds() -> dict[str, Case]:
    files = {name: (RESULTS / f"{name}-cpu.json").read_text(encoding="utf-8") for name in BACKENDS}
    return {name: json.loads(text)["cases"] for name, text in files.items()}


def _readers() -> dict[str, list[Case]]:
    runs = _records("reading.json")
    return {name: [run for run in runs if run["contender"] == name] for name in CONTENDERS}


def _best(name: str) -> list[tuple[Case, list[Case]]]:
    """The best run of each task, the first of several, and all its runs."""
    runs = _records(name)
    by_task = [[run for run in runs if run["task"] == task] for task in range(1, len(TASKS) + 1)]
    return [(min(many, key=lambda run: run["validation_error"]), many) for many in by_task]


def _mean(best: list[tuple[Case, Any]]) -> float:
    return statistics.mean(run["validation_error"] for run, _ in best)


def _failed(best: list[tuple[Case, Any]]) -> str:
    tasks = [str(run["task"]) for run, _ in best if run["validation_error"] > FAILED]
    if not tasks:
        return f"No task is failed (error above {FAILED:.0f} %)."
    return f"Failed (error above {FAILED:.0f} %): {_listed(tasks)}."


def _machine(case: Case) -> str:
    machine = case["machine"]
    name = machine["processor"].replace("(R)", "").replace(" Processor", "")
    return f"{machine['cores']} cores of an {name}"


def _listed(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


def _sentences(*parts: str) -> str:
    return " ".join(parts)


def _word(number: int) -> str:
    return ("no", "one", "two", "three", "four", "five")[number] if number < 6 else str(number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
