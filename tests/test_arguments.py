"""Checks of arguments that all rooms share."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_qa._arguments import (
    check_flag,
    check_fraction,
    must_be,
    quote_names,
    shorten,
    to_integer,
    to_optional_integer,
)
from keras_qa.preprocessing import SpanDecoder
from keras_qa.text import Windower, WordTokenizer


@given(st.integers(-5, 200), st.sampled_from([0, 1]))
def test_numpy_integers_are_converted(number: int, least: int) -> None:
    for value in (number, np.int64(number), np.int16(number)):
        if number >= least:
            found = to_integer("k", value, least)
            assert (found, type(found)) == (number, int)
        else:
            kind = "positive" if least else "non-negative"
            message = rf"^`k` must be a {kind} integer\. Received: k=.*{number}\)?\.$"
            with pytest.raises(ValueError, match=message):
                to_integer("k", value, least)


@pytest.mark.parametrize("value", [True, np.True_, 1.0, np.float32(2), "1", [1], None, 1 + 0j])
def test_other_values_are_not_integers(value) -> None:
    message = f"`k` must be a positive integer. Received: k={value!r}."
    with pytest.raises(ValueError, match=re.escape(message)):
        to_integer("k", value)
    assert to_optional_integer("k", None) is None


@pytest.mark.parametrize("value", [-0.1, 1.01, np.nan, np.inf, True, "a", None, [0.5]])
def test_values_that_are_not_fractions_raise(value) -> None:
    with pytest.raises(ValueError, match=r"^`share` must be between 0 and 1\. Received: share="):
        check_fraction("share", value)


def test_fractions_and_flags() -> None:
    for value in (0, 1, 0.5, np.float32(0.5), np.int64(1)):
        check_fraction("share", value)
    check_flag("flag", False)
    with pytest.raises(ValueError, match=r"^`flag` must be `True` or `False`\. Received: flag=0\."):
        check_flag("flag", 0)


def test_a_message_quotes_a_long_value_in_one_short_line() -> None:
    message = must_be("k", "a positive integer", np.arange(10_000).reshape(100, 100))
    assert "\n" not in message
    assert len(message) < 130


def test_long_names_and_texts_are_shortened() -> None:
    assert quote_names([]) == "none"
    assert quote_names(["a", "b"]) == "`a`, `b`"
    assert quote_names(range(100_000)) == "`0`, `1`, `2`, `3`, `4` and 99,995 more"
    long = quote_names([f"{place}{'x' * 1_000}" for place in range(9)])
    assert re.fullmatch(r"`0x{25}…x{13}`, `1x{25}…x{13}` and 7 more", long)
    assert shorten("a" * 40) == "a" * 40
    assert shorten("0123456789", 6) == "012…89"


def test_configs_contain_python_integers() -> None:
    decoder = SpanDecoder(np.int64(3))
    assert type(decoder.get_config()["max_answer_words"]) is int
    windower = Windower(WordTokenizer.train(["a b"]), np.int32(9), np.int64(0), np.int8(5))
    sizes = windower.max_length, windower.stride, windower.max_question_length
    assert sizes == (9, 0, 5)
    assert {type(size) for size in sizes} == {int}
