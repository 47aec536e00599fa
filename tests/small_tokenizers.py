"""Small tokenizers of the kinds that backbones bring, trained here on a few lines."""

from __future__ import annotations

import functools
import string

import tokenizers
from tokenizers import models, normalizers, pre_tokenizers, processors, trainers

LINES = [
    "Mary went to the bathroom, then she slept at home. Unbelievable! 1990s and 3.5 km.",
    "वह घर गई। ذهبت مريم إلى البيت. 我喜欢猫 東京に行った 서울에서 Zoë cafe\u0301 😀👩‍🚀",
]
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]


@functools.cache
def wordpiece(strip_accents: bool = True) -> tokenizers.Tokenizer:
    """As BERT's: letters alone and a few longer pieces, [CLS] first, segments 0 and 1."""
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
    # As files of sentence encoders have it: windows must not be cut by it.
    tokenizer.enable_truncation(5)
    tokenizer.enable_padding(length=5)
    return tokenizer


@functools.cache
def byte_bpe() -> tokenizers.Tokenizer:
    """As RoBERTa's: bytes, <s> first, two </s> between, one segment."""
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


@functools.cache
def unigram() -> tokenizers.Tokenizer:
    """As those of SentencePiece: white space is part of the piece after it."""
    tokenizer = tokenizers.Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=200,
        special_tokens=["<pad>", "<unk>", "[CLS]", "[SEP]"],
        unk_token="<unk>",
        show_progress=False,
    )
    tokenizer.train_from_iterator(LINES * 3, trainer)
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return tokenizer


KINDS = {
    "wordpiece": wordpiece,
    "cased wordpiece": functools.partial(wordpiece, strip_accents=False),
    "byte bpe": byte_bpe,
    "unigram": unigram,
}
