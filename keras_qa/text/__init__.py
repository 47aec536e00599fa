"""Text to ids and back: NumPy and the `tokenizers` library, no backend."""

from keras_qa.text.sentences import sentence_spans
from keras_qa.text.tokenizer import WordTokenizer
from keras_qa.text.vectorizer import Vectorizer

__all__ = ["Vectorizer", "WordTokenizer", "sentence_spans"]
