"""Pairs of texts: the ids, segments and truncation of the `tokenizers` library."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_tokenizers import byte_bpe, wordpiece

from keras_qa.preprocessing.pair_preprocessor import PairPreprocessor
from keras_qa.text import SubwordTokenizer, Windower
from keras_qa.text.pairs import encode_pairs

KINDS = {make.__name__: make for make in (wordpiece, byte_bpe)}
TEXT = st.text(alphabet="abc ", max_size=12)


@pytest.mark.parametrize("kind", KINDS)
@given(pairs=st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=4), room=st.integers(2, 9))
def test_pairs_are_those_of_the_tokenizer(kind: str, pairs, room: int) -> None:
    tokenizer = SubwordTokenizer(KINDS[kind]())
    special = len(tokenizer.before) + len(tokenizer.between) + len(tokenizer.after)
    library = KINDS[kind]().from_str(KINDS[kind]().to_str())
    library.no_padding()
    library.enable_truncation(room + special, strategy="longest_first")
    feed = encode_pairs(tokenizer, *zip(*pairs, strict=True), max_length=room + special)
    assert feed["token_ids"].shape[1] == feed["padding_mask"].sum(axis=1).max()
    for row, pair in enumerate(pairs):
        expected = library.encode(*pair)
        length = feed["padding_mask"][row].sum()
        assert feed["token_ids"][row, :length].tolist() == expected.ids
        assert feed["segment_ids"][row, :length].tolist() == expected.type_ids
        assert (feed["token_ids"][row, length:] == tokenizer.padding_id).all()


def test_only_the_second_text_is_truncated() -> None:
    tokenizer = SubwordTokenizer(wordpiece())
    first, second = ["a b c d", "a", ""], ["a b c d", "a b c d e f", "a b c d e f g h"]
    feed = encode_pairs(tokenizer, first, second, 8, "only_second")
    library = wordpiece().from_str(wordpiece().to_str())
    library.no_padding()
    library.enable_truncation(8, strategy="only_second")
    expected = [library.encode(*pair).ids for pair in zip(first, second, strict=True)]
    assert feed["token_ids"].tolist() == expected
    with pytest.raises(ValueError, match="text at position 1 has 5 pieces, which leaves no room"):
        encode_pairs(tokenizer, ["a", "a b c d e"], ["b", "b"], 8, "only_second")
    # It has just enough room without a second text.
    assert encode_pairs(tokenizer, ["a b c d e"], [""], 8, "only_second")["token_ids"].shape[1] == 8


def test_a_preprocessor_is_the_same_after_its_config() -> None:
    made = PairPreprocessor(Windower(SubwordTokenizer(wordpiece()), 12), "only_second")
    again = PairPreprocessor.from_config(made.get_config())
    assert again.get_config() == made.get_config()
    assert (again.vectorizer.max_length, again.truncation) == (12, "only_second")
    with pytest.raises(ValueError, match="`truncation` must be one of 'longest_first', 'only_sec"):
        PairPreprocessor.from_config({**made.get_config(), "truncation": "first"})


def test_pairs_need_room_for_both_texts() -> None:
    with pytest.raises(ValueError, match="^`max_length` must be an integer of at least 5"):
        encode_pairs(SubwordTokenizer(wordpiece()), ["a"], ["b"], 4)


def test_no_pairs_are_no_rows() -> None:
    feed = encode_pairs(SubwordTokenizer(wordpiece()), [], [], 12)
    assert feed["token_ids"].shape[0] == 0
    assert feed["token_ids"].dtype == np.int32
