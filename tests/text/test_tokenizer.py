"""Tokenizers from files: limits of ids and replacements."""

import json

import pytest

from keras_qa.text import SubwordTokenizer, WordTokenizer
from keras_qa.text.tokenizer import parse_tokenizer

PLAIN = json.loads(WordTokenizer.train(["Mary went home ."]).to_json())


def changed(**parts) -> str:
    return json.dumps({**PLAIN, **parts})


def replacements(*pairs: tuple[str, str]) -> dict:
    steps = [
        {"type": "Replace", "pattern": {"String": before}, "content": after}
        for before, after in pairs
    ]
    return {"type": "Sequence", "normalizers": steps}


def with_id(number: int) -> str:
    model = {**PLAIN["model"], "vocab": {**PLAIN["model"]["vocab"], "far": number}}
    return changed(model=model)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (with_id(2**31), "has id 2147483648, but"),
        (changed(normalizer=replacements(("a", "a" * 1000))), "1000 times as long"),
        (changed(normalizer=replacements(*[("a", "aaaa")] * 10)), "1048576 times as long"),
        (changed(normalizer=replacements(("", "x" * 100))), "100 times as long"),
        ("{", "is not JSON"),
        ("[]", "must be a JSON object"),
        (changed(model={"type": "None"}), "cannot be read"),
    ],
)
@pytest.mark.parametrize("kind", [WordTokenizer, SubwordTokenizer])
def test_exceeded_limits_raise(kind, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        kind(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) <= 300


def test_replacements_of_published_tokenizers_are_allowed() -> None:
    text = changed(normalizer=replacements(("``", '"'), ("''", '"'), (" ", "▁"), (".", "...")))
    assert json.loads(parse_tokenizer(text).to_str())["normalizer"]["type"] == "Sequence"
