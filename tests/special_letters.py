"""Texts with the names of special tokens, which must not be encoded as special tokens."""

import json

from hypothesis import strategies as st

from keras_qa.text import SubwordTokenizer

NAMES = [
    *("<s>", "</s>", "<pad>", "<unk>", "<mask>", "<s>NOTUSED", "</s>NOTUSED", "<unk>NOTUSED"),
    *("[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]", "<|endoftext|>", "<|padding|>"),
]
# Full-width forms, which some normalizers convert to the plain names.
WIDE = [name.translate({code: code + 0xFEE0 for code in range(33, 127)}) for name in NAMES]

texts = st.lists(
    st.sampled_from([*NAMES, *WIDE]) | st.sampled_from("<>[]/|s\u2581 a\u0301") | st.characters()
).map("".join)


def assert_letters(tokenizer: SubwordTokenizer, text: str) -> None:
    """Asserts that no token of a text is special, and that offsets are in order."""
    added = json.loads(tokenizer.to_json())["added_tokens"]
    special = {token["id"] for token in added if token["special"]}
    special |= {*tokenizer.before, *tokenizer.between, *tokenizer.after, tokenizer.padding_id}
    ids, offsets = tokenizer.encode(text)
    assert not (special - {tokenizer.unknown_id}).intersection(ids.tolist())
    assert (offsets[:, 0] <= offsets[:, 1]).all()
    assert (offsets[1:] >= offsets[:-1]).all()
