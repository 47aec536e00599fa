"""Blocks to build question answering models from."""

from keras_qa.layers.encoders import SequenceEncoder, question_encoder, text_encoder
from keras_qa.layers.heads import AnswerHead, answer_head
from keras_qa.layers.recurrent import GRU, LSTM

__all__ = [
    "GRU",
    "LSTM",
    "AnswerHead",
    "SequenceEncoder",
    "answer_head",
    "question_encoder",
    "text_encoder",
]
