"""A small KerasHub BERT, its tokenizer, and a reader with both."""

import keras
import keras_hub
from small_tokenizers import wordpiece

from keras_qa import Example
from keras_qa.models import span_reader
from keras_qa.models.reader import SpanReader
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


TEXT = "Mary went to the bathroom, then she slept at home."
MARKED = [
    Example(TEXT, "Where did she sleep?", "home", 45),
    Example(TEXT, "Who went?", "Mary", 0),
    Example("She slept.", "Who slept?", ["She"], [0]),
]


def backbone_reader(**options) -> SpanReader:
    """A reader on the small BERT."""
    settings = {"optimizer": keras.optimizers.Adam(0.01), **options}
    return span_reader(backbone=bert(), tokenizer=TOKENIZER, **settings)
