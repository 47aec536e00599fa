"""Answerers over stories: what they learn, the sentences an answer rests on, any story at all."""

import itertools

import keras
import pytest

import keras_qa
from keras_qa import Example, QuestionAnswerer
from keras_qa.engine.copies import SplitModel

COLOURS = ("red", "green", "blue")
THINGS = ("door", "box", "car")
EXAMPLES = [
    Example(
        f"The {THINGS[0]} is {colours[0]}. The {THINGS[1]} is {colours[1]}.",
        f"What colour is the {THINGS[asked]}?",
        colours[asked],
        supporting_facts=asked,
    )
    for colours in itertools.product(COLOURS, repeat=2)
    for asked in (0, 1)
]


@pytest.fixture(scope="module")
def fitted() -> dict[str, QuestionAnswerer]:
    # Fewer weights than by roles: there are 18 examples.
    universal = {"num_steps": 2, "num_heads": 2, "dropout": 0.0, "encoding": "matrix"}
    universal["num_roles"] = 1
    facts = {"num_hops": 2, "supporting_facts": True, "noise": 0.0}
    answerers = {}
    for name, model, options in (
        ("universal", "universal_transformer", universal),
        ("facts", "memory_network", facts),
    ):
        options |= {"embedding_dim": 16, "optimizer": keras.optimizers.Adam(0.02)}
        answerers[name] = QuestionAnswerer(model, model_options=options, seed=1)
        answerers[name].fit(EXAMPLES, epochs=1, steps_per_epoch=65, verbose=0)
    return answerers


both = pytest.mark.parametrize("name", ["universal", "facts"])


@both
def test_what_was_learned_is_answered_with_its_support(fitted, name: str) -> None:
    answerer = fitted[name]
    assert answerer.evaluate(EXAMPLES) == {"exact_match": 100.0, "f1": 100.0, "examples": 18}
    text = "The door is red. The box is blue."
    answer, second = answerer.answer(text, "What colour is the door?", top_k=2)
    assert (answer.text, answer.start, answer.end) == ("red", 12, 15)
    assert answer.support == second.support
    assert {(part.text, part.start, part.end, part.position) for part in answer.support} == {
        ("The door is red.", 0, 16, 0),
        ("The box is blue.", 17, 33, 1),
    }
    weights = [part.weight for part in answer.support]
    assert weights == sorted(weights, reverse=True)
    if name == "universal":
        assert sum(weights) == pytest.approx(1.0, abs=1e-5)


def test_supporting_facts_are_learned(fitted) -> None:
    found = fitted["facts"].answer(
        [item.text for item in EXAMPLES], [item.question for item in EXAMPLES]
    )
    for answer, item in zip(found, EXAMPLES, strict=True):
        assert answer.support[0].position == item.supporting_facts[0]
        assert answer.support[0].weight > 0.5 > answer.support[1].weight


@both
def test_list_of_sentences_is_taken_as_it_is(fitted, name: str) -> None:
    sentences = ["The door is red. Really.", "", "The box is blue"]
    answer = fitted[name].answer(sentences, "What colour is the box?")
    assert fitted[name].read(sentences).ask("What colour is the box?") == answer
    plain = "\n".join(sentences)
    assert answer.text == "blue"
    assert plain[answer.start : answer.end] == "blue"
    assert len(answer.support) == 3
    assert all(plain[part.start : part.end] == part.text for part in answer.support)
    assert next(part.weight for part in answer.support if not part.text) == 0.0


@both
@pytest.mark.parametrize(
    ("text", "question", "sentences"),
    [
        ("", "What colour is the door?", 0),
        ([], "What?", 0),
        ("?! ...", "", 0),
        ("The door is red.", "", 1),
        ("unheard of words. nothing known!", "why?", 2),
        ("The door is red. " * 1_000, "What colour is the door?", 1_000),
        ("door " * 500 + "is red.", "What colour is the door?", 1),
        ("门是红色的。颜色", "什么颜色？", 2),
    ],
    ids=["no text", "no sentences", "marks", "no question", "unknown", "long", "wide", "zh"],
)
def test_any_story_gets_a_finite_answer(fitted, name, text, question, sentences) -> None:
    answer = fitted[name].answer(text, question)
    assert answer.text in COLOURS
    # Hundreds of words added up may leave nothing for any answer that is known.
    assert 0 <= answer.score <= 1
    assert len(answer.support) == sentences
    assert all(0 <= part.weight <= 1 for part in answer.support)
    assert fitted[name].read(text).ask(question) == answer


def test_model_with_two_vocabularies_is_read_anew_for_each_question() -> None:
    words = {"text_vocabulary_size": 15, "question_vocabulary_size": 15}
    model = keras_qa.models.memory_network(**words, answer_vocabulary_size=4, embedding_dim=8)
    answerer = QuestionAnswerer(model, seed=0).fit(EXAMPLES, epochs=1, verbose=0)
    with pytest.raises(NotImplementedError, match="need its mask"):
        SplitModel(model, "text")
    item = EXAMPLES[0]
    assert answerer.read(item.text).ask(item.question) == answerer.answer(item.text, item.question)


def test_supporting_facts_must_be_there_to_be_learned() -> None:
    answerer = QuestionAnswerer("memory_network", {"supporting_facts": True, "embedding_dim": 8})
    bare = [Example(item.text, item.question, item.answers) for item in EXAMPLES]
    with pytest.raises(ValueError, match="At least one example must have `supporting_facts`"):
        answerer.fit(bare)
