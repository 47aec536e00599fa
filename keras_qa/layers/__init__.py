"""Blocks to build question answering models from."""

from keras_qa import _backend

_backend.require()

from keras_qa.layers.attention import AlignedQuestionEmbedding, BidirectionalAttentionFlow
from keras_qa.layers.encoders import SequenceEncoder, question_encoder, text_encoder
from keras_qa.layers.heads import AnswerHead, SupportHead, answer_head
from keras_qa.layers.keras_layers import Dense, Dropout, Embedding
from keras_qa.layers.memory import MemoryHops
from keras_qa.layers.order import TemporalEncoding
from keras_qa.layers.pretrained import PretrainedEncoder
from keras_qa.layers.recurrent import GRU, LSTM
from keras_qa.layers.sentence_encoder import SentenceEncoder
from keras_qa.layers.span_head import SpanHead
from keras_qa.layers.transformer_encoder import TransformerEncoder
from keras_qa.layers.universal_transformer import UniversalTransformerEncoder
from keras_qa.layers.word_features import ContextEncoder, WordEmbedding

__all__ = [
    "GRU",
    "LSTM",
    "AlignedQuestionEmbedding",
    "AnswerHead",
    "BidirectionalAttentionFlow",
    "ContextEncoder",
    "Dense",
    "Dropout",
    "Embedding",
    "MemoryHops",
    "PretrainedEncoder",
    "SentenceEncoder",
    "SequenceEncoder",
    "SpanHead",
    "SupportHead",
    "TemporalEncoding",
    "TransformerEncoder",
    "UniversalTransformerEncoder",
    "WordEmbedding",
    "answer_head",
    "question_encoder",
    "text_encoder",
]

_backend.register("layers")
