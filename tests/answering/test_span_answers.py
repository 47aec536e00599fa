"""`QuestionAnswerer` with readers of spans: strings in, spans of the text out."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_backbones import TOKENIZER, bert
from small_examples import SHADES, WITHOUT
from small_examples import SPANS as EXAMPLES

import keras_qa
from keras_qa import Answer, Example, QuestionAnswerer
from keras_qa.models import span_reader
from keras_qa.preprocessing import SpanPreprocessor, span_preprocessor
from keras_qa.preprocessing.span_calibration import LIMITS
from keras_qa.text import Windower, WordTokenizer, WordVectors


def answerer(**options) -> QuestionAnswerer:
    sizes = {"units": 8, "embedding_dim": 8, "dropout": 0.0}
    sizes["optimizer"] = keras.optimizers.Adam(0.02)
    return QuestionAnswerer("span_reader", model_options=sizes, seed=1, **options)


@pytest.fixture(scope="module")
def fitted() -> QuestionAnswerer:
    return answerer().fit(EXAMPLES, epochs=30, batch_size=8, verbose=0)


@pytest.fixture(scope="module")
def doubting() -> QuestionAnswerer:
    """Knows texts without an answer."""
    data = EXAMPLES + WITHOUT
    return answerer().fit(data, validation_data=data, epochs=40, batch_size=16, verbose=0)


def test_what_was_learned_is_marked_in_the_text(fitted: QuestionAnswerer) -> None:
    assert fitted.evaluate(EXAMPLES) == {"exact_match": 100.0, "f1": 100.0, "examples": 16}
    answer = fitted.answer("the car is dark grey.", "What colour is the car?")
    assert isinstance(answer, Answer)
    assert (answer.text, answer.start, answer.end) == ("dark grey", 11, 20)
    assert answer.score > 0.9
    sentences = ["the box is red.", "the car is dark grey."]
    found = fitted.answer(["\n".join(sentences), sentences], ["What colour is the car?"] * 2)
    assert (found[0].text, found[0].start) == (found[1].text, found[1].start)
    assert found[0].score == pytest.approx(found[1].score, abs=1e-6)
    assert "\n".join(sentences)[found[1].start : found[1].end] == found[1].text


def test_a_language_without_spaces_is_learned_to_the_letter() -> None:
    data = [
        Example(f"{thing}สี{shade}จอดอยู่", f"{thing}สีอะไร", shade, len(thing) + 2)
        for thing in ("กล่อง", "รถ", "ประตู")
        for shade in ("แดง", "เทาเข้ม", "ฟ้า")
    ]
    qa = answerer().fit(data, epochs=40, batch_size=8, verbose=0)
    assert qa.model_.preprocessor.decoder.max_answer_words == 15
    assert qa.evaluate(data) == {"exact_match": 100.0, "f1": 100.0, "examples": 9}
    thai = "ประตูสีเทาเข้มจอดอยู่"
    answer = qa.answer(thai, "ประตูสีอะไร")
    assert (answer.text, answer.start, answer.end) == ("เทาเข้ม", 7, 14)
    # Of its letters one bears a mark: six of them count as a word and a half.
    assert qa.answer(thai, "ประตูสีอะไร", max_answer_words=2).text == "เทาเข้ม"
    assert qa.answer(thai, "ประตูสีอะไร", max_answer_words=1).text != "เทาเข้ม"


def test_scores_of_all_spans_add_up_to_one(fitted, doubting) -> None:
    text = "the car is dark grey."
    for one, entries in ((fitted, 21), (doubting, 22)):
        answers = one.answer(text, "What colour is the car?", top_k=50)
        # Six words, all their spans, and that there is none.
        assert len(answers) == entries
        assert sum(answer.score for answer in answers) == pytest.approx(1.0)
        scores = [answer.score for answer in answers]
        assert scores == sorted(scores, reverse=True)
        assert len({(answer.start, answer.end) for answer in answers}) == entries


@settings(max_examples=12, deadline=None)
@given(
    st.lists(
        st.text(st.characters(codec="utf-8"), max_size=8)
        | st.sampled_from(["e\u0301a", "مريم إلى", "👩‍🚀 up", "a\r\n\tb", "z\u200bz", "猫が好き"]),
        max_size=3,
    )
)
def test_offsets_hold_for_any_text(fitted: QuestionAnswerer, parts: list[str]) -> None:
    text = " ".join(parts)
    answers = fitted.answer([text, parts], ["What is red?", ""], top_k=4)
    for plain, found in zip((text, "\n".join(parts)), answers, strict=True):
        assert found
        assert sum(answer.score for answer in found) <= 1 + 1e-6
        for answer in found:
            if answer.start is None:
                assert (answer.text, answer.end) == ("", None)
            else:
                assert plain[answer.start : answer.end] == answer.text != ""


@pytest.mark.parametrize("text", ["", " \n\t", []])
def test_empty_text_has_no_answer(fitted: QuestionAnswerer, text) -> None:
    [answer] = fitted.answer([text], ["What colour is the car?"])
    assert answer == Answer("", 1.0)
    assert fitted.read(text).ask("") == answer


def test_long_texts_are_read_in_windows_and_batches(fitted, monkeypatch) -> None:
    reader = fitted.model_
    whole = reader.preprocessor.vectorizer
    reader.preprocessor.vectorizer = Windower(whole.tokenizer, max_length=12, stride=6)
    try:
        filler = "it was said. " * 8
        texts = [f"{filler}the car is {colour}. {filler}" for colour in SHADES] + [
            "the box is red."
        ]
        questions = ["What colour is the car?"] * 4 + ["What colour is the box?"]
        expected = fitted.answer(texts, questions, top_k=3)
        monkeypatch.setattr(span_preprocessor, "WINDOWS", 7)
        found = fitted.answer(texts, questions, top_k=3, batch_size=3)
        alone = [fitted.answer(*pair, top_k=3) for pair in zip(texts, questions, strict=True)]
    finally:
        reader.preprocessor.vectorizer = whole
    for one, other, third, text in zip(expected, found, alone, texts, strict=True):
        best = [(found[0].start, found[0].end) for found in (one, other, third)]
        assert best[0] == best[1] == best[2]
        # Behind the best one there are words that are as good as others.
        for a, b, c in zip(one, other, third, strict=True):
            assert a.score == pytest.approx(b.score, abs=1e-5) == pytest.approx(c.score, abs=1e-5)
            assert text[a.start : a.end] == a.text


def test_no_answer_is_an_answer(doubting: QuestionAnswerer) -> None:
    scores = doubting.evaluate(EXAMPLES + WITHOUT)
    assert scores["exact_match"] == scores["HasAns_exact"] == scores["NoAns_exact"] == 100.0
    assert scores["examples"] == 32
    none = doubting.answer(WITHOUT[0].text, WITHOUT[0].question)
    assert (none.text, none.start, none.end) == ("", None, None)
    assert none.score > doubting.model_.preprocessor.decoder.threshold
    assert doubting.evaluate(EXAMPLES)["exact_match"] == 100.0
    assert doubting.calibration_["calibration_error"] < 0.2
    assert (
        doubting.model_.preprocessor.decoder.temperature
        == doubting.calibration_["temperature"]
        != 1.0
    )


def test_threshold_of_the_user_is_kept() -> None:
    qa = answerer(no_answer_threshold=0.25, max_answer_words=2)
    data = EXAMPLES + WITHOUT
    qa.fit(data, validation_data=data, epochs=1, batch_size=16, verbose=0)
    decoder = qa.model_.preprocessor.decoder
    assert (decoder.no_answer_threshold, decoder.max_answer_words) == (0.25, 2)
    assert all(len(a.text.split()) <= 2 for a in qa.answer(EXAMPLES[0].text, "What?", top_k=30))


def test_saved_and_loaded_answers_the_same(doubting: QuestionAnswerer, tmp_path) -> None:
    path = tmp_path / "reader.keras"
    doubting.save(path)
    loaded = keras_qa.load(path)
    assert loaded.model_.preprocessor.decoder == doubting.model_.preprocessor.decoder
    assert isinstance(loaded.vectorizer_, Windower)
    for item in (EXAMPLES[3], WITHOUT[3]):
        expected = doubting.answer(item.text, item.question, top_k=3)
        for one, other in zip(
            loaded.answer(item.text, item.question, top_k=3), expected, strict=True
        ):
            assert (one.text, one.start) == (other.text, other.start)
            assert one.score == pytest.approx(other.score, abs=1e-5)
    assert (
        keras.saving.load_model(path).preprocessor.decoder == doubting.model_.preprocessor.decoder
    )
    loaded.fit(EXAMPLES, epochs=1, verbose=0)
    assert loaded.evaluate(EXAMPLES)["exact_match"] == 100.0


def test_passage_answers_as_answer_does(fitted: QuestionAnswerer) -> None:
    questions = [item.question for item in EXAMPLES[:3]]
    passage = fitted.read(EXAMPLES[1].text)
    assert passage.ask(questions, top_k=2) == fitted.answer(EXAMPLES[1].text, questions, top_k=2)


def test_vectors_stand_at_the_words_they_are_of(tmp_path) -> None:
    rng = np.random.default_rng(0)
    words = ["door", "grey", "violet"]
    vectors = WordVectors(words, rng.normal(size=(3, 6)))
    file = tmp_path / "vectors.txt"
    with file.open("w") as lines:
        for word, row in zip(words, vectors.array.tolist(), strict=True):
            print(word, *row, file=lines)
    for given_vectors in (vectors, file):
        qa = answerer(vectors=given_vectors).fit(EXAMPLES[:4], epochs=1, verbose=0)
        table = qa.model_.get_layer("words").get_weights()[0]
        vocabulary = qa.vectorizer_.tokenizer.vocabulary
        for word, vector in zip(words, vectors.array, strict=True):
            # Words that no example has are known by their vector alone.
            np.testing.assert_allclose(table[vocabulary.index(word)], vector, atol=1e-6)


# The small tokenizer knows few words.
@pytest.mark.filterwarnings("ignore:More than 10 % of a text")
def test_reader_on_a_backbone_learns_is_saved_and_loaded(tmp_path) -> None:
    options = {"backbone": bert(), "tokenizer": TOKENIZER, "dropout": 0.0}
    qa = QuestionAnswerer("span_reader", options, seed=0, max_length=40, stride=8)
    optimizer = keras.optimizers.Adam(0.01)
    qa.fit(EXAMPLES, epochs=40, batch_size=16, verbose=0, optimizer=optimizer)
    assert qa.evaluate(EXAMPLES)["exact_match"] == 100.0
    assert (qa.vectorizer_.max_length, qa.vectorizer_.stride) == (40, 8)
    qa.save(tmp_path / "reader.keras")
    loaded = keras_qa.load(tmp_path / "reader.keras")
    expected = qa.answer(EXAMPLES[3].text, EXAMPLES[3].question)
    found = loaded.answer(EXAMPLES[3].text, EXAMPLES[3].question)
    assert (found.text, found.start) == (expected.text, expected.start) == ("dark grey", 12)
    assert found.score == pytest.approx(expected.score, abs=1e-5)


def test_a_plain_keras_model_learns() -> None:
    text, question = (keras.Input((None,), dtype="int32", name=n) for n in ("text", "question"))
    words = keras_qa.layers.WordEmbedding(40, 8)
    asked = keras.layers.GlobalAveragePooling1D()(words(question))
    asked = keras.layers.Dense(8)(asked)
    read = keras_qa.layers.ContextEncoder(8)([words(text)])
    both = keras.layers.Concatenate()([read, read * keras.layers.Dense(16)(asked)[:, None]])
    start, end = keras_qa.layers.SpanHead()(both)
    plain = keras.Model([text, question], {"start": start, "end": end})
    qa = QuestionAnswerer(plain, seed=0)
    qa.fit(EXAMPLES[:4], epochs=25, verbose=0, optimizer=keras.optimizers.Adam(0.03))
    assert qa.evaluate(EXAMPLES[:4])["exact_match"] == 100.0


def test_optimizer_may_depend_on_the_number_of_windows() -> None:
    seen = []

    def optimizer(rows: int) -> keras.optimizers.Optimizer:
        seen.append(rows)
        return keras.optimizers.SGD(0.125)

    long = Example("the door is red. " * 10, "What colour?", "red", 12)
    qa = answerer(max_length=20, stride=10).fit(
        [long, EXAMPLES[0]], epochs=1, verbose=0, optimizer=optimizer
    )
    assert seen == [len(qa.vectorizer_([long, EXAMPLES[0]]))] == [5]
    assert float(qa.model_.optimizer.learning_rate) == 0.125


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (
            lambda qa: qa.answer("a", "word " * 400),
            "question of the example at position 0 has 400 pieces, too many for a window of 384",
        ),
        (lambda qa: qa.evaluate([]), "`examples` is empty"),
        (lambda qa: qa.fit([]), "`examples` is empty. Give at least one to train on"),
        (
            lambda qa: qa.fit([Example("He went.", "Who?", "He", 1, id="q7")]),
            r"position 0 \(id 'q7'\): the answer 'He' is not at 1, .* It is at 0. Correct",
        ),
        (
            lambda qa: qa.fit([Example("He went.", "Who?", "She", 0, id="q7")]),
            r"\(id 'q7'\): the answer 'She' .* The text does not hold it",
        ),
        (
            lambda qa: answerer().fit([EXAMPLES[0], Example("He went.", "Who?", "He")]),
            "position 1: the answer 'He' has no offset. Give its `answer_start`",
        ),
        (
            lambda qa: QuestionAnswerer(
                "span_reader", {"backbone": bert()}, vectors=WordVectors(["a"], np.ones((1, 2)))
            ).fit(EXAMPLES),
            "`vectors` is for a reader from scratch",
        ),
        (
            lambda qa: QuestionAnswerer("span_reader", {"backbone": bert()}).fit(EXAMPLES),
            "The backbone's tokenizer is unknown",
        ),
        (
            lambda qa: QuestionAnswerer(
                "span_reader", {"backbone": bert(), "tokenizer": TOKENIZER}, max_length=65
            ).fit(EXAMPLES),
            "`max_length` is 65, but the backbone reads at most 64 positions",
        ),
        (lambda qa: answerer(max_answer_words=0).fit(EXAMPLES), "`max_answer_words` must be"),
        (lambda qa: answerer(no_answer_threshold=2).fit(EXAMPLES), "`no_answer_threshold` must be"),
        (lambda qa: answerer(vectors="no.txt").fit(EXAMPLES), "`path` must be a file"),
    ],
)
def test_bad_use_is_named_and_changes_nothing(fitted, use, message: str) -> None:
    before = fitted.model_.get_weights()
    with pytest.raises((ValueError, TypeError, OSError), match=message) as caught:
        use(fitted)
    assert "\n" not in str(caught.value)
    for one, other in zip(before, fitted.model_.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_model_without_text_needs_a_windower() -> None:
    with pytest.raises(ValueError, match="or a `preprocessor` that makes its inputs `pad"):
        QuestionAnswerer(span_reader(backbone=bert())).fit(EXAMPLES)
    tokenizer = WordTokenizer.train([item.text for item in EXAMPLES])
    model = span_reader(tokenizer.vocabulary_size, units=2)
    model.preprocessor = SpanPreprocessor(Windower(tokenizer, max_length=7, stride=1))
    qa = QuestionAnswerer(model).fit(EXAMPLES, epochs=1, verbose=0)
    assert qa.vectorizer_.max_length == 7


def test_the_limit_of_words_is_the_one_by_which_most_answers_are_right() -> None:
    qa = answerer().fit(EXAMPLES, epochs=4, verbose=0, validation_data=EXAMPLES)
    found = qa.model_.preprocessor.decoder.max_answer_words

    def right(most: int) -> float:
        texts = [
            qa.answer(item.text, item.question, max_answer_words=most, no_answer=False).text
            for item in EXAMPLES
        ]
        pairs = zip(texts, EXAMPLES, strict=True)
        return sum(keras_qa.metrics.exact_match(text, item.answers) for text, item in pairs)

    assert right(found) == max(map(right, LIMITS))
    given = answerer(max_answer_words=7).fit(
        EXAMPLES, epochs=1, verbose=0, validation_data=EXAMPLES
    )
    assert given.model_.preprocessor.decoder.max_answer_words == 7
