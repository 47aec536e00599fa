"""A small BERT of KerasHub, and the tokenizer that goes with it."""

from __future__ import annotations

import keras_hub
from small_tokenizers import wordpiece

from keras_qa.text import SubwordTokenizer

TOKENIZER = SubwordTokenizer(wordpiece())


def bert(**options) -> keras_hub.models.BertBackbone:
    sizes = {
        "vocabulary_size": TOKENIZER.vocabulary_size,
        "num_layers": 1,
        "num_heads": 2,
        "hidden_dim": 16,
        "intermediate_dim": 24,
        "max_sequence_length": 64,
        "dropout": 0.0,
    }
    return keras_hub.models.BertBackbone(**{**sizes, **options})
