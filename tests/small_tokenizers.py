"""Small tokenizers of the kinds that backbones have, trained on two lines.

`python tests/small_tokenizers.py` trains them and writes `tests/tokenizers/`: each training breaks
ties between pieces in another way.
"""

import functools
import json
import pathlib
import string

import tokenizers
from tokenizers import models, normalizers, pre_tokenizers, processors, trainers

LINES = [
    "Mary went to the bathroom, then she slept at home. Unbelievable! 1990s and 3.5 km.",
    "वह घर गई। ذهبت مريم إلى البيت. 我喜欢猫 東京に行った 서울에서 Zoë cafe\u0301 😀👩‍🚀",
]
FOLDER = pathlib.Path(__file__).parent / "tokenizers"
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]


def train_wordpiece(strip_accents: bool = True) -> tokenizers.Tokenizer:
    """Like BERT's: letters and a few longer pieces, [CLS] first, segments 0 and 1."""
    tokenizer = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(strip_accents=strip_accents)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=300,
        special_tokens=SPECIALS,
        initial_alphabet=list(string.ascii_lowercase),
        show_progress=False,
    )
    tokenizer.train_from_iterator(LINES * 3, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    # Files of sentence encoders enable truncation, which must not affect windows.
    tokenizer.enable_truncation(5)
    tokenizer.enable_padding(length=5)
    return tokenizer


def train_byte_bpe() -> tokenizers.Tokenizer:
    """Like RoBERTa's: bytes, <s> first, two </s> between, one segment."""
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<s>", "<pad>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(LINES * 3, trainer)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    return tokenizer


def train_unigram(lines: tuple[str, ...] = (*LINES * 3,), size: int = 200) -> tokenizers.Tokenizer:
    """Like SentencePiece: white space is part of the next piece."""
    tokenizer = tokenizers.Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=size,
        special_tokens=["<pad>", "<unk>", "[CLS]", "[SEP]"],
        unk_token="<unk>",
        show_progress=False,
    )
    tokenizer.train_from_iterator(lines, trainer)
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return tokenizer


TRAINED = {
    "wordpiece": train_wordpiece,
    "wordpiece-cased": functools.partial(train_wordpiece, strip_accents=False),
    "byte-bpe": train_byte_bpe,
    "unigram": train_unigram,
}


@functools.cache
def _read(name: str) -> tokenizers.Tokenizer:
    return tokenizers.Tokenizer.from_file(str(FOLDER / f"{name}.json"))


def wordpiece(strip_accents: bool = True) -> tokenizers.Tokenizer:
    return _read("wordpiece" if strip_accents else "wordpiece-cased")


def byte_bpe() -> tokenizers.Tokenizer:
    return _read("byte-bpe")


def unigram() -> tokenizers.Tokenizer:
    return _read("unigram")


@functools.cache
def modern() -> tokenizers.Tokenizer:
    """Like ModernBERT's: bytes, special tokens after the vocabulary, one segment."""
    tokenizer = byte_bpe().from_str(byte_bpe().to_str())
    tokenizer.add_special_tokens([*SPECIALS, "[MASK]", "<|endoftext|>", "<|padding|>"])
    tokenizer.add_tokens(["|||IP_ADDRESS|||", "  "])
    first, last = map(tokenizer.token_to_id, ("[CLS]", "[SEP]"))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[("[CLS]", first), ("[SEP]", last)],
    )
    return tokenizer


@functools.cache
def camembert() -> tokenizers.Tokenizer:
    """Like CamemBERT's: <s> first, two </s> between, special tokens within the vocabulary."""
    content = json.loads(unigram().to_str())
    names = ["<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>", "<unk>NOTUSED", "<s>", "</s>"]
    pieces = [piece for piece in content["model"]["vocab"] if piece[1] < 0]
    vocabulary = [[name, 0.0] for name in names] + pieces + [["<mask>", 0.0]]
    content["model"] |= {"vocab": vocabulary, "unk_id": 3}
    content["added_tokens"] = []
    tokenizer = tokenizers.Tokenizer.from_str(json.dumps(content))
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    tokenizer.add_special_tokens(["<s>NOTUSED", "</s>NOTUSED"])
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 6), ("<s>", 5))
    return tokenizer


KINDS = {
    "wordpiece": wordpiece,
    "cased wordpiece": functools.partial(wordpiece, strip_accents=False),
    "byte bpe": byte_bpe,
    "unigram": unigram,
}

if __name__ == "__main__":
    for name, train in TRAINED.items():
        train().save(str(FOLDER / f"{name}.json"), pretty=False)
