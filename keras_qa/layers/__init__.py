"""Blocks to build question answering models from."""

from keras_qa.layers.encoders import SequenceEncoder, question_encoder, text_encoder
from keras_qa.layers.heads import AnswerHead, SupportHead, answer_head
from keras_qa.layers.memory import MemoryHops
from keras_qa.layers.recurrent import GRU, LSTM
from keras_qa.layers.sentences import SentenceEncoder, TemporalEncoding
from keras_qa.layers.transformer import UniversalTransformerEncoder

__all__ = [
    "GRU",
    "LSTM",
    "AnswerHead",
    "MemoryHops",
    "SentenceEncoder",
    "SequenceEncoder",
    "SupportHead",
    "TemporalEncoding",
    "UniversalTransformerEncoder",
    "answer_head",
    "question_encoder",
    "text_encoder",
]
