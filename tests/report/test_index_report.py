"""Reports on answers from an index: recall, risk against coverage, sources."""

import dataclasses
import json
import pathlib

import numpy as np
import pytest
from command_line import error_line
from report_cases import Page
from small_checkpoints import cross_encoder

import keras_qa
from keras_qa import Answer, AnswerLocation, Example, metrics, report
from keras_qa.answering import Reranker
from keras_qa.cli import main
from keras_qa.documents import Document, Index
from keras_qa.documents.gold import DocumentSpan
from keras_qa.metrics.answers import contains_answer
from keras_qa.report import evaluation
from keras_qa.report.findings import Point, coverage_steps

READER = pathlib.Path(__file__).parents[1] / "golden" / "reader.keras"
TEXTS = {
    "one.txt": "Mary went to the bathroom.",
    "two.txt": "\n\nMary went home. John went to the hallway.",
    "<b> & three.txt": "Mary Mary went to the garden with John.",
}
EXAMPLES = [
    Example(TEXTS["two.txt"], "Where is John?", "hallway", 35, id="by its text"),
    Example(TEXTS["one.txt"], "Where is Mary?", "bathroom", 17),
    Example("John went to the hallway.", "Is John in it?", "hallway", 17, document="two.txt"),
    Example("Unknown John.", "Where is John?", "John", 8),
    Example(TEXTS["two.txt"], "Where is Sandra?"),
]


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> pathlib.Path:
    found = tmp_path_factory.mktemp("asked") / "a.index"
    with Index.create(found, language="en") as made:
        made.add([Document(name, text) for name, text in TEXTS.items()])
    return found


@pytest.fixture
def index(path):
    with Index.open(path) as opened:
        yield opened


def test_risk_against_coverage_by_hand() -> None:
    examples = [Example("", "", gold) for gold in ("it", "b", ("c", "d"), (), "e")]
    # The first answer has three more words than the right one.
    answers = [Answer("It, in the north wing", 0.9), Answer("x", 0.5), Answer("d", 0.5)]
    answers.append(Answer("y", 0.7))
    points = evaluation._points(examples, [*answers, Answer("", 0.99)])
    assert points == [Point(0.9, 1, 0.2, 0.0), Point(0.7, 2, 0.4, 0.5), Point(0.5, 4, 0.8, 0.5)]
    # Parts above the highest coverage have no row.
    assert coverage_steps(points, 10) == coverage_steps(points, 5) == points
    assert coverage_steps(points[:1], 10) == points[:1]


def test_offsets_in_the_text_of_the_example() -> None:
    sources = (AnswerLocation("a", 1, 5, 0.5, 1),)
    answer = Answer("John", 0.5, 19, 23, document="two.txt", sources=sources)
    for places, expected in (
        ([DocumentSpan("one.txt", 0, 50), DocumentSpan("two.txt", 18, 43)], (1, 5)),
        ([DocumentSpan("two.txt", 20, 43)], (None, None)),
        ([DocumentSpan("two.txt", 0, 22)], (None, None)),
        ([DocumentSpan("one.txt", 0, 50)], (None, None)),
        ([], (None, None)),
    ):
        here = evaluation._in_text(answer, places)
        assert here == dataclasses.replace(answer, start=expected[0], end=expected[1])
    assert evaluation._in_text(Answer("", 0.5), places) == Answer("", 0.5)


def test_report_agrees_with_ask(golden_reader, index) -> None:
    found = report.evaluate(golden_reader, EXAMPLES, index, passages=2)
    questions = [item.question for item in EXAMPLES]
    answers = golden_reader.ask(index, questions, passages=2)
    golds = [item.answers or [""] for item in EXAMPLES]
    pairs = list(zip(answers, golds, strict=True))
    assert found.questions == 5
    assert found.exact_match == pytest.approx(
        100 * np.mean([metrics.exact_match(a.text, g) for a, g in pairs])
    )
    assert found.f1 == pytest.approx(100 * np.mean([metrics.f1(a.text, g) for a, g in pairs]))
    assert found.version == "2.0"
    hits = [
        contains_answer(a.text, item.answers) for a, item in zip(answers, EXAMPLES, strict=True)
    ]
    assert found.right == 100 * sum(hits) / 4
    assert found.refused == (0.0 if answers[-1].text else 100.0)
    # Recall ignores the unknown text and the question without an answer.
    assert found.located == 3
    ranks = []
    for item, name in zip(EXAMPLES[:3], ("two.txt", "one.txt", "two.txt"), strict=True):
        names = [hit.document for hit in index.search(item.question)]
        ranks.append(names.index(name) + 1)
    assert found.recall == {
        most: pytest.approx(100 * np.mean([rank <= most for rank in ranks])) for most in (1, 5, 20)
    }
    assert 0 < found.recall[1] < found.recall[5] == 100
    given = [answer.score for answer in answers if answer.text]
    assert [point.threshold for point in found.points] == sorted(set(given), reverse=True)
    assert found.points[-1].answers == len(given)
    # Answers have offsets in the text of their example if they are in it.
    for item in found.errors:
        text, answer = item.example.plain_text, item.answer
        if answer.start is not None:
            assert text[answer.start : answer.end] == answer.text
        for source in answer.sources:
            assert index.text(source.document, source.start, source.end)


def test_a_passage_that_is_not_found(golden_reader, index) -> None:
    lost = dataclasses.replace(EXAMPLES[1], question="zebra?")
    found = report.evaluate(golden_reader, [EXAMPLES[1], lost], index)
    assert (found.located, found.recall[20]) == (2, 50.0)
    found = report.evaluate(golden_reader, [lost], index)
    assert (found.recall, found.points) == ({1: 0.0, 5: 0.0, 20: 0.0}, [])


def test_page_shows_escaped_sources(golden_reader, index) -> None:
    found = report.evaluate(golden_reader, EXAMPLES, index)
    sources = tuple(
        AnswerLocation(f"<i>{n}.txt", n, n + 1, 0.1, n + 1, n or None) for n in range(7)
    )
    wrong = dataclasses.replace(found.errors[0].answer, sources=(*sources, sources[0]))
    found = dataclasses.replace(
        found,
        errors=[dataclasses.replace(found.errors[0], answer=wrong), *found.errors[1:]],
        recall={1: 25.0, 5: 50.0, 20: 75.0},
        points=[Point(0.9, 1, 0.2, 0.0), Point(0.5, 4, 0.8, 0.25)],
    )
    html = found.html("<Asked>")
    page = Page(html)
    assert "<i>" not in html
    assert page.found("dd", **{"class": "from"})[0] == (
        "<i>0.txt:1, <i>1.txt, page 1, <i>2.txt, page 2, <i>3.txt, page 3, <i>4.txt, page 4"
        " and 2 more"
    )
    assert "<b> & three.txt:1" in "".join(page.found("dd", **{"class": "from"}))
    assert page.tables["recall"] == [
        *(["passages", "recall"], ["1", "25.0 %"], ["5", "50.0 %"], ["20", "75.0 %"])
    ]
    assert page.tables["risks"] == [
        ["threshold", "answers", "answered", "wrong"],
        ["0.900", "1", "20.0 %", "0.0 %"],
        ["0.500", "4", "80.0 %", "25.0 %"],
    ]
    assert "For 3 of the 5 questions the passage with the answer is known" in html
    plain = Page(report.judge(EXAMPLES[:1], [Answer("x", 0.5)]).html())
    assert "recall" not in plain.tables
    assert plain.found("dd", **{"class": "from"}) == []
    nothing = dataclasses.replace(found, points=[]).html()
    assert "No question got an answer." in nothing


def test_invalid_examples(golden_reader, index) -> None:
    with pytest.raises(ValueError, match=r"^`examples` is empty\. Give at least one to evaluate"):
        report.evaluate(golden_reader, [], index)
    with pytest.raises(ValueError, match=r"^The example at position 0 is about the document 'x',"):
        report.evaluate(golden_reader, [Example("a", "b", "a", document="x")], index)
    for options in ({"passages": 3}, {"ranker": "minilm-rerank"}, {"no_answer": None}):
        message = f"^`{min(options)}` is an option of answers from an index\\. "
        with pytest.raises(ValueError, match=message):
            report.evaluate(golden_reader, EXAMPLES, **options)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> str:
    found = tmp_path_factory.mktemp("data") / "questions.jsonl"
    rows = [
        {
            "text": item.plain_text,
            "question": item.question,
            "answers": list(item.answers),
            "answer_start": list(item.answer_start),
            "document": item.document,
        }
        for item in EXAMPLES
    ]
    found.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    return str(found)


def test_evaluate_command(path, data, tmp_path, capsys) -> None:
    arguments = ["evaluate", str(READER), "--index", str(path), "--data", data, "--no-answer=no"]
    page, out = tmp_path / "report.html", tmp_path / "calibrated.keras"
    assert main([*arguments, "--passages=3", f"--report={page}"]) == 0
    printed = capsys.readouterr().out.splitlines()
    reader = keras_qa.load(READER)
    with Index.open(path) as index:
        options = {"passages": 3, "no_answer": False}
        found = report.evaluate(reader, EXAMPLES, index, **options)
        fitted = reader.calibrate(index, EXAMPLES, **options)
    assert printed[0] == (
        f"exact match {found.exact_match:.1f} %, F1 {found.f1:.1f} %, {len(EXAMPLES)} examples"
    )
    assert printed[1] == (
        f"recall of the passage {found.recall[1]:.1f} % at 1, {found.recall[5]:.1f} % at 5, "
        f"{found.recall[20]:.1f} % at 20, 3 examples with a known passage"
    )
    assert printed[2:5] == [
        f"right with at most three more words: {found.right:.1f} %",
        "refused without an answer in the documents: 100.0 %",
        f"calibration error {found.calibration_error:.3f}",
    ]
    assert [line.split("scores from ")[1] for line in printed[5:-1]] == [
        f"{point.threshold:.3f}" for point in found.points
    ]
    assert printed[-1] == f"Wrote {page}."
    assert "recall" in Page(page.read_text("utf-8")).tables

    assert main([*arguments, "--passages=3", "--fit", f"--output={out}"]) == 0
    printed = capsys.readouterr().out.splitlines()
    most = int(100 * max(fitted.precisions)) / 100
    use = f"for `--min-precision` of at most {most:g}" if most else "too few for `--min-precision`"
    assert printed[0] == f"Calibrated on these questions, {use}."
    assert printed[1] == f"Saved {out}."
    assert keras_qa.load(out).model_.preprocessor.asking == fitted
    ask = ["ask", str(path), "--reader", str(out), "--question=Where is John?"]
    assert f"support at most {most:g}" in error_line(capsys, *ask, "--min-precision=0.9")
    errors = error_line(capsys, *ask, "--min-precision=0.9", "--min-score=0.5")
    assert "`min_score` and `min_precision` exclude" in errors


def test_evaluate_with_several_indexes(path, data, tmp_path, capsys) -> None:
    arguments = ["evaluate", str(READER), "--data", data, "--no-answer=no"]
    assert main([*arguments, "--index", str(path)]) == 0
    expected = capsys.readouterr().out
    shards = []
    with Index.open(path) as index:
        for name in index.names:
            shards += ["--index", str(tmp_path / f"{name}.index")]
            with Index.create(shards[-1], index.language) as shard:
                shard.add([{"name": name, "text": index.text(name)}])
    assert len(shards) > 2
    assert main([*arguments, *shards]) == 0
    assert capsys.readouterr().out == expected


def test_evaluate_with_a_ranker(path, data, tmp_path, capsys) -> None:
    ranker = Reranker(cross_encoder(tmp_path / "cross"))
    ranker.save(tmp_path / "ranker.keras")
    out = tmp_path / "calibrated.keras"
    arguments = ["evaluate", str(READER), "--index", str(path), "--data", data, "--no-answer=no"]
    arguments += [f"--ranker={tmp_path / 'ranker.keras'}", "--passages=3"]
    assert main([*arguments, "--fit", f"--output={out}"]) == 0
    printed = capsys.readouterr().out.splitlines()
    reader = keras_qa.load(READER)
    options = {"passages": 3, "no_answer": False, "ranker": ranker}
    with Index.open(path) as index:
        reader.calibrate(index, EXAMPLES, **options)
        found = report.evaluate(reader, EXAMPLES, index, **options)
    assert f"calibration error {found.calibration_error:.3f}" in printed
    fitted = keras_qa.load(out).model_.preprocessor.asking
    assert fitted.has_ranker
    assert fitted == reader.model_.preprocessor.asking


def test_invalid_combinations_of_options(path, data, capsys) -> None:
    index = ["--index", str(path)]
    options = ["--fit", "--no-answer=no", "--passages=2", "--embed=minilm", "--output=a.keras"]
    for option in (*options, "--ranker=minilm-rerank"):
        message = f"`{option.split('=')[0]}` is for asking documents: name them by `--index`."
        assert message in error_line(capsys, "evaluate", READER, "--data", data, option)
    for arguments, message in (
        (
            [*index, "--output=a.keras"],
            "`--output` saves what `--fit` calibrates: give both, or neither",
        ),
        ([*index, "--fit", "--output=a.h5"], "argument --output: must end in .keras"),
        (["--index=none.index"], "There is no index at "),
        ([*index, f"--ranker={READER}"], "is not a ranker. Expected"),
    ):
        assert message in error_line(capsys, "evaluate", READER, "--data", data, *arguments)
