"""`verify` with a classifier of tokens in the input format of LettuceDetect."""

import json
import pathlib

import numpy as np
import pytest
from small_checkpoints import with_head
from small_models import same_weights

import keras_qa
from keras_qa.answering import Verdict
from keras_qa.cli import main
from keras_qa.models import QAModel, text_classifier

ANSWER = (
    "Mary slept at home, then she went to the bathroom. Unbelievable! Then 3.5 km.\nHome: 1990s, "
    "and to the bathroom. She slept and went, unbelievable, at 3 km and in the 1990s."
)
PASSAGES = ["Mary went home.", "Then she slept."]
# The prompts of LettuceDetect, which its checkpoints were trained with.
SUMMARY = "Summarize the following text:\n{}\noutput:"
ASKED = (
    "Briefly answer the following question:\nWho slept?\nBear in mind that your response should be "
    "strictly based on the following 2 passages:\npassage 1: Mary went home.\npassage 2: Then she "
    "slept.\nIn case the passages do not contain the necessary information to answer the question, "
    'please reply with: "Unable to answer based on given passages."\noutput:'
)


def checkpoint(folder: pathlib.Path, labels: int = 2, positions: int = 512) -> pathlib.Path:
    heads = {
        "head.dense.weight": (16, 16),
        "head.norm.weight": (16,),
        "classifier.weight": (labels, 16),
        "classifier.bias": (labels,),
    }
    config = {"max_position_embeddings": positions, "id2label": {str(n): "" for n in range(labels)}}
    return with_head(folder, "modernbert", "ForTokenClassification", heads, **config)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> pathlib.Path:
    return checkpoint(tmp_path_factory.mktemp("tokens") / "reader")


@pytest.fixture(scope="module")
def model(folder) -> QAModel:
    return text_classifier(folder)


def expected(model: QAModel, *prompts: str) -> list[Verdict]:
    """The verdicts on `ANSWER`, from the probabilities of its tokens after each prompt."""
    offsets = model.preprocessor.vectorizer.tokenizer.encode(ANSWER)[1].tolist()
    scores = np.zeros(len(offsets))
    for prompt in prompts:
        logits = model.predict(model.preprocessor.make_feed(model, [prompt], [ANSWER]), verbose=0)
        exponents = np.exp(logits[0, -1 - len(offsets) : -1])
        scores = np.maximum(scores, exponents[:, 1] / exponents.sum(axis=1))
    spans: list[list] = []
    before = False
    for score, (start, end) in zip(scores.tolist(), offsets, strict=True):
        if score >= 0.5 and before:
            spans[-1][1:] = [end, max(spans[-1][2], score)]
        elif score >= 0.5:
            spans.append([start, end, score])
        before = score >= 0.5
    assert len(spans) > 1
    return [
        Verdict(ANSWER[a:b], a, b, score=pytest.approx(score, abs=1e-5)) for a, b, score in spans
    ]


def test_spans_and_scores(model, folder) -> None:
    before = model.get_weights()
    found = keras_qa.verify(ANSWER, PASSAGES, "Who slept?", reader=model)
    assert found == expected(model, ASKED)
    assert found == keras_qa.verify(ANSWER, PASSAGES, "Who slept?", folder)
    least = max(one.score for one in found)
    above = [one for one in found if one.score >= least]
    assert len(above) < len(found)
    assert keras_qa.verify(ANSWER, PASSAGES, "Who slept?", model, least) == above
    asked = "passage 1: Mary went home.\npassage 2: Then she slept."
    without = keras_qa.verify(ANSWER, PASSAGES, reader=model)
    assert without == expected(model, SUMMARY.format(asked)) != found
    assert keras_qa.verify("", PASSAGES, reader=model) == []
    assert same_weights(model, before)


def test_groups_of_passages_that_fit(model) -> None:
    texts = ["Mary slept at home. " * count for count in (30, 30, 40)]
    groups = [f"passage 1: {texts[0]}\npassage 2: {texts[1]}", f"passage 1: {texts[2]}"]
    found = keras_qa.verify(ANSWER, texts, reader=model)
    assert found == expected(model, *map(SUMMARY.format, groups))


@pytest.mark.parametrize(
    ("labels", "positions", "message"),
    [
        (3, 512, "`reader` must have a tokenizer and two labels to classify tokens, 0 for support"),
        (2, 20, "pieces, which leaves no room for documents in 20 positions. Verify parts of it."),
    ],
)
def test_classifiers_that_cannot_verify(
    tmp_path, labels: int, positions: int, message: str
) -> None:
    model = text_classifier(checkpoint(tmp_path / "reader", labels, positions))
    before = model.get_weights()
    with pytest.raises(ValueError, match=message):
        keras_qa.verify(ANSWER, PASSAGES, "Who?", model)
    assert same_weights(model, before)


def test_the_command_marks_unsupported_spans(model, folder, tmp_path, capsys) -> None:
    (tmp_path / "documents").mkdir()
    for place, text in enumerate(PASSAGES):
        (tmp_path / "documents" / f"{place}.txt").write_text(text)
    command = ["verify", ANSWER, f"--documents={tmp_path / 'documents'}", f"--reader={folder}"]
    found = keras_qa.verify(ANSWER, PASSAGES, reader=model)
    assert main(command) == 1
    marked = ANSWER
    for one in reversed(found):
        marked = f"{marked[: one.start]}«{one.text}»{marked[one.end :]}"
    assert capsys.readouterr() == (f"{marked}\n\nUnsupported: {len(found)}.\n", "")
    assert main([*command, "--json"]) == 1
    printed = json.loads(capsys.readouterr().out)["results"]
    assert [(one["start"], one["end"]) for one in printed] == [
        (one.start, one.end) for one in found
    ]
    assert [one["score"] for one in printed] == pytest.approx([one.score for one in found])
