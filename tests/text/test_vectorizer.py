"""`WordTokenizer` and `Vectorizer`: ids, offsets, labels, any script."""

import json
import unicodedata

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from small_tokenizers import wordpiece

from keras_qa import Example
from keras_qa.text import Vectorizer, WordTokenizer

STORIES = [
    Example("Mary went home. John slept.", "Where is Mary?", "home"),
    Example("John went to the garden.", "Where is John?", "garden"),
    Example("Mary went to the garden.", "Where is Mary?", ["garden", "the garden"]),
]


def test_vocabulary_holds_words_by_frequency_then_by_letters() -> None:
    tokenizer = WordTokenizer.train(["b a b. C", "b c a"])
    assert tokenizer.vocabulary == ["[PAD]", "[UNK]", "b", "a", "c", "."]
    assert tokenizer.vocabulary_size == 6
    assert WordTokenizer.train(["A a"], lowercase=False).vocabulary[2:] == ["A", "a"]
    # The most frequent ones, if there is no place for all.
    tokenizer = WordTokenizer.train(["b a b c"], vocabulary_size=3)
    assert tokenizer.vocabulary == ["[PAD]", "[UNK]", "b"]
    assert tokenizer.encode("a b")[0].tolist() == [1, 2]
    # Composed and decomposed letters are one word.
    tokenizer = WordTokenizer.train(["café"])
    for form in ("NFC", "NFD"):
        assert tokenizer.encode(unicodedata.normalize(form, "café"))[0].tolist() == [2]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("वह घर गई।", ["वह", "घर", "गई", "।"]),
        ("ذهبت مريم إلى البيت", ["ذهبت", "مريم", "إلى", "البيت"]),
        ("cafe\u0301 😀👩‍🚀 ok", ["cafe\u0301", "😀👩‍🚀", "ok"]),
        ("a\r\nb\tc  d", ["a", "b", "c", "d"]),
        ("[PAD] [UNK]", ["[", "PAD", "]", "[", "UNK", "]"]),
    ],
)
def test_words_of_any_script(text: str, words: list[str]) -> None:
    _, offsets = WordTokenizer.train([text]).encode(text)
    assert [text[start:end] for start, end in offsets] == words


SETTINGS = json.loads(wordpiece().to_str())
TRUNCATION, PADDING = SETTINGS["truncation"], SETTINGS["padding"]


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("truncation", {**TRUNCATION, "max_length": 1}),
        ("truncation", {**TRUNCATION, "max_length": 2, "stride": 5}),
        ("padding", PADDING),
        ("padding", {**PADDING, "strategy": {"Fixed": 10**12}}),
        ("padding", {**PADDING, "strategy": "BatchLongest"}),
    ],
)
def test_padding_and_truncation_of_a_tokenizer_are_ignored(name: str, setting) -> None:
    plain = WordTokenizer.train(["Mary went home to sleep."])
    texts = ["Mary went home", "Mary"]
    given = json.dumps({**json.loads(plain.to_json()), name: setting})
    tokenizer = WordTokenizer(given)
    assert tokenizer.to_json() == plain.to_json()
    assert tokenizer.encode_batch(texts) == plain.encode_batch(texts)
    assert list(map(len, plain.encode_batch(texts))) == [3, 1]


def test_the_given_tokenizer_does_not_change() -> None:
    plain = tokenizers.Tokenizer.from_str(WordTokenizer.train(["Mary went home."]).to_json())
    plain.enable_truncation(1)
    assert len(WordTokenizer(plain).encode("Mary went home")[0]) == 3
    assert len(plain.encode("Mary went home").ids) == plain.truncation["max_length"] == 1
    assert not plain.encode_special_tokens


@given(st.lists(st.text(), min_size=1, max_size=5))
def test_tokenizer_is_the_same_after_json(texts: list[str]) -> None:
    tokenizer = WordTokenizer.train(texts)
    again = WordTokenizer(tokenizer.to_json())
    assert again.vocabulary == tokenizer.vocabulary
    assert again.encode_batch(texts) == tokenizer.encode_batch(texts)
    assert again.encode(texts[0])[0].tolist() == tokenizer.encode_batch(texts)[0]


def test_feed_is_padded_on_the_right() -> None:
    vectorizer = Vectorizer().adapt(STORIES)
    words = {word: position for position, word in enumerate(vectorizer.tokenizer.vocabulary)}
    # The sentences of a list are lines.
    feed = vectorizer([STORIES[1], Example(["Mary", "slept"], ""), Example("Zoe", "qui?")])
    expected = ["john", "went", "to", "the", "garden", "."]
    assert feed["text"].tolist() == [
        [words[word] for word in expected],
        [words["mary"], words["slept"], 0, 0, 0, 0],
        # A new word is unknown.
        [1, 0, 0, 0, 0, 0],
    ]
    assert feed["question"][1].tolist() == [0, 0, 0, 0]
    assert {array.dtype.name for array in feed.values()} == {"int32"}
    empty = vectorizer([Example("", "")])
    assert empty["text"].tolist() == empty["question"].tolist() == [[0]]


def test_labels_are_answers_by_frequency() -> None:
    vectorizer = Vectorizer().adapt(STORIES)
    assert vectorizer.answers == ["", "garden", "home"]
    unseen = Example("", "", "kitchen")
    assert vectorizer.labels([*STORIES, unseen]).tolist() == [2, 1, 1, 0]
    assert Vectorizer(answer_vocabulary_size=2).adapt(STORIES).answers == ["", "garden"]


def test_bad_arguments_raise() -> None:
    with pytest.raises(ValueError, match="no vocabulary. Call `adapt"):
        Vectorizer()(STORIES)
    with pytest.raises(ValueError, match="`examples` is empty"):
        Vectorizer().adapt([])
    with pytest.raises(ValueError, match=r"position 1 \(id x7\) has no answer"):
        Vectorizer().adapt([STORIES[0], Example("a", "b", id="x7")])
    with pytest.raises(ValueError, match="`answer_vocabulary_size` must be .* of at least 2.*=1"):
        Vectorizer(answer_vocabulary_size=1)
    with pytest.raises(ValueError, match="`vocabulary_size` must be at least 3.*size=2"):
        WordTokenizer.train(["a"], vocabulary_size=2)
