"""Reports of the answers of a model."""

import pytest
from report_cases import Page
from small_examples import EXAMPLES

import keras_qa
from keras_qa import Answer, Example, QuestionAnswerer, report
from keras_qa.cli import main


def test_numbers_of_examples_and_answers_must_match() -> None:
    with pytest.raises(ValueError, match="as many, and at least one. Received 0 examples and 0"):
        report.judge([], [])
    with pytest.raises(ValueError, match="Received 2 examples and 1 answers"):
        report.judge(EXAMPLES[:2], [Answer("yes", 0.5)])


def test_half_a_surrogate_pair_is_replaced(tmp_path) -> None:
    item = Example("A \ud83d.", "Q?", "yes")
    path = tmp_path / "report.html"
    report.judge([item], [Answer("no", 0.5)]).save(path)
    page = Page(path.read_text(encoding="utf-8"))
    assert page.found("p", **{"class": "story"}) == ["A \ufffd."]


@pytest.fixture(scope="module", params=["answer_classifier", "memory_network"])
def fitted(request) -> QuestionAnswerer:
    options = {} if request.param == "answer_classifier" else {"embedding_dim": 8, "num_hops": 1}
    texts = [Example(f"{item.text} so it is.", item.question, item.answers) for item in EXAMPLES]
    return QuestionAnswerer(request.param, options, seed=0).fit(texts, epochs=1, verbose=0)


def test_report_agrees_with_the_answerer(fitted) -> None:
    found = report.evaluate(fitted, EXAMPLES, errors=3)
    assert found.scores == pytest.approx(fitted.evaluate(EXAMPLES))
    answers = fitted.answer([e.text for e in EXAMPLES], [e.question for e in EXAMPLES])
    wrong = [
        answer.score
        for answer, item in zip(answers, EXAMPLES, strict=True)
        if answer.text not in item.answers
    ]
    assert [item.answer.score for item in found.errors] == sorted(wrong, reverse=True)[:3]
    page = Page(found.html())
    assert page.found("p", **{"class": "story"}) == [item.example.text for item in found.errors]
    supported = sum(len(item.answer.support) for item in found.errors)
    assert (supported > 0) == (fitted.model == "memory_network")


def test_evaluate_command_writes_the_page(fitted, tmp_path, capsys) -> None:
    fitted.save(tmp_path / "qa.keras")
    path = tmp_path / "report.html"
    arguments = ["--data=simulated", "--examples=30", "--split=test", f"--report={path}"]
    assert main(["evaluate", str(tmp_path / "qa.keras"), *arguments]) == 0
    stories = keras_qa.datasets.babi.simulate(1, 30, 2_000_003)
    scores = fitted.evaluate(stories)
    printed = capsys.readouterr().out
    assert f"exact match {scores['exact_match']:.1f} %" in printed
    assert f"Wrote {path}." in printed
    page = Page(path.read_text(encoding="utf-8"))
    assert page.found("h1") == ["qa.keras on simulated"]
    assert page.tables["tasks"][1][:2] == ["1: one supporting fact", "30"]
