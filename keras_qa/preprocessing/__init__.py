"""Preprocessors: examples to inputs and outputs to answers, one class for each kind of answer.

They use NumPy only; the methods that run a model receive it.
"""

from keras_qa.preprocessing.choice_preprocessor import ChoicePreprocessor
from keras_qa.preprocessing.decoder import SpanDecoder
from keras_qa.preprocessing.pair_preprocessor import PairPreprocessor
from keras_qa.preprocessing.preprocessor import Preprocessor, register
from keras_qa.preprocessing.span_preprocessor import SpanPreprocessor
from keras_qa.preprocessing.token_preprocessor import TokenPreprocessor
from keras_qa.preprocessing.word_preprocessor import WordPreprocessor

__all__ = ["Preprocessor", "SpanDecoder", "SpanPreprocessor", "WordPreprocessor", "register"]

register(WordPreprocessor)
register(SpanPreprocessor)
register(TokenPreprocessor)
register(PairPreprocessor)
register(ChoicePreprocessor)
