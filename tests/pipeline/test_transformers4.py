"""`keras_qa.pipeline` beside the pipeline of `transformers` 4, with the same weights."""

from __future__ import annotations

import json
import pathlib
import re
from typing import Any

import pytest
import transformers
from small_checkpoints import KINDS
from transformers import SquadExample

import keras_qa
from keras_qa.answering.pipeline import QuestionAnsweringPipeline
from keras_qa.models import span_reader
from keras_qa.models.pretrained.checkpoint_writer import save_pretrained

ROOT = pathlib.Path(__file__).parents[2]
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"
)

SPECIAL = re.compile(r"\[(CLS|MASK|PAD|SEP|UNK)\]")
Pair = tuple[QuestionAnsweringPipeline, transformers.QuestionAnsweringPipeline]


def open_both(folder: pathlib.Path, qa: keras_qa.QuestionAnswerer) -> Pair:
    qa.save_pretrained(folder)
    return (
        keras_qa.pipeline("question-answering", model=folder),
        transformers.pipeline("question-answering", model=str(folder)),
    )


@pytest.fixture(scope="module")
def both(tmp_path_factory) -> Pair:
    return open_both(tmp_path_factory.mktemp("minilm"), keras_qa.load("minilm-squad"))


def questions() -> list[dict[str, str]]:
    """300 questions: each of the docs' own about sections of the docs."""
    records = json.loads((ROOT / "benchmarks/results/docs-questions.json").read_text("utf-8"))
    pages = [path.read_text("utf-8") for path in sorted((ROOT / "docs").glob("*.md"))]
    sections = [part for page in pages for part in re.split(r"^## ", page, flags=re.MULTILINE)]
    # Special tokens are ordinary letters here, see docs/from-transformers.md.
    long = [part for part in sections if len(part) > 400 and not SPECIAL.search(part)]
    pairs = [(n % len(records), n // len(records)) for n in range(300)]
    return [
        {
            "question": records[row]["question"],
            "context": long[(5 * row + turn) % len(long)][: 4_000 if turn == 0 else 900],
        }
        for row, turn in pairs
    ]


QUESTIONS = questions()
LONG = {**QUESTIONS[0], "context": (ROOT / "docs" / "documents.md").read_text("utf-8")[:6_000]}


def assert_same(ours: Any, theirs: Any) -> None:
    assert type(ours) is type(theirs)
    if isinstance(ours, list):
        assert len(ours) == len(theirs)
        for answer, other in zip(ours, theirs, strict=True):
            assert_same(answer, other)
    else:
        assert ours == {**theirs, "score": pytest.approx(theirs["score"], abs=1e-4)}


def test_300_questions(both) -> None:
    ours, theirs = both
    assert len({tuple(item.values()) for item in QUESTIONS}) == 300
    for item in QUESTIONS:
        assert_same(ours(**item, top_k=3), theirs(**item, top_k=3))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"top_k": 5},
        {"topk": 2},
        {"doc_stride": 16},
        {"max_answer_len": 3},
        {"max_answer_len": 400},
        {"max_seq_len": 100},
        {"max_seq_len": 60, "doc_stride": 30, "top_k": 4},
        {"max_question_len": 2},
        {"handle_impossible_answer": True},
        {"handle_impossible_answer": True, "top_k": 3},
        {"align_to_words": False, "top_k": 3},
        {"padding": "max_length", "max_seq_len": 128, "batch_size": 4},
    ],
)
def test_options(both, options) -> None:
    ours, theirs = both
    for item in (*QUESTIONS[1:4], LONG):
        assert_same(ours(**item, **options), theirs(**item, **options))


def test_forms_of_inputs(both) -> None:
    ours, theirs = both
    first, second, third = QUESTIONS[1:4]
    squad = [SquadExample(None, *item.values(), None, None, None) for item in QUESTIONS[1:4]]
    asked = [item["question"] for item in QUESTIONS[1:4]]
    contexts = [item["context"] for item in QUESTIONS[1:4]]
    for inputs in (first, [first], [first, second, third], squad, [*squad, first], []):
        assert_same(ours(inputs), theirs(inputs))
        assert_same(ours(data=inputs), theirs(data=inputs))
    assert_same(ours(first, second), theirs(first, second))
    assert_same(ours(*first.values()), theirs(*first.values()))
    for keywords in (
        {"question": asked, "context": contexts},
        {"question": asked, "context": contexts[0]},
        {"question": asked[:1], "context": contexts[0], "top_k": 2},
    ):
        assert_same(ours(**keywords), theirs(**keywords))
    stream = [pipe(item for item in QUESTIONS[1:4]) for pipe in both]
    assert_same(*map(list, stream))
    samples = [pipe.create_sample(asked, contexts) for pipe in both]
    assert_same(*(pipe(sample) for pipe, sample in zip(both, samples, strict=True)))


@pytest.mark.parametrize(
    "keywords",
    [
        {"question": "", "context": "A text."},
        {"question": "Who?", "context": None},
        {"question": ["Who?"], "context": ["a", "b"]},
        {"question": "Who?", "context": ["a", "b"]},
        {"question": "Who?"},
        {"data": "Who?"},
        {"data": 7},
        {"question": "Who?", "context": "A text.", "top_k": 0},
        {"question": "Who?", "context": "A text.", "max_answer_len": 0},
        {"question": "Who?", "context": "A text.", "max_seq_len": 20, "doc_stride": 21},
    ],
)
def test_bad_inputs_raise_the_same_kind_of_error(both, keywords) -> None:
    for pipe in both:
        # The messages of both differ.
        with pytest.raises(ValueError):  # noqa: PT011
            pipe(**keywords)


@pytest.mark.parametrize("kind", KINDS)
def test_all_families_have_the_offsets_of_their_tokenizers(kind: str, tmp_path) -> None:
    from rivals.test_transformers import MORE, files_of, load_make

    module = load_make()
    module.SIZES = {kind: {**module.SIZES[kind], "vocab_size": 500}}
    module.make(tmp_path / "made", seed=5)
    reader = span_reader(backbone=files_of(kind, tmp_path / kind, tmp_path / "made"))
    # Random logits that are far from each other.
    reader.layers[-1].set_weights([20 * weight for weight in reader.layers[-1].get_weights()])
    save_pretrained(reader, tmp_path / "saved")
    ours = keras_qa.pipeline(model=tmp_path / "saved")
    theirs = transformers.pipeline("question-answering", model=str(tmp_path / "saved"))
    context = f"Mary  went\nto the bathroom, then she slept. {MORE}"
    for options in ({}, {"align_to_words": False}, {"max_seq_len": 32, "doc_stride": 9}):
        keywords = {"max_seq_len": 60, "top_k": 4, **options}
        for question in ("Where is Mary?", "Who slept?"):
            assert_same(
                ours(question=question, context=context, **keywords),
                theirs(question=question, context=context, **keywords),
            )
