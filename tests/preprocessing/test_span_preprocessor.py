"""`QuestionAnswerer` with readers of spans: strings in, spans of the text out."""

import dataclasses
import re

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_backbones import TOKENIZER, bert
from small_examples import SHADES, WITHOUT
from small_examples import SPANS as EXAMPLES
from small_models import same_weights

import keras_qa
from keras_qa import Answer, Example, QuestionAnswerer
from keras_qa.answering import answerer as answerer_module
from keras_qa.layers.word_features import ContextEncoder, WordEmbedding
from keras_qa.models import span_reader
from keras_qa.preprocessing import SpanPreprocessor, span_preprocessor
from keras_qa.text import Windower, WordTokenizer, WordVectors


def answerer(**options) -> QuestionAnswerer:
    sizes = {"units": 8, "embedding_dim": 8, "dropout": 0.0}
    sizes["optimizer"] = keras.optimizers.Adam(0.02)
    return QuestionAnswerer("span_reader", model_options=sizes, seed=1, **options)


def on_bert(**options) -> QuestionAnswerer:
    sizes = {"backbone": bert(), "tokenizer": TOKENIZER, "dropout": 0.0}
    return QuestionAnswerer("span_reader", model_options=sizes, seed=0, **options)


def assert_same_answers(found: list[Answer], expected: list[Answer]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert one == dataclasses.replace(other, score=pytest.approx(other.score, abs=1e-5))


def test_what_was_learned_is_marked_in_the_text(reader: QuestionAnswerer) -> None:
    assert reader.evaluate(EXAMPLES) == {"exact_match": 100.0, "f1": 100.0, "examples": 16}
    answer = reader.answer("the car is dark grey.", "What colour is the car?")
    assert isinstance(answer, Answer)
    assert (answer.text, answer.start, answer.end) == ("dark grey", 11, 20)
    assert answer.score > 0.9
    sentences = ["the box is red.", "the car is dark grey."]
    found = reader.answer(["\n".join(sentences), sentences], ["What colour is the car?"] * 2)
    assert (found[0].text, found[0].start) == (found[1].text, found[1].start)
    assert found[0].score == pytest.approx(found[1].score, abs=1e-6)
    assert "\n".join(sentences)[found[1].start : found[1].end] == found[1].text


def test_a_language_without_spaces_is_learned_to_the_letter() -> None:
    data = [
        Example(f"{thing}สี{shade}จอดอยู่", f"{thing}สีอะไร", shade, len(thing) + 2)
        for thing in ("กล่อง", "รถ", "ประตู")
        for shade in ("แดง", "เทาเข้ม", "ฟ้า")
    ]
    optimizer = keras.optimizers.Adam(0.04)
    qa = answerer().fit(data, epochs=1, steps_per_epoch=50, optimizer=optimizer, verbose=0)
    assert qa.model_.preprocessor.decoder.max_answer_words == 15
    assert qa.evaluate(data) == {"exact_match": 100.0, "f1": 100.0, "examples": 9}
    thai = "ประตูสีเทาเข้มจอดอยู่"
    answer = qa.answer(thai, "ประตูสีอะไร")
    assert (answer.text, answer.start, answer.end) == ("เทาเข้ม", 7, 14)
    # Of its letters one bears a mark: six of them count as a word and a half.
    assert qa.answer(thai, "ประตูสีอะไร", max_answer_words=2).text == "เทาเข้ม"
    assert qa.answer(thai, "ประตูสีอะไร", max_answer_words=1).text != "เทาเข้ม"


def test_scores_of_all_spans_add_up_to_one(reader, doubting) -> None:
    text = "the car is dark grey."
    for one, entries in ((reader, 21), (doubting, 22)):
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
def test_offsets_hold_for_any_text(reader: QuestionAnswerer, parts: list[str]) -> None:
    text = " ".join(parts)
    answers = reader.answer([text, parts], ["What is red?", ""], top_k=4)
    for plain, found in zip((text, "\n".join(parts)), answers, strict=True):
        assert found
        assert sum(answer.score for answer in found) <= 1 + 1e-6
        for answer in found:
            if answer.start is None:
                assert (answer.text, answer.end) == ("", None)
            else:
                assert plain[answer.start : answer.end] == answer.text != ""


@pytest.mark.parametrize("text", ["", " \n\t", []])
def test_empty_text_has_no_answer(reader: QuestionAnswerer, text) -> None:
    [answer] = reader.answer([text], ["What colour is the car?"])
    assert answer == Answer("", 1.0)
    assert reader.read(text).ask("") == answer


def test_long_texts_are_read_in_windows_and_batches(reader, monkeypatch) -> None:
    preprocessor = reader.model_.preprocessor
    windower = Windower(preprocessor.vectorizer.tokenizer, max_length=12, stride=6)
    monkeypatch.setattr(preprocessor, "vectorizer", windower)
    filler = "it was said. " * 8
    texts = [f"{filler}the car is {colour}. {filler}" for colour in SHADES]
    texts.append("the box is red.")
    questions = ["What colour is the car?"] * 4 + ["What colour is the box?"]
    expected = reader.answer(texts, questions, top_k=3)
    monkeypatch.setattr(span_preprocessor, "WINDOWS", 7)
    found = reader.answer(texts, questions, top_k=3, batch_size=3)
    alone = [reader.answer(*pair, top_k=3) for pair in zip(texts, questions, strict=True)]
    for one, other, third, text in zip(expected, found, alone, texts, strict=True):
        best = [(found[0].start, found[0].end) for found in (one, other, third)]
        assert best[0] == best[1] == best[2]
        # Behind the best one there are words that are as good as others.
        for a, b, c in zip(one, other, third, strict=True):
            assert a.score == pytest.approx(b.score, abs=1e-5) == pytest.approx(c.score, abs=1e-5)
            assert text[a.start : a.end] == a.text


def test_a_long_text_shows_its_progress_on_standard_error(reader, monkeypatch, capsys) -> None:
    monkeypatch.setattr("keras_qa._terminal.FILE_INTERVAL", 0.0)
    monkeypatch.setattr(span_preprocessor, "WINDOWS", 4)
    text, asked = "the car is grey. " * 40, ["What colour is the car?"] * 2
    windows = {"max_length": 32, "stride": 4}
    expected = reader.answer(text, asked, **windows)
    for module in (span_preprocessor, answerer_module):
        monkeypatch.setattr(module, "LONG_TEXT", 500)
    assert reader.answer(text, asked, **windows) == expected
    printed = capsys.readouterr()
    assert printed.out == ""
    first, *_, last = printed.err.splitlines()
    total = f"{2 * len(text):,}"
    assert re.search(rf"\] [1-9]\d\d/{total}  ", first)
    assert f"{total}/{total}  100 %" in last
    # Of many questions the questions count.
    reader.answer(["the car is grey."] * 3, asked[:1] * 3, verbose=1)
    assert "3/3  100 %" in capsys.readouterr().out


def test_no_answer_is_an_answer(doubting: QuestionAnswerer) -> None:
    decoder = doubting.model_.preprocessor.decoder
    scores = doubting.evaluate(EXAMPLES + WITHOUT)
    assert scores["exact_match"] == scores["HasAns_exact"] == scores["NoAns_exact"] == 100.0
    assert scores["examples"] == 32
    none = doubting.answer(WITHOUT[0].text, WITHOUT[0].question)
    assert none == Answer("", none.score)
    assert none.score > decoder.threshold
    assert doubting.evaluate(EXAMPLES)["exact_match"] == 100.0
    assert doubting.calibration_["calibration_error"] < 0.2
    assert decoder.temperature == doubting.calibration_["temperature"] != 1.0


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
    loaded, plain = keras_qa.load(path), keras.saving.load_model(path)
    decoder = doubting.model_.preprocessor.decoder
    assert loaded.model_.preprocessor.decoder == plain.preprocessor.decoder == decoder
    assert isinstance(loaded.vectorizer_, Windower)
    for item in (EXAMPLES[3], WITHOUT[3]):
        expected = doubting.answer(item.text, item.question, top_k=3)
        assert_same_answers(loaded.answer(item.text, item.question, top_k=3), expected)
    loaded.fit(EXAMPLES, epochs=1, verbose=0)
    assert loaded.evaluate(EXAMPLES)["exact_match"] == 100.0


def test_encoded_text_answers_as_answer_does(reader: QuestionAnswerer) -> None:
    text, questions = EXAMPLES[1].text, [item.question for item in EXAMPLES[:3]]
    assert reader.read(text).ask(questions, top_k=2) == reader.answer(text, questions, top_k=2)


def test_vectors_stand_at_the_words_they_are_of(tmp_path) -> None:
    # Words that no example has are known by their vector alone.
    words = ["door", "grey", "violet"]
    vectors = WordVectors(words, np.random.default_rng(0).normal(size=(3, 6)))
    file = tmp_path / "vectors.txt"
    rows = zip(words, vectors.array.tolist(), strict=True)
    file.write_text("".join(f"{word} {' '.join(map(str, row))}\n" for word, row in rows))
    for given_vectors in (vectors, file):
        qa = answerer(vectors=given_vectors).fit(EXAMPLES[:4], epochs=1, verbose=0)
        table = qa.model_.get_layer("words").get_weights()[0]
        places = [qa.vectorizer_.tokenizer.vocabulary.index(word) for word in words]
        np.testing.assert_allclose(table[places], vectors.array, atol=1e-6)


# The small tokenizer knows few words.
@pytest.mark.filterwarnings("ignore:More than 10 % of a text")
def test_reader_on_a_backbone_learns_is_saved_and_loaded(tmp_path) -> None:
    qa = on_bert(max_length=40, stride=8)
    optimizer = keras.optimizers.Adam(0.01)
    qa.fit(EXAMPLES, epochs=1, steps_per_epoch=40, verbose=0, optimizer=optimizer)
    assert qa.evaluate(EXAMPLES)["exact_match"] == 100.0
    assert (qa.vectorizer_.max_length, qa.vectorizer_.stride) == (40, 8)
    qa.save(tmp_path / "reader.keras")
    asked = EXAMPLES[3].text, EXAMPLES[3].question
    expected, found = qa.answer(*asked), keras_qa.load(tmp_path / "reader.keras").answer(*asked)
    assert (expected.text, expected.start) == ("dark grey", 12)
    assert_same_answers([found], [expected])


def test_a_plain_keras_model_learns() -> None:
    text, question = (keras.Input((None,), dtype="int32", name=n) for n in ("text", "question"))
    words = WordEmbedding(40, 8)
    asked = keras.layers.GlobalAveragePooling1D()(words(question))
    asked = keras.layers.Dense(8)(asked)
    read = ContextEncoder(8)([words(text)])
    both = keras.layers.Concatenate()([read, read * keras.layers.Dense(16)(asked)[:, None]])
    start, end = keras_qa.layers.SpanHead()(both)
    plain = keras.Model([text, question], {"start": start, "end": end})
    qa = QuestionAnswerer(plain, seed=0)
    optimizer = keras.optimizers.Adam(0.03)
    qa.fit(EXAMPLES[:4], epochs=1, steps_per_epoch=25, verbose=0, optimizer=optimizer)
    assert qa.evaluate(EXAMPLES[:4])["exact_match"] == 100.0


def test_optimizer_may_depend_on_the_number_of_windows() -> None:
    seen = []

    def optimizer(rows: int) -> keras.optimizers.Optimizer:
        seen.append(rows)
        return keras.optimizers.SGD(0.125)

    data = [Example("the door is red. " * 10, "What colour?", "red", 12), EXAMPLES[0]]
    qa = answerer(max_length=20, stride=10)
    qa.fit(data, epochs=1, verbose=0, optimizer=optimizer)
    assert seen == [len(qa.vectorizer_(data))] == [5]
    assert float(qa.model_.optimizer.learning_rate) == 0.125


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda qa: qa.fit([]), "`examples` is empty. Give at least one to train on"),
        (
            lambda qa: qa.fit([Example("He went.", "Who?", "He", 1, id="q7")]),
            r"position 0 \(id 'q7'\): the answer 'He' is not at 1, .* It is at 0. Correct",
        ),
        (
            lambda qa: on_bert(vectors=WordVectors(["a"], np.ones((1, 2)))).fit(EXAMPLES),
            "`vectors` is for a reader from scratch",
        ),
        (
            lambda qa: QuestionAnswerer("span_reader", {"backbone": bert()}).fit(EXAMPLES),
            "The backbone's tokenizer is unknown",
        ),
        (lambda qa: on_bert(max_length=65).fit(EXAMPLES), "`max_length` is 65, but the backbone"),
        (lambda qa: on_bert(vocabulary_size=50).fit(EXAMPLES), "`vocabulary_size` is for a reader"),
    ],
)
def test_bad_use_is_named_and_changes_nothing(reader, use, message: str) -> None:
    before = reader.model_.get_weights()
    with pytest.raises(ValueError, match=message) as caught:
        use(reader)
    assert "\n" not in str(caught.value)
    assert same_weights(reader.model_, before)


def test_a_model_without_text_needs_a_windower() -> None:
    with pytest.raises(ValueError, match="or a `preprocessor` that makes its inputs `pad"):
        QuestionAnswerer(span_reader(backbone=bert())).fit(EXAMPLES)
    tokenizer = WordTokenizer.train([item.text for item in EXAMPLES])
    model = span_reader(tokenizer.vocabulary_size, units=2)
    model.preprocessor = SpanPreprocessor(Windower(tokenizer, max_length=7, stride=1))
    qa = QuestionAnswerer(model).fit(EXAMPLES, epochs=1, verbose=0)
    assert qa.vectorizer_.max_length == 7
