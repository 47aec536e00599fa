"""Blocks to build question answering models from."""

from keras_qa import _backend

_backend.require()

from keras_qa.layers.encoders import SequenceEncoder, question_encoder, text_encoder
from keras_qa.layers.heads import AnswerHead, answer_head
from keras_qa.layers.keras_layers import Dense, Dropout, Embedding
from keras_qa.layers.memory import MemoryHops
from keras_qa.layers.recurrent import GRU, LSTM
from keras_qa.layers.sentence_encoder import SentenceEncoder
from keras_qa.layers.span_head import SpanHead
from keras_qa.layers.transformer_encoder import TransformerEncoder
from keras_qa.layers.universal_transformer import UniversalTransformerEncoder

__all__ = [
    "GRU",
    "LSTM",
    "AnswerHead",
    "Dense",
    "Dropout",
    "Embedding",
    "MemoryHops",
    "SentenceEncoder",
    "SequenceEncoder",
    "SpanHead",
    "TransformerEncoder",
    "UniversalTransformerEncoder",
    "answer_head",
    "question_encoder",
    "text_encoder",
]

_backend.register("layers")
