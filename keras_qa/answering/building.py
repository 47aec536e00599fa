"""Models and preprocessors for training examples. Needs Keras: imported by `fit` only."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import keras

from keras_qa import models
from keras_qa._arguments import check_fraction, to_optional_integer
from keras_qa.decoding import SpanDecoder
from keras_qa.example import Example
from keras_qa.execution import graph
from keras_qa.inputs.labels import answer_of
from keras_qa.models import QAModel, SpanReader
from keras_qa.models.choice_ranker import ChoiceRanker
from keras_qa.models.compiling import Optimizer, recompile
from keras_qa.models.encoder_classifier import as_token_reader, labels_tokens
from keras_qa.models.pretrained import transformer_of
from keras_qa.models.reader import enable_lora
from keras_qa.objectives import SpanLoss
from keras_qa.preprocessing import AskOptions, Preprocessor, SpanPreprocessor, WordPreprocessor
from keras_qa.preprocessing.choice_preprocessor import ChoicePreprocessor
from keras_qa.preprocessing.pair_preprocessor import PairPreprocessor
from keras_qa.preprocessing.token_preprocessor import TokenPreprocessor
from keras_qa.text import Vectorizer, Windower, WordTokenizer, WordVectors

FACTORIES: dict[str, Callable[..., QAModel]] = {
    "answer_classifier": models.answer_classifier,
    "choice_ranker": models.choice_ranker,
    "memory_network": models.memory_network,
    "span_reader": models.span_reader,
    "universal_transformer": models.universal_transformer,
}

# Number of words of pretrained vectors that are added to the vocabulary.
VECTOR_WORDS = 100_000

PreprocessorClass = type[SpanPreprocessor] | type[WordPreprocessor] | type[ChoicePreprocessor]

# Word vectors, or their file.
Vectors = WordVectors | str | os.PathLike[str]

_KINDS: dict[PreprocessorClass, str] = {
    WordPreprocessor: "models that answer with words of a vocabulary",
    SpanPreprocessor: 'span readers (model="span_reader")',
    ChoicePreprocessor: 'choice rankers (model="choice_ranker")',
}
# The kinds that read texts in windows.
_WINDOWED: dict[str, type[SpanPreprocessor] | type[ChoicePreprocessor]] = {
    "span_reader": SpanPreprocessor,
    "choice_ranker": ChoicePreprocessor,
}


def preprocessor_class(model: str | keras.Model) -> PreprocessorClass:
    """Returns the class of a model's preprocessor, or the class that fits its outputs."""
    if isinstance(model, keras.Model):
        if labels_tokens(model):
            return TokenPreprocessor
        preprocessor = getattr(model, "preprocessor", None)
        if isinstance(preprocessor, PairPreprocessor):
            raise ValueError(
                f"`model` must answer questions, but `{model.name}` {preprocessor.description}. "
                "Pass a reader, or use this model with `answering.Ranker`."
            )
        # A model of KerasHub may have a preprocessor of another class.
        if isinstance(preprocessor, Preprocessor):
            return type(preprocessor)
        if isinstance(model, ChoiceRanker):
            return ChoicePreprocessor
        is_reader = isinstance(model.output, Mapping) and sorted(model.output) == ["end", "start"]
        return SpanPreprocessor if is_reader else WordPreprocessor
    if model not in FACTORIES:
        raise ValueError(
            f"`model` must be a `keras.Model` or one of {', '.join(map(repr, FACTORIES))}. "
            f"Received: model={model!r}."
        )
    return _WINDOWED.get(model, WordPreprocessor)


def check_options(options: Mapping[str, Any]) -> None:
    """Raises if an option of `QuestionAnswerer` is out of range or does not apply to the model."""
    model = options["model"]
    expected = preprocessor_class(model)
    given = f"model={model!r}"
    if isinstance(model, keras.Model):
        given = f"the model `{model.name}`"
        for name in ("model_options", "vectors"):
            if options[name]:
                raise ValueError(
                    f"`{name}` is for a factory, but `model` is already built. Pass the options "
                    "to the function that builds it."
                )
    for other, kind in _KINDS.items():
        for name in other.options:
            if name not in expected.options and options[name] is not None:
                raise ValueError(
                    f"`{name}` is for {kind}, but {given} {expected.description}. Leave it out."
                )
    for name in ("vocabulary_size", "answer_vocabulary_size", "max_length", "max_answer_words"):
        to_optional_integer(name, options[name])
    to_optional_integer("stride", options["stride"], least=0)
    if options["no_answer_threshold"] is not None:
        check_fraction("no_answer_threshold", options["no_answer_threshold"])
    if not isinstance(options["model_options"], (Mapping, type(None))):
        raise TypeError(
            "`model_options` must be a mapping of arguments for the factory. Received: "
            f"model_options={options['model_options']!r}."
        )


def make_model(examples: list[Example], options: Mapping[str, Any]) -> tuple[QAModel, Preprocessor]:
    """Builds or wraps the model of a `QuestionAnswerer`, and returns it with its preprocessor."""
    seed = to_optional_integer("seed", options["seed"], least=0, most=2**32 - 1)
    if seed is not None:
        keras.utils.set_random_seed(seed)
    model = options["model"]
    if isinstance(model, keras.Model):
        return _wrap_model(model, examples, options)
    settings = dict(options["model_options"] or {})
    make = _build_reader if model in _WINDOWED else _build_word_model
    return make(model, examples, settings, options)


def change_training(
    model: QAModel,
    optimizer: Optimizer | Callable[[int], Optimizer] | None,
    feed: Any,
    lora_rank: int | None,
) -> None:
    """Compiles a model again for another optimizer, see `QuestionAnswerer.fit`, and for LoRA."""
    if callable(optimizer) and not isinstance(optimizer, keras.optimizers.Optimizer):
        optimizer = optimizer(len(keras.tree.flatten(feed)[0]))
    if lora_rank is not None:
        enable_lora(transformer_of(model), lora_rank)
    if optimizer is not None or lora_rank is not None:
        recompile(model, optimizer or model.optimizer)


def _wrap_model(
    model: keras.Model, examples: list[Example], options: Mapping[str, Any]
) -> tuple[QAModel, Preprocessor]:
    """Turns a user's model into a `QAModel`, and returns it with its preprocessor.

    A model without a preprocessor gets a new one, with a vocabulary from the examples.
    """
    kind = preprocessor_class(model)
    wrapped: QAModel
    if isinstance(model, ChoiceRanker):
        wrapped = model
    elif kind is TokenPreprocessor:
        wrapped = as_token_reader(model)
    else:
        wrapped = (_wrap_reader if kind is SpanPreprocessor else _wrap_word_model)(model)
    if isinstance(wrapped.preprocessor, Preprocessor):
        for name in ("vocabulary_size", "answer_vocabulary_size"):
            if options[name] is not None:
                raise ValueError(
                    f"`{name}` is for models without a vocabulary, but the model "
                    f"`{wrapped.name}` has one. Leave it out, or pass the name of a factory as "
                    "`model`."
                )
        return wrapped, wrapped.preprocessor.with_options(wrapped, **_window_options(options))
    names = sorted(tensor.name for tensor in wrapped.inputs)
    if names not in (["question", "text"], ["choices", "question", "text"]):
        raise ValueError(
            "`model` must have the inputs `text` and `question`, or a `preprocessor` that makes "
            f"its inputs {', '.join(f'`{name}`' for name in names)}. Build it with "
            "`models.span_reader(backbone=…, tokenizer=…)`, or set its `preprocessor` to a "
            "`preprocessing.SpanPreprocessor`."
        )
    known = graph.smallest_vocabulary(wrapped, options["vocabulary_size"])
    if kind is not WordPreprocessor:
        tokenizer = WordTokenizer.train(_texts(kind, examples), known)
        return wrapped, _windowed_preprocessor(wrapped, tokenizer, options)
    classes = answer_of(wrapped.output).shape[-1]
    answers = min(options["answer_vocabulary_size"] or classes, classes)
    vectorizer = Vectorizer(known, answers, sentences=_reads_sentences(wrapped))
    return wrapped, WordPreprocessor(vectorizer.adapt(examples))


def _build_word_model(
    name: str, examples: list[Example], settings: dict[str, Any], options: Mapping[str, Any]
) -> tuple[QAModel, Preprocessor]:
    sizes = options["vocabulary_size"], options["answer_vocabulary_size"]
    vectorizer = Vectorizer(*sizes).adapt(examples)
    assert vectorizer.tokenizer is not None
    words = vectorizer.tokenizer.vocabulary_size
    found = {"text_vocabulary_size": words, "answer_vocabulary_size": len(vectorizer.answers)}
    if name == "answer_classifier":
        # The other models have one table for the words of texts and questions.
        found["question_vocabulary_size"] = words
    model = FACTORIES[name](**found, **settings)
    vectorizer.sentences = _reads_sentences(model)
    return model, WordPreprocessor(vectorizer)


def _build_reader(
    name: str, examples: list[Example], settings: dict[str, Any], options: Mapping[str, Any]
) -> tuple[QAModel, Preprocessor]:
    kind, vectors = _WINDOWED[name], options["vectors"]
    if settings.get("backbone") is not None:
        for option in ("vectors", "vocabulary_size"):
            if options[option] is not None:
                raise ValueError(
                    f"`{option}` is for a reader from scratch, but `model_options` has a "
                    "`backbone` with a vocabulary of its own. Leave one of them out."
                )
        model = FACTORIES[name](**settings)
        if not isinstance(model.preprocessor, (SpanPreprocessor, ChoicePreprocessor)):
            raise ValueError(
                "The backbone's tokenizer is unknown. Pass its `tokenizer.json` or the folder of "
                'this file: `model_options={"backbone": …, "tokenizer": …}`.'
            )
        return model, model.preprocessor.with_options(model, **_window_options(options))
    tokenizer, settings = _train_tokenizer(
        _texts(kind, examples), options["vocabulary_size"], vectors, settings
    )
    model = FACTORIES[name](tokenizer.vocabulary_size, **settings)
    return model, _windowed_preprocessor(model, tokenizer, options)


def _texts(kind: PreprocessorClass, examples: list[Example]) -> list[str]:
    """Returns the texts that make the vocabulary of a model."""
    texts = [text for item in examples for text in (item.plain_text, item.question)]
    if kind is ChoicePreprocessor:
        texts += [choice for item in examples for choice in item.choices]
    return texts


def _train_tokenizer(
    texts: list[str],
    vocabulary_size: int | None,
    vectors: Vectors | None,
    settings: dict[str, Any],
) -> tuple[WordTokenizer, dict[str, Any]]:
    """Returns a tokenizer for the words of texts and vectors, and the model's settings."""
    if vectors is None:
        return WordTokenizer.train(texts, vocabulary_size), settings
    if not isinstance(vectors, WordVectors):
        vectors = WordVectors.load(vectors)
    tokenizer = WordTokenizer.train(texts + vectors.words[:VECTOR_WORDS], vocabulary_size)
    return tokenizer, {**settings, "word_vectors": vectors.table(tokenizer)}


def _window_options(options: Mapping[str, Any]) -> AskOptions:
    return AskOptions(max_length=options["max_length"], stride=options["stride"])


def _windowed_preprocessor(
    model: QAModel, tokenizer: WordTokenizer, options: Mapping[str, Any]
) -> SpanPreprocessor | ChoicePreprocessor:
    """Returns the preprocessor of a model from scratch that reads texts in windows."""
    preprocessor: SpanPreprocessor | ChoicePreprocessor
    if isinstance(model, ChoiceRanker):
        preprocessor = ChoicePreprocessor(Windower(tokenizer))
    else:
        types = model.answer_types if isinstance(model, SpanReader) else ()
        preprocessor = SpanPreprocessor(Windower(tokenizer), SpanDecoder(answer_types=types))
    return preprocessor.with_options(model, **_window_options(options))


def _wrap_reader(model: keras.Model) -> QAModel:
    if isinstance(model, SpanReader):
        return model
    reader = SpanReader(model.inputs, dict(model.output), name=model.name)
    losses = {name: SpanLoss() for name in ("start", "end")}
    return _compiled_as(reader, model, optimizer="adam", loss=losses)


def _wrap_word_model(model: keras.Model) -> QAModel:
    names = [tensor.name for tensor in model.inputs]
    several = len(model.outputs) != 1
    if several and isinstance(model.output, Mapping):
        several = sorted(model.output) != ["answer", "support"]
    if sorted(names) != ["question", "text"] or several:
        raise ValueError(
            "`model` must have the inputs `text` and `question` and one output, or a dict of "
            "the outputs `answer` and `support`, or of `start` and `end`. Received: "
            f"inputs {', '.join(f'`{name}`' for name in names)} and "
            f"{len(model.outputs)} outputs."
        )
    if isinstance(model, QAModel):
        return model
    outputs = model.output if isinstance(model.output, Mapping) else model.outputs[0]
    wrapped = QAModel(inputs=model.inputs, outputs=outputs, name=model.name)
    loss = "sparse_categorical_crossentropy"
    return _compiled_as(wrapped, model, optimizer="rmsprop", loss=loss, metrics=["accuracy"])


def _compiled_as(model: QAModel, other: keras.Model, **otherwise: Any) -> QAModel:
    """Compiles a model like another one, or with arguments if that is not compiled."""
    if other.compiled:
        model.compile_from_config(other.get_compile_config())
    else:
        model.compile(**otherwise)
    return model


def _reads_sentences(model: keras.Model) -> bool:
    return any(tensor.name == "text" and len(tensor.shape) == 3 for tensor in model.inputs)
