"""Models and preprocessors for training examples. Needs Keras: imported by `fit` only."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from typing import Any

import keras

from keras_qa import models
from keras_qa._arguments import check_fraction, to_optional_integer
from keras_qa.answering.opening import ADAPTER, FILE, find, open_model
from keras_qa.engine import graph
from keras_qa.engine.compiling import Optimizer, recompile, resolve_optimizer
from keras_qa.example import Example
from keras_qa.layers.classification_head import transformer_of
from keras_qa.losses import SpanLoss
from keras_qa.models import QAModel
from keras_qa.models.reader import SpanReader, enable_lora
from keras_qa.preprocessing import SpanPreprocessor, WordPreprocessor, register
from keras_qa.preprocessing.ask_calibration import AskOptions
from keras_qa.preprocessing.choice_preprocessor import ChoicePreprocessor
from keras_qa.preprocessing.preprocessor import (
    FACTORIES,
    PREPROCESSORS,
    Preprocessor,
    find_preprocessor,
)
from keras_qa.text import WordVectors


def _answer_classifier(text_vocabulary_size: int, **options: Any) -> QAModel:
    # The other models have one table for the words of texts and questions.
    return models.answer_classifier(text_vocabulary_size, text_vocabulary_size, **options)


register(
    WordPreprocessor,
    {
        "answer_classifier": _answer_classifier,
        "memory_network": models.memory_network,
        "universal_transformer": models.universal_transformer,
    },
)
register(SpanPreprocessor, {"span_reader": models.span_reader})
register(ChoicePreprocessor, {"multiple_choice": models.multiple_choice})

# Number of words of pretrained vectors that are added to the vocabulary.
VECTOR_WORDS = 100_000

# Word vectors, or their file.
Vectors = WordVectors | str | os.PathLike[str]


def preprocessor_class(model: str | keras.Model) -> type[Preprocessor]:
    """Returns the kind of answers of a factory or a model."""
    if isinstance(model, keras.Model):
        return find_preprocessor(model)
    if model not in FACTORIES:
        raise ValueError(
            f"`model` must be a `keras.Model` or one of {', '.join(map(repr, FACTORIES))}. "
            f"Received: model={model!r}."
        )
    return FACTORIES[model][1]


def check_options(options: Mapping[str, Any]) -> None:
    """Raises if an option of `QuestionAnswerer` is out of range or does not apply to the model."""
    model = options["model"]
    expected = preprocessor_class(model)
    shown = f"model={model!r}"
    if isinstance(model, keras.Model):
        shown = f"the model `{model.name}`"
        for name in ("model_options", "vectors"):
            if options[name]:
                raise ValueError(
                    f"`{name}` is for a factory, but `model` is already built. Pass the options "
                    "to the function that builds it."
                )
    for other in PREPROCESSORS.values():
        for name in other.options:
            if name not in expected.options and options.get(name) is not None:
                raise ValueError(
                    f"`{name}` is for {other.kind}, but {shown} {expected.description}. Leave it "
                    "out."
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
    is_built = isinstance(options["model"], keras.Model)
    model, preprocessor = (_wrap_model if is_built else _build_model)(examples, options)
    window = AskOptions(max_length=options["max_length"], stride=options["stride"])
    return model, preprocessor.with_options(model, **window)


def _build_model(
    examples: list[Example], options: Mapping[str, Any]
) -> tuple[QAModel, Preprocessor]:
    """Builds a model on a published encoder, or from scratch with a vocabulary of the examples."""
    make, kind = FACTORIES[options["model"]]
    settings = dict(options["model_options"] or {})
    if settings.get("backbone") is not None:
        for option in ("vectors", "vocabulary_size"):
            if options[option] is not None:
                raise ValueError(
                    f"`{option}` is for a reader from scratch, but `model_options` has a "
                    "`backbone` with a vocabulary of its own. Leave one of them out."
                )
        model = build_on_trained(options["model"], settings) or make(**settings)
        if model.preprocessor is None:
            raise ValueError(
                "The backbone's tokenizer is unknown. Pass its `tokenizer.json` or the folder of "
                'this file: `model_options={"backbone": …, "tokenizer": …}`.'
            )
        return model, model.preprocessor
    vectors = options["vectors"]
    if vectors is not None and not isinstance(vectors, WordVectors):
        vectors = WordVectors.load(vectors)
    words = [] if vectors is None else vectors.words[:VECTOR_WORDS]
    sizes = options["vocabulary_size"], options["answer_vocabulary_size"]
    preprocessor = kind.train(examples, sizes, words)
    if vectors is not None:
        settings["word_vectors"] = vectors.table(preprocessor.vectorizer.tokenizer)
    model = make(**preprocessor.sizes(), **settings)
    preprocessor.attach(model)
    return model, preprocessor


def build_on_trained(model: str, settings: Mapping[str, Any]) -> QAModel | None:
    """Builds a `multiple_choice` on a ranker or a reader, or returns `None` for other backbones."""
    backbone = settings["backbone"]
    if model != "multiple_choice":
        return None
    if isinstance(backbone, (str, os.PathLike)):
        # A missing file is an error of the factory.
        with contextlib.suppress(FileNotFoundError):
            if find(backbone)[0] in (ADAPTER, FILE):
                backbone = open_model(backbone, compile=False).model
    if not isinstance(backbone, keras.Model):
        return None
    return models.multiple_choice(**{**settings, "backbone": backbone})


def change_training(
    model: QAModel,
    optimizer: Optimizer | Callable[[int], Optimizer] | None,
    feed: Any,
    lora_rank: int | None,
) -> None:
    """Compiles a model again for another optimizer, see `QuestionAnswerer.fit`, and for LoRA."""
    optimizer = resolve_optimizer(optimizer, len(keras.tree.flatten(feed)[0]))
    if lora_rank is not None:
        enable_lora(transformer_of(model), lora_rank)
    if optimizer is not None or lora_rank is not None:
        recompile(model, optimizer or model.optimizer)


def _wrap_model(
    examples: list[Example], options: Mapping[str, Any]
) -> tuple[QAModel, Preprocessor]:
    """Turns a user's model into a `QAModel`, and returns it with its preprocessor.

    A model without a preprocessor gets a new one, with a vocabulary from the examples.
    """
    kind = preprocessor_class(options["model"])
    wrapped = _as_qa_model(options["model"])
    preprocessor = wrapped.preprocessor
    if preprocessor is not None:
        for name in ("vocabulary_size", "answer_vocabulary_size"):
            if options[name] is not None:
                raise ValueError(
                    f"`{name}` is for models without a vocabulary, but the model "
                    f"`{wrapped.name}` has one. Leave it out, or pass the name of a factory as "
                    "`model`."
                )
        wrapped.preprocessor = preprocessor = preprocessor.for_questions(wrapped)
        return wrapped, preprocessor
    names = sorted(tensor.name for tensor in wrapped.inputs)
    if names not in (["question", "text"], ["choices", "question", "text"]):
        raise ValueError(
            "`model` must have the inputs `text` and `question`, or a `preprocessor` that makes "
            f"its inputs {', '.join(f'`{name}`' for name in names)}. Build it with "
            "`models.span_reader(backbone=…, tokenizer=…)`, or set its `preprocessor` to a "
            "`preprocessing.SpanPreprocessor`."
        )
    vocabulary = graph.smallest_vocabulary(wrapped, options["vocabulary_size"])
    sizes = options["answer_vocabulary_size"], _number_of_answers(wrapped)
    answers = min((size for size in sizes if size is not None), default=None)
    preprocessor = kind.train(examples, (vocabulary, answers), [])
    preprocessor.attach(wrapped)
    return wrapped, preprocessor


def _number_of_answers(model: QAModel) -> int | None:
    """Returns the width of the output of answers, or `None` if there is none."""
    outputs = model.output if isinstance(model.output, Mapping) else {"answer": model.output}
    return outputs["answer"].shape[-1] if "answer" in outputs else None


def _as_qa_model(model: keras.Model) -> QAModel:
    """Returns a model that reads strings as it is, and any other one as a `QAModel`."""
    if isinstance(model, QAModel) and (model.preprocessor or model.preprocessor_name):
        return model
    names = [tensor.name for tensor in model.inputs]
    outputs = sorted(model.output) if isinstance(model.output, Mapping) else []
    if outputs == ["end", "start"]:
        reader = SpanReader(model.inputs, dict(model.output), name=model.name)
        losses = {name: SpanLoss() for name in outputs}
        return _compiled_as(reader, model, optimizer="adam", loss=losses)
    is_known = outputs == ["answer", "support"] or len(model.outputs) == 1
    if sorted(names) != ["question", "text"] or not is_known:
        raise ValueError(
            "`model` must have the inputs `text` and `question` and one output, or a dict of "
            "the outputs `answer` and `support`, or of `start` and `end`. Received: "
            f"inputs {', '.join(f'`{name}`' for name in names)} and "
            f"{len(model.outputs)} outputs."
        )
    if isinstance(model, QAModel):
        return model
    wrapped = QAModel(model.inputs, model.output if outputs else model.outputs[0], name=model.name)
    loss = "sparse_categorical_crossentropy"
    return _compiled_as(wrapped, model, optimizer="rmsprop", loss=loss, metrics=["accuracy"])


def _compiled_as(model: QAModel, other: keras.Model, **otherwise: Any) -> QAModel:
    """Compiles a model like another one, or with arguments if that is not compiled."""
    if other.compiled:
        model.compile_from_config(other.get_compile_config())
    else:
        model.compile(**otherwise)
    return model
