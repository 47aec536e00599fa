"""Strings in, answers out."""

import dataclasses

import keras
import pytest
from small_examples import COLOURS, EXAMPLES
from small_models import same_weights

import keras_qa
from keras_qa import Answer, Example, QuestionAnswerer


def test_what_was_learned_is_answered(classifier) -> None:
    assert classifier.evaluate(EXAMPLES) == {"exact_match": 100.0, "f1": 100.0, "examples": 9}
    answer = classifier.answer(text="the car is blue.", question="What colour is the car?")
    assert isinstance(answer, Answer)
    assert (answer.text, answer.start, answer.end) == ("blue", 11, 15)
    assert answer.score > 0.9


def test_evaluation_counts_what_is_wrong(classifier) -> None:
    wrong = Example(EXAMPLES[0].text, EXAMPLES[0].question, ["not red", "no"])
    f1 = pytest.approx(100 * (1 + 2 / 3) / 2)
    assert classifier.evaluate([EXAMPLES[0], wrong]) == {"exact_match": 50, "f1": f1, "examples": 2}


def test_top_k_are_best_first_and_add_up(classifier) -> None:
    answers = classifier.answer(EXAMPLES[0].text, EXAMPLES[0].question, top_k=10)
    assert {answer.text for answer in answers} == set(COLOURS)
    scores = [answer.score for answer in answers]
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) == pytest.approx(1.0)
    one = classifier.answer(EXAMPLES[0].text, EXAMPLES[0].question, top_k=1)
    assert [answer.text for answer in one] == [answers[0].text]
    assert answers[-1].start is None


def test_lists_give_lists(classifier) -> None:
    texts = [item.text for item in EXAMPLES]
    questions = [item.question for item in EXAMPLES]
    answers = classifier.answer(texts, questions)
    assert [answer.text for answer in answers] == [item.answers[0] for item in EXAMPLES]
    shared = classifier.answer(texts[1], questions[:2], top_k=2)
    assert [len(entry) for entry in shared] == [2, 2]
    assert shared[0][0].text == "green"
    assert classifier.answer([], []) == []
    sentences = classifier.answer(["the door is", "green."], questions[0])
    assert (sentences.text, sentences.start, sentences.end) == ("green", 12, 17)


def test_a_file_has_the_optimizer_if_it_is_kept(tmp_path) -> None:
    answerer = QuestionAnswerer(seed=0)
    answerer.fit(EXAMPLES, epochs=2, batch_size=3, optimizer=keras.optimizers.Adam(0.5), verbose=0)
    optimizer = answerer.model_.optimizer
    answerer.save(tmp_path / "new.keras")
    answerer.save(tmp_path / "kept.keras", keep_optimizer=True)
    assert answerer.model_.optimizer is optimizer
    sizes = [(tmp_path / f"{name}.keras").stat().st_size for name in ("new", "kept")]
    weights = sum(weight.nbytes for weight in answerer.model_.get_weights())
    assert sizes[1] - sizes[0] > 1.9 * weights
    for name, steps in (("new", 0), ("kept", 6)):
        loaded = keras_qa.load(tmp_path / f"{name}.keras")
        assert int(loaded.model_.optimizer.iterations) == steps
        assert float(loaded.model_.optimizer.learning_rate) == 0.5
        assert same_weights(loaded.model_, answerer.model_.get_weights())
        loaded.fit(EXAMPLES, epochs=1, batch_size=3, verbose=0)
        assert int(loaded.model_.optimizer.iterations) == steps + 3
    uncompiled = keras_qa.load(tmp_path / "new.keras", compile=False)
    uncompiled.save(tmp_path / "again.keras")
    assert same_weights(
        uncompiled.model_, keras_qa.load(tmp_path / "again.keras").model_.get_weights()
    )
    with pytest.raises(OSError, match="none"):
        answerer.save(tmp_path / "none" / "a.keras")
    assert answerer.model_.optimizer is optimizer
    with pytest.raises(ValueError, match="`keep_optimizer` must be"):
        answerer.save(tmp_path / "a.keras", keep_optimizer="yes")


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("", "What colour is the box?"),
        ("the box is red.", ""),
        ("", ""),
        ([], "What?"),
        ("दरवाज़ा लाल है। red", "किस रंग का?"),
        ("门是红色的 red", "什么颜色？"),
        ("الباب أحمر red", "ما اللون؟"),
        ("🚪 is re\u0301d 👩‍🚀", "colour\u0301?"),
        ("the box is red. " * 2_000, "What colour is the box?"),
    ],
)
def test_any_text_and_question_gives_a_finite_answer(classifier, text, question) -> None:
    answer = classifier.answer(text, question)
    assert answer.text in COLOURS
    assert 1 / 3 <= answer.score <= 1
    if answer.start is not None:
        assert text[answer.start : answer.end] == answer.text


@pytest.mark.parametrize("text", ["the box is red.", "", ["the box", "is red."]])
def test_encoded_text_answers_as_answer_does(classifier, text) -> None:
    questions = [item.question for item in EXAMPLES] + ["", "What?"]
    encoded = classifier.read(text)
    plain = text if isinstance(text, str) else "\n".join(text)
    expected = classifier.answer(plain, questions, top_k=2)
    for asked, answered in zip(encoded.ask(questions, top_k=2), expected, strict=True):
        for one, other in zip(asked, answered, strict=True):
            score = pytest.approx(other.score, abs=1e-5)
            assert one == dataclasses.replace(other, score=score)
    assert [answer.text for answer in encoded.ask(questions)] == [row[0].text for row in expected]
    assert encoded.ask(questions[0]).text == expected[0][0].text
    assert encoded.ask([]) == []


def test_encoded_text_keeps_the_weights_it_was_read_with() -> None:
    answerer = QuestionAnswerer(seed=0).fit(EXAMPLES, epochs=1, verbose=0)
    encoded = answerer.read(EXAMPLES[0].text)
    before = encoded.ask(EXAMPLES[0].question, top_k=3)
    answerer.model_.fit(
        answerer.vectorizer_(EXAMPLES), answerer.vectorizer_.labels(EXAMPLES), verbose=0
    )
    again = answerer.read(EXAMPLES[0].text).ask(EXAMPLES[0].question, top_k=3)
    assert encoded.ask(EXAMPLES[0].question, top_k=3) == before
    assert again != before
    expected = answerer.answer(EXAMPLES[0].text, EXAMPLES[0].question, top_k=3)
    assert [answer.score for answer in again] == pytest.approx(
        [answer.score for answer in expected], abs=1e-5
    )


def test_validation_data_is_measured_and_not_learned() -> None:
    unseen = Example("the sky is grey.", "What colour is the sky?", "grey")
    answerer = QuestionAnswerer(seed=0)
    answerer.fit(EXAMPLES, validation_data=[unseen], epochs=2, verbose=0)
    assert answerer.history_.history["val_accuracy"] == [0.0, 0.0]
    assert "grey" not in answerer.vectorizer_.answers
    assert "sky" not in answerer.vectorizer_.tokenizer.vocabulary


def test_saved_and_loaded_answers_the_same(classifier, tmp_path) -> None:
    path = tmp_path / "qa.keras"
    classifier.save(path)
    loaded = keras_qa.load(path)
    text, question = EXAMPLES[4].text, EXAMPLES[4].question
    assert loaded.answer(text, question, top_k=3) == classifier.answer(text, question, top_k=3)
    plain = keras.saving.load_model(path)
    assert plain.preprocessor.vectorizer.answers == classifier.vectorizer_.answers
    before = loaded.model_.get_weights()
    loaded.fit(EXAMPLES, epochs=1, verbose=0)
    assert not same_weights(loaded.model_, before)
    assert loaded.evaluate(EXAMPLES)["exact_match"] == 100.0


def test_a_plain_keras_model_learns_and_is_saved(tmp_path) -> None:
    text, question = (keras.Input((None,), dtype="int32", name=n) for n in ("text", "question"))
    table = keras.layers.Embedding(40, 8, mask_zero=True)
    vectors = [keras.layers.GRU(8)(table(ids)) for ids in (text, question)]
    output = keras.layers.Dense(4, activation="softmax")(keras.layers.Concatenate()(vectors))
    plain = keras.Model([text, question], output)
    plain.compile(keras.optimizers.Adam(0.03), "sparse_categorical_crossentropy")
    answerer = QuestionAnswerer(plain, seed=1)
    answerer.fit(EXAMPLES, epochs=1, steps_per_epoch=30, batch_size=9, verbose=0)
    assert answerer.evaluate(EXAMPLES)["exact_match"] == 100.0
    # It cannot be split: both parts share the table.
    questions = [item.question for item in EXAMPLES]
    encoded = answerer.read(EXAMPLES[0].text)
    assert encoded.ask(questions) == answerer.answer(EXAMPLES[0].text, questions)
    answerer.save(tmp_path / "plain.keras")
    loaded = keras_qa.load(tmp_path / "plain.keras")
    assert loaded.evaluate(EXAMPLES)["exact_match"] == 100.0


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda qa: qa.answer("a", None), "`question` is missing. Without it, `text` must be"),
        (lambda qa: qa.read(None), "`text` must be a string or a list of strings"),
        (lambda qa: qa.answer(None, "b"), "`text` must be a string or a list of strings"),
        (lambda qa: qa.answer(["a"], ["b", "c"]), "`text` has 1 texts, but `question` has 2"),
        (lambda qa: qa.answer("a", ["b", 3]), "`question` must be a string. Received: 3"),
        (lambda qa: qa.evaluate([]), "`examples` is empty"),
        (lambda qa: qa.evaluate([Example("a", "b")]), "position 0 has no right answer"),
        (lambda qa: qa.fit([]), "`examples` is empty"),
        (lambda qa: qa.fit([Example("a", "b")]), "position 0 has no answer"),
        (lambda qa: qa.save("qa.h5"), "`path` must end in `.keras`. Received: path='qa.h5'"),
        (lambda qa: qa.fit(EXAMPLES, epochs=None), "`epochs` must be a non-negative integer."),
        (lambda qa: qa.fit(EXAMPLES, batch_size=0), "`batch_size` must be a positive integer."),
        (lambda qa: qa.fit(EXAMPLES, initial_epoch=-1), "`initial_epoch` must be a non-negative"),
        (lambda qa: qa.fit(EXAMPLES, lora_rank=True), "`lora_rank` must be a positive integer."),
        (lambda qa: qa.evaluate(EXAMPLES, batch_size=-1), "`batch_size` must be a positive"),
    ],
)
def test_bad_use_is_named_and_changes_nothing(classifier, use, message: str) -> None:
    model = classifier.model_
    before = model.get_weights()
    with pytest.raises((ValueError, TypeError), match=message):
        use(classifier)
    assert classifier.model_ is model
    assert same_weights(model, before)


@pytest.mark.parametrize(
    "use",
    [
        lambda qa: qa.answer("a", "b"),
        lambda qa: qa.evaluate([EXAMPLES[0]]),
        lambda qa: qa.predict([EXAMPLES[0]]),
        lambda qa: qa.ask(None, "b"),
        lambda qa: qa.save("qa.keras"),
    ],
)
def test_nothing_is_answered_before_fit(use) -> None:
    with pytest.raises(ValueError, match=r"^This answerer is not fitted\. Call `fit"):
        use(QuestionAnswerer())


def test_models_that_do_not_fit_are_named() -> None:
    ids = keras.Input((None,), dtype="int32", name="ids")
    plain = keras.Model([ids], keras_qa.layers.SequenceEncoder(5)(ids))
    with pytest.raises(ValueError, match="inputs `text` and `question` and one output.*`ids`"):
        QuestionAnswerer(plain).fit(EXAMPLES)


@pytest.mark.parametrize("adopted", [False, True])
def test_optimizer_of_fit_is_the_one_that_trains(adopted: bool) -> None:
    start = QuestionAnswerer(seed=0).fit(EXAMPLES, epochs=1, verbose=0)
    answerer = QuestionAnswerer(start.model_ if adopted else "answer_classifier", seed=0)
    optimizer = keras.optimizers.SGD(0.25, global_clipnorm=2.0)
    answerer.fit(EXAMPLES, epochs=1, batch_size=9, verbose=0, optimizer=optimizer)
    used = answerer.model_.optimizer
    assert isinstance(used, keras.optimizers.SGD)
    assert (float(used.learning_rate), used.global_clipnorm) == (0.25, 2.0)
    assert int(used.iterations) == 1
