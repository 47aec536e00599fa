"""Tokenizers, windows and word vectors. They need NumPy and `tokenizers`, but no backend."""

from keras_qa.text.subwords import SubwordTokenizer
from keras_qa.text.tokenizer import WordTokenizer
from keras_qa.text.vectorizer import Vectorizer
from keras_qa.text.windows import Windower
from keras_qa.text.word_vectors import WordVectors

__all__ = ["SubwordTokenizer", "Vectorizer", "Windower", "WordTokenizer", "WordVectors"]
