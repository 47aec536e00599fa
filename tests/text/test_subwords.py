"""`SubwordTokenizer`: special tokens, offsets of pieces and words, any script."""

import copy
import functools
import json
import pickle
import re
import unicodedata

import pytest
import tokenizers
from hypothesis import example, given
from hypothesis import strategies as st
from small_tokenizers import KINDS, camembert, modern, unigram, wordpiece
from special_letters import NAMES, assert_letters
from special_letters import texts as special_texts
from tokenizers import models, processors

from keras_qa.text import SubwordTokenizer, WordTokenizer


def words(tokenizer, text: str) -> list[str]:
    """The distinct words."""
    found = tokenizer.pieces([text]).words.tolist()
    return [text[start:end] for start, end in dict.fromkeys(map(tuple, found)) if start >= 0]


@pytest.mark.parametrize(
    ("kind", "before", "between", "after", "segments", "padding"),
    [
        ("wordpiece", (2,), (3,), (3,), ((0,), (0,), (0,), (1,), (1,)), 0),
        ("byte bpe", (0,), (2, 2), (2,), ((0,), (0,), (0, 0), (0,), (0,)), 1),
        ("unigram", (2,), (3,), (3,), ((0,), (0,), (0,), (1,), (1,)), 0),
    ],
)
def test_special_tokens_are_read_from_the_file(
    tmp_path, kind, before, between, after, segments, padding
) -> None:
    KINDS[kind]().save(str(tmp_path / "tokenizer.json"))
    # A byte order mark is skipped.
    (tmp_path / "marked.json").write_text(KINDS[kind]().to_str(), "utf-8-sig")
    for path in (tmp_path, tmp_path / "tokenizer.json", str(tmp_path), tmp_path / "marked.json"):
        tokenizer = SubwordTokenizer.from_file(path)
        assert (tokenizer.before, tokenizer.between, tokenizer.after) == (before, between, after)
        assert tokenizer.segments == segments
        assert tokenizer.padding_id == padding
        assert tokenizer.vocabulary_size == KINDS[kind]().get_vocab_size()


MORE = {**KINDS, "modern": modern, "camembert": camembert}


@functools.cache
def subwords(kind: str) -> SubwordTokenizer:
    return SubwordTokenizer(MORE[kind]())


@pytest.mark.parametrize("kind", MORE)
@given(text=special_texts)
@example(text="".join(NAMES))
@example(text=" ".join(NAMES))
@example(text="\ra")
def test_no_text_spells_a_special_token(kind, text) -> None:
    assert_letters(subwords(kind), text)


def test_a_spelled_special_token_is_split_after_its_first_letter() -> None:
    tokenizer = SubwordTokenizer(camembert())
    plain = camembert()
    names = [plain.id_to_token(id) for id in tokenizer.encode("a<s>b </s>")[0].tolist()]
    assert names == ["▁", "a", "<unk>", "s", "<unk>", "b", "▁", *["<unk>"] * 2, "s", "<unk>"]
    offsets = tokenizer.encode("a<s>b </s>")[1].tolist()
    assert offsets == [
        *([0, 1], [0, 1], [1, 2], [2, 3], [3, 4], [4, 5]),
        *([6, 6], [6, 7], [7, 8], [8, 9], [9, 10]),
    ]


@pytest.mark.parametrize("kind", ["unigram", "camembert"])
@given(text=st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("<>[]s/ a")))
@example(text="< s> <s </ s> [CLS [ CLS] pad> <unk")
def test_other_texts_are_split_as_the_library_splits_them(kind, text) -> None:
    plain = MORE[kind]()
    normal = plain.normalizer.normalize_str(text)
    if not any(name in normal for name in NAMES):
        expected = plain.encode(text, add_special_tokens=False).ids
        assert subwords(kind).encode(text)[0].tolist() == expected


@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_has_the_same_pieces(kind) -> None:
    tokenizer = subwords(kind)
    text = "Mary [SEP] x[CLS] </s> went"
    expected = tokenizer.encode(text)[0].tolist()
    for copied in (pickle.loads(pickle.dumps(tokenizer)), copy.deepcopy(tokenizer)):
        assert copied.encode(text)[0].tolist() == expected


def test_to_json_returns_the_given_tokenizer() -> None:
    # Without the model: the library changes the last digit of its scores.
    plain = {**json.loads(unigram().to_str()), "model": None}
    tokenizer = SubwordTokenizer(unigram())
    assert {**json.loads(tokenizer.to_json()), "model": None} == plain
    again = SubwordTokenizer(tokenizer.to_json())
    assert {**json.loads(again.to_json()), "model": None} == plain
    assert not {2, 3} & set(again.encode("[SEP] x[CLS]")[0].tolist())
    bare = {**json.loads(unigram().to_str()), "pre_tokenizer": None}
    tokenizer = SubwordTokenizer(json.dumps(bare))
    assert json.loads(tokenizer.to_json())["pre_tokenizer"] is None
    assert not {2, 3} & set(tokenizer.encode("[SEP] x[CLS]")[0].tolist())


TEXT = "Unbelievable, the 1990s: 3.5 km!"


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("wordpiece", TEXT, ["Unbelievable", ",", "the", "1990s", ":", "3", ".", "5", "km", "!"]),
        ("byte bpe", TEXT, ["Unbelievable", ",", "the", "1990s", ":", "3", ".", "5", "km", "!"]),
        ("unigram", TEXT, ["Unbelievable", ",", "the", "1990s", ":", "3", ".", "5", "km", "!"]),
        ("wordpiece", "cafe\u0301s \u0301x", ["cafe\u0301s", "x"]),
        ("byte bpe", "cafe\u0301s", ["cafe\u0301s"]),
        ("unigram", " cafe\u0301s\u3000ok ", ["cafe\u0301s", "ok"]),
        ("wordpiece", "वह घर में गई।", ["वह", "घर", "में", "गई", "।"]),
        ("cased wordpiece", "वह घर में गई।", ["वह", "घर", "में", "गई", "।"]),
        ("byte bpe", "वह घर में गई।", ["वह", "घर", "में", "गई", "।"]),
        ("wordpiece", "ذهبت مَريم", ["ذهبت", "مَريم"]),
        ("byte bpe", "ذهبت مَريم", ["ذهبت", "مَريم"]),
        ("byte bpe", "می\u200cروم ok", ["می\u200cروم", "ok"]),
        ("wordpiece", "home\u200cslept ok", ["home\u200cslept", "ok"]),
        ("wordpiece", "我喜欢猫", ["我", "喜", "欢", "猫"]),
        ("byte bpe", "👩‍🚀 👍🏽 🇫🇷", ["👩‍🚀", "👍🏽", "🇫🇷"]),
        ("wordpiece", "a\r\nb\tc\u200bd  e", ["a", "b", "c", "d", "e"]),
        ("byte bpe", "a\r\nb\tc  e", ["a", "b", "c", "e"]),
        ("unigram", "a\r\nb\tc  e", ["a", "b", "c", "e"]),
        ("byte bpe", "  \n", []),
        ("wordpiece", "", []),
    ],
)
def test_words_are_whole_however_they_are_split(kind, text, expected) -> None:
    assert words(SubwordTokenizer(KINDS[kind]()), text) == expected


def test_pieces_of_a_text_do_not_depend_on_the_texts_beside_it() -> None:
    tokenizer = SubwordTokenizer(wordpiece())
    texts = ["x", "\u0301y \u0301", "", "\u0301y cafe\u0301", "z"]
    found = tokenizer.pieces(texts)
    assert found.begins.tolist() == [0, 1, 2, 2, 4, 5]
    for place, text in enumerate(texts):
        part = slice(*found.begins[place : place + 2])
        alone = tokenizer.pieces([text])
        assert found.ids[part].tolist() == alone.ids.tolist()
        assert found.offsets[part].tolist() == alone.offsets.tolist()
        assert found.words[part].tolist() == alone.words.tolist()


@pytest.mark.parametrize("kind", [*KINDS, "words"])
@given(text=st.text())
@example(text="\ud800x e\u0301\u0323\u0301 a ﬁ ½ ﷺ \x00\x07a\x85b [PAD]</s>▁")
@example(text="\u200d\u200d")
def test_offsets_hold_for_any_text(kind, text) -> None:
    tokenizer = WordTokenizer.train([text]) if kind == "words" else SubwordTokenizer(KINDS[kind]())
    found = tokenizer.pieces([text])
    assert len(found.ids) == len(found.offsets) == len(found.words) == found.begins[-1]
    covered, before = set(), (0, 0)
    for (start, end), word in zip(found.offsets.tolist(), found.words.tolist(), strict=True):
        assert 0 <= start <= end <= len(text)
        assert before[0] <= start
        assert before[1] <= end
        before = (start, end)
        if start == end:
            assert word == [-1, -1]
            continue
        piece, whole = text[start:end], text[word[0] : word[1]]
        assert word[0] <= start < end <= word[1]
        assert piece == piece.strip()
        assert whole == whole.strip()
        # A mark stays with its letter.
        assert word[1] == len(text) or unicodedata.category(text[word[1]])[0] != "M"
        covered.update(range(start, end))
    if kind in ("byte bpe", "unigram"):
        # These vocabularies cover every character.
        kept = {place for place, letter in enumerate(text) if not letter.isspace()}
        assert kind == "unigram" or kept <= covered


@given(st.text(st.sampled_from("abcdefghij 19.,-\n'")))
def test_words_of_plain_text_are_runs_of_letters_and_digits(text: str) -> None:
    expected = re.findall(r"\w+|[^\w\s]", text)
    assert words(SubwordTokenizer(wordpiece()), text) == expected
    assert words(WordTokenizer.train(["a"]), text) == expected


def test_bad_files_raise(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match="holds no tokenizer: expected `tokenizer.json`"):
        SubwordTokenizer.from_file(tmp_path)
    path = tmp_path / "tokenizer.json"
    with pytest.raises(FileNotFoundError, match="`path` must be a `tokenizer.json` or a folder"):
        SubwordTokenizer.from_file(path)
    for content, message in (
        (b'{"version": ', "The tokenizer is not JSON: .*char 12"),
        (b"\xff\xfe{\x00}\x00", "'utf-8' codec"),
        (b"[" * 200_000, "The tokenizer is not JSON: .*recursion"),
        (b"[]", "The tokenizer must be a JSON object"),
        (b'{"model": null}', "The tokenizer cannot be read: "),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=rf"tokenizer\.json` cannot be loaded: {message}"):
            SubwordTokenizer.from_file(path)


PLAIN = json.loads(WordTokenizer.train(["Mary went home ."]).to_json())
FAR = {**PLAIN["model"], "vocab": {**PLAIN["model"]["vocab"], "far": 2**31}}


def replacements(*pairs: tuple[str, str]) -> dict:
    steps = [
        {"type": "Replace", "pattern": {"String": before}, "content": after}
        for before, after in pairs
    ]
    return {"normalizer": {"type": "Sequence", "normalizers": steps}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": FAR}, "has id 2147483648, but"),
        (replacements(("a", "a" * 1000)), "1000 times as long"),
        (replacements(*[("a", "aaaa")] * 10), "1048576 times as long"),
        (replacements(("", "x" * 100)), "100 times as long"),
    ],
)
@pytest.mark.parametrize("kind", [WordTokenizer, SubwordTokenizer])
def test_exceeded_limits_raise(kind, change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        kind(json.dumps(PLAIN | change))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) <= 300


def test_replacements_of_published_tokenizers_are_allowed() -> None:
    change = replacements(("``", '"'), ("''", '"'), (" ", "▁"), (".", "..."))
    tokenizer = WordTokenizer(json.dumps(PLAIN | change))
    assert json.loads(tokenizer.to_json())["normalizer"]["type"] == "Sequence"


def test_a_tokenizer_without_a_first_special_token_raises() -> None:
    plain = tokenizers.Tokenizer(models.WordLevel({"a": 0, "b": 1, "</s>": 2}, unk_token="a"))
    with pytest.raises(ValueError, match=r"must put a special token before.*: \['a', 'b'\]"):
        SubwordTokenizer(plain)
    plain.post_processor = processors.TemplateProcessing(
        pair="$A </s> $B </s>", special_tokens=[("</s>", 2)]
    )
    with pytest.raises(ValueError, match=r"Received: \['a', '</s>', 'b', '</s>'\]"):
        SubwordTokenizer(plain)


def template(token: str) -> dict:
    piece = {"SpecialToken": {"id": token, "type_id": 0}}
    pair = [piece, *({"Sequence": {"id": name, "type_id": 0}} for name in "AB")]
    return {"type": "TemplateProcessing", "single": pair[:2], "pair": pair, "special_tokens": {}}


def charsmap(rules: str) -> dict:
    return {"type": "Precompiled", "precompiled_charsmap": rules}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"normalizer": charsmap("AAAA")}, "Cannot parse precompiled_charsmap"),
        # It can be read, and fails with the first letter.
        ({"normalizer": charsmap("BAAAAAAAAAA=")}, "index out of bounds"),
        ({"post_processor": template("[NONE]")}, "no entry found for key"),
        ({"model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "x"}}, r"Missing \[UNK\]"),
    ],
)
@pytest.mark.parametrize("kind", [WordTokenizer, SubwordTokenizer])
def test_what_the_library_cannot_use_raises_one_line(kind, change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=f"The tokenizer cannot be used: .*{message}") as caught:
        kind(json.dumps(PLAIN | change))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) <= 300
