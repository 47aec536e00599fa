"""Scripts without spaces between words: words, word sizes and answers."""

import numpy as np
import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from small_tokenizers import byte_bpe, train_unigram, wordpiece
from tokenizers import models, pre_tokenizers, processors

from keras_qa import Example
from keras_qa.preprocessing import SpanDecoder
from keras_qa.text import SubwordTokenizer, Windower, WordTokenizer, pieces

CHINESE = "爱因斯坦1879年出生于德国乌尔姆市,后来在Princeton University工作。"
JAPANESE = "東京タワーは1958年に完成した。高さは333メートルで、パリのEiffel Towerより高い。"
THAI = "กรุงเทพมหานครเป็นเมืองหลวงของประเทศไทย ตั้งอยู่ริมแม่น้ำเจ้าพระยา มีWi-Fiฟรีทั่วเมือง"
TEXTS = [CHINESE, JAPANESE, THAI]
PARTS = ["กรุงเทพ", "มหานคร", "ประเทศ", "ไทย", "东京", "タワー", "メートル", "德国"]

TOKENIZERS = {
    "words": lambda: WordTokenizer.train(["Mary went home."]),
    "byte bpe": lambda: SubwordTokenizer(byte_bpe()),
}


def counted(tokenizer, text: str) -> list[tuple[str, float]]:
    """The distinct words of a text, with their sizes."""
    found = tokenizer.pieces([text])
    words = dict(zip(map(tuple, found.words.tolist()), found.word_sizes.tolist(), strict=True))
    return [(text[start:end], size) for (start, end), size in words.items() if start >= 0]


@pytest.mark.parametrize("kind", ["words", "byte bpe"])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("德国1879年", [("德", 0.5), ("国", 0.5), ("1879", 1), ("年", 0.5)]),
        ("タワーは高い。", [*((letter, 0.5) for letter in "タワーは高い"), ("。", 1)]),
        ("か\u3099", [("か\u3099", 0.5)]),
        ("ﾀﾜｰ", [("ﾀ", 0.5), ("ﾜ", 0.5), ("ｰ", 0.5)]),
        ("ที่กรุง", [("ที่", 0.25), ("ก", 0.25), ("รุ", 0.25), ("ง", 0.25)]),
        ("ນ້ຳ ok", [("ນ້", 0.25), ("ຳ", 0.25), ("ok", 1)]),
        ("ភ្នំ", [("ភ្", 0.25), ("នំ", 0.25)]),
        ("မြို့", [("မြို့", 0.25)]),
        ("มีWi-Fi", [("มี", 0.25), ("Wi", 1), ("-", 1), ("Fi", 1)]),
        ("Mary went home.", [("Mary", 1), ("went", 1), ("home", 1), (".", 1)]),
        ("वह घर गई", [("वह", 1), ("घर", 1), ("गई", 1)]),
    ],
)
def test_letters_are_words_of_size_below_1(kind, text, expected) -> None:
    assert counted(TOKENIZERS[kind](), text) == expected


def test_korean_words_have_size_1() -> None:
    assert counted(TOKENIZERS["words"](), "서울에서 한국어") == [("서울에서", 1), ("한국어", 1)]


def test_pieces_of_several_letters_have_at_most_size_1() -> None:
    words = [("กรุงเทพ", 1), ("ไทย", 0.75), ("德国", 1), ("a", 1), ("น", 0.25), ("市ab", 1)]
    vocabulary = {word: place for place, (word, _) in enumerate(words)}
    plain = tokenizers.Tokenizer(models.WordLevel(vocabulary, unk_token="a"))
    plain.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    plain.post_processor = processors.BertProcessing(("a", 3), ("a", 3))
    found = SubwordTokenizer(plain).pieces([" ".join(word for word, _ in words), "home"])
    assert found.word_sizes.tolist() == [*(size for _, size in words), 1]
    assert found.word_sizes.dtype == "float32"


def best(windower: Windower, example: Example, decoder: SpanDecoder | None = None):
    """The best span of a reader that is sure of the gold answer."""
    windows = windower([example], labels=True)
    start, end = np.zeros((2, *windows.words.shape[:2]))
    rows = np.flatnonzero(windows.spans[:, 0, 0] > 0)
    assert len(rows)
    start[rows, windows.spans[rows, 0, 0]] = 20
    end[rows, windows.spans[rows, 0, 1]] = 20
    decode = decoder or SpanDecoder()
    found = decode(start, end, windows.words, windows.example, 1, windows.word_sizes)
    return example.plain_text[found.start.item() : found.end.item()]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (CHINESE, "德国乌尔姆市"),
        (CHINESE, "Princeton University"),
        (JAPANESE, "333メートル"),
        (THAI, "แม่น้ำเจ้าพระยา"),
        (THAI, "Wi-Fi"),
    ],
)
def test_answers_are_found_in_pieces_of_several_letters(text, answer) -> None:
    assert SpanDecoder().max_answer_words == 15
    tokenizer = SubwordTokenizer(train_unigram((*TEXTS, *PARTS * 9), 250))
    windower = Windower(tokenizer, max_length=120, stride=60)
    found = best(windower, Example(text, "?", answer, text.index(answer)))
    # A piece may reach beyond an answer, by a few letters.
    assert answer in found
    assert len(found) < len(answer) + 8


LETTERS = st.text(st.sampled_from("กรุงเทพ漢字かター年ก็។ ab1.ລມຽ"), min_size=1, max_size=40)


@given(LETTERS, st.data(), st.sampled_from(["words", "byte bpe"]), st.integers(1, 15))
def test_any_answer_up_to_the_maximum_length_is_found(text, data, kind, most) -> None:
    tokenizer = TOKENIZERS[kind]()
    found = tokenizer.pieces([text])
    sizes = dict(zip(map(tuple, found.words.tolist()), found.word_sizes.tolist(), strict=True))
    words = [word for word in sizes if word[0] >= 0]
    if not words:
        return
    first = data.draw(st.integers(0, len(words) - 1))
    last = data.draw(st.integers(first, len(words) - 1))
    start, end = words[first][0], words[last][1]
    answer = text[start:end]
    size = sum(sizes[word] for word in words[first : last + 1])
    windower = Windower(tokenizer, max_length=300, stride=100)
    got = best(windower, Example(text, "?", answer, start), SpanDecoder(most))
    assert (got == answer) == (size <= most)


def test_raw_pieces_have_the_offsets_and_words_of_the_library() -> None:
    plain = train_unigram()
    texts = [" Mary went home.", "", "went", "\ud800 Mary"]
    raw = SubwordTokenizer(plain).pieces(texts, raw=True)
    for number, text in enumerate(texts):
        encoding = plain.encode(text.replace("\ud800", "\ufffd"), add_special_tokens=False)
        rows = slice(raw.begins[number], raw.begins[number + 1])
        assert raw.ids[rows].tolist() == encoding.ids
        assert raw.offsets[rows].tolist() == [*map(list, encoding.offsets)]
        words = [list(encoding.word_to_chars(word)) for word in encoding.word_ids]
        assert raw.words[rows].tolist() == words
    # A word has the white space before it.
    assert raw.words[0].tolist() == [0, 5]


@given(
    st.lists(
        st.sampled_from([*PARTS, "Mary went", " ", "\n", "\u0301", "\u200d", "a-b ", "[SEP] "])
    )
)
def test_long_texts_are_encoded_in_parts(parts: list[str]) -> None:
    texts = ["".join(parts), "", "Mary went home. " * 3]
    for tokenizer in (SubwordTokenizer(wordpiece()), SubwordTokenizer(byte_bpe())):
        expected = tokenizer.pieces(texts)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pieces, "MAX_CHARACTERS", 3)
            found = tokenizer.pieces(texts)
        for name in ("ids", "offsets", "words", "word_sizes", "begins"):
            one, other = getattr(found, name), getattr(expected, name)
            np.testing.assert_array_equal(one, other)
            assert one.dtype == other.dtype
