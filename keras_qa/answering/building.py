"""Models for the words and answers of some examples, each with its task."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import keras

from keras_qa import models
from keras_qa._arguments import check_fraction, to_optional_integer
from keras_qa.example import Example
from keras_qa.execution import graph
from keras_qa.inputs.labels import answer_of
from keras_qa.models import QAModel, SpanReader
from keras_qa.models.options import Optimizer
from keras_qa.objectives import SpanLoss
from keras_qa.tasks import AskOptions, SpanTask, Task, WordTask
from keras_qa.text import SubwordTokenizer, Vectorizer, Windower, WordTokenizer, WordVectors

FACTORIES: dict[str, Callable[..., QAModel]] = {
    "answer_classifier": models.answer_classifier,
    "memory_network": models.memory_network,
    "span_reader": models.span_reader,
    "universal_transformer": models.universal_transformer,
}

# Of pretrained vectors, so many of the first words are known beside those trained on.
VECTOR_WORDS = 100_000
LENGTH, OVERLAP = 384, 128

TaskClass = type[SpanTask] | type[WordTask]

# Word vectors, or a file of them.
Vectors = WordVectors | str | os.PathLike[str]

_KINDS: dict[TaskClass, str] = {
    WordTask: "models that answer with words of a vocabulary",
    SpanTask: 'readers of spans (model="span_reader")',
}


def task_of(model: str | keras.Model) -> TaskClass:
    """Which task a model is for: the one it has, or else what its outputs say.

    Args:
        model: Name of a factory, or a functional model.

    Returns:
        The class of the task.

    Raises:
        ValueError: If there is no such factory.
    """
    if isinstance(model, keras.Model):
        task = getattr(model, "task", None)
        if task is not None:
            return cast(TaskClass, type(task))
        return SpanTask if _marks_spans(model) else WordTask
    if model not in FACTORIES:
        raise ValueError(
            f"`model` must be a `keras.Model` or one of {', '.join(map(repr, FACTORIES))}. "
            f"Received: model={model!r}."
        )
    return SpanTask if model == "span_reader" else WordTask


def check_options(options: Mapping[str, Any]) -> None:
    """Raises where an option is out of its range, or for models of another kind.

    Args:
        options: The options of `QuestionAnswerer`.

    Raises:
        TypeError: If `model_options` are no mapping.
        ValueError: If another option is wrong. It is named.
    """
    model = options["model"]
    task = task_of(model)
    given = f"model={model!r}"
    if isinstance(model, keras.Model):
        given = f"the model `{model.name}`"
        for name in ("model_options", "vectors"):
            if options[name]:
                raise ValueError(
                    f"`{name}` are for a factory, but `model` is a model already. "
                    "Pass the options where you build it."
                )
    for other, kind in _KINDS.items():
        for name in other.options:
            if name not in task.options and options[name] is not None:
                raise ValueError(f"`{name}` is for {kind}, but {given} {task.does}. Leave it out.")
    for name in ("vocabulary_size", "answer_vocabulary_size", "length", "max_answer_words"):
        to_optional_integer(name, options[name])
    to_optional_integer("overlap", options["overlap"], least=0)
    if options["no_answer_threshold"] is not None:
        check_fraction("no_answer_threshold", options["no_answer_threshold"])
    if not isinstance(options["model_options"], (Mapping, type(None))):
        raise TypeError(
            "`model_options` must be a mapping of arguments for the factory. Received: "
            f"model_options={options['model_options']!r}."
        )


def build(model: str, examples: list[Example], options: Mapping[str, Any]) -> tuple[QAModel, Task]:
    """Builds a model for the words and answers of some examples.

    Args:
        model: Name of its factory.
        examples: The examples.
        options: The options of `QuestionAnswerer`.

    Returns:
        A compiled model, and its task.
    """
    settings = dict(options["model_options"] or {})
    make = _build_reader if task_of(model) is SpanTask else _build_for_words
    return make(model, examples, settings, options)


def adopt(
    model: keras.Model, examples: list[Example], options: Mapping[str, Any]
) -> tuple[QAModel, Task]:
    """Makes a user's model one that strings can be fed to.

    Args:
        model: A functional model. A `QAModel` is returned as it is.
        examples: The examples. A model without a task learns its words from them.
        options: The options of `QuestionAnswerer`.

    Returns:
        A compiled model, and its task: the one that it has, with the windows that the options
        ask for, or a new one.

    Raises:
        ValueError: If its inputs and outputs are those of no task, or an option cannot be applied
            to it.
    """
    adopted = (_adopt_reader if task_of(model) is SpanTask else _adopt_for_words)(model)
    if adopted.task is not None:
        for name in ("vocabulary_size", "answer_vocabulary_size"):
            if options[name] is not None:
                raise ValueError(
                    f"`{name}` is for models without a vocabulary, but the model "
                    f"`{adopted.name}` has one. Leave it out, or pass the name of a factory as "
                    "`model`."
                )
        windows = AskOptions(length=options["length"], overlap=options["overlap"])
        return adopted, asked_with(adopted, adopted.task, windows)
    names = sorted(tensor.name for tensor in adopted.inputs)
    if names != ["question", "text"]:
        raise ValueError(
            "`model` must have the inputs `text` and `question`, or a `task` that makes its "
            f"inputs {', '.join(f'`{name}`' for name in names)}. Build it by "
            "`keras_qa.models.span_reader(backbone=…, tokenizer=…)`, or set the `task` of a "
            "`SpanReader` to a `keras_qa.tasks.SpanTask`."
        )
    known = graph.smallest_vocabulary(adopted, options["vocabulary_size"])
    if task_of(adopted) is SpanTask:
        texts = (text for item in examples for text in (item.plain_text, item.question))
        tokenizer = WordTokenizer.train(texts, known)
        return adopted, SpanTask(_windower(adopted, tokenizer, options))
    classes = answer_of(adopted.output).shape[-1]
    answers = min(options["answer_vocabulary_size"] or classes, classes)
    vectorizer = Vectorizer(known, answers, sentences=_reads_sentences(adopted))
    return adopted, WordTask(vectorizer.adapt(examples))


def asked_with(model: QAModel, task: Task, options: AskOptions) -> Task:
    """A model's way of answering, but for what some options ask.

    Raises:
        ValueError: If an option is out of its range, or for models of another kind.
    """
    task = task.asked_with(**options)
    if isinstance(task, SpanTask):
        check_length(model, task.vectorizer.length)
    return task


def recompile(model: QAModel, optimizer: Optimizer) -> None:
    """Compiles a model as it is, but with another optimizer, which starts anew."""
    optimizer = keras.optimizers.get(optimizer)
    if optimizer.built:
        # Its moments are those of other weights, or of another training.
        optimizer = optimizer.from_config(optimizer.get_config())
    # Not through its configuration, which lacks what is excluded from weight decay.
    compiled = keras.saving.deserialize_keras_object(model.get_compile_config())
    del compiled["optimizer_built"]
    model.compile(**{**compiled, "optimizer": optimizer})
    optimizer.build(model.trainable_variables)


def _build_for_words(
    name: str, examples: list[Example], settings: dict[str, Any], options: Mapping[str, Any]
) -> tuple[QAModel, Task]:
    sizes = options["vocabulary_size"], options["answer_vocabulary_size"]
    vectorizer = Vectorizer(*sizes).adapt(examples)
    assert vectorizer.tokenizer is not None
    words = vectorizer.tokenizer.vocabulary_size
    found = {"text_vocabulary_size": words, "answer_vocabulary_size": len(vectorizer.answers)}
    if name == "answer_classifier":
        # The others look up the words of both in one table.
        found["question_vocabulary_size"] = words
    model = FACTORIES[name](**found, **settings)
    vectorizer.sentences = _reads_sentences(model)
    return model, WordTask(vectorizer)


def _build_reader(
    name: str, examples: list[Example], settings: dict[str, Any], options: Mapping[str, Any]
) -> tuple[QAModel, Task]:
    vectors = options["vectors"]
    if settings.get("backbone") is not None:
        for option in ("vectors", "vocabulary_size"):
            if options[option] is not None:
                raise ValueError(
                    f"`{option}` is for a reader from scratch, but `model_options` name a "
                    "backbone, which has its own. Leave one of them out."
                )
        model = FACTORIES[name](**settings)
        if model.task is None:
            raise ValueError(
                "The backbone's tokenizer is not known. Give its `tokenizer.json`, or the folder "
                'that holds it: `model_options={"backbone": …, "tokenizer": …}`.'
            )
        tokenizer = model.task.vectorizer.tokenizer
    else:
        tokenizer, settings = _words_of(examples, options["vocabulary_size"], vectors, settings)
        model = FACTORIES[name](tokenizer.vocabulary_size, **settings)
    return model, SpanTask(_windower(model, tokenizer, options))


def _words_of(
    examples: Iterable[Example],
    vocabulary_size: int | None,
    vectors: Vectors | None,
    settings: dict[str, Any],
) -> tuple[WordTokenizer, dict[str, Any]]:
    """A tokenizer for the words of examples and vectors, and settings with the vectors' table."""
    texts = [text for item in examples for text in (item.plain_text, item.question)]
    if vectors is None:
        return WordTokenizer.train(texts, vocabulary_size), settings
    if not isinstance(vectors, WordVectors):
        vectors = WordVectors.load(vectors)
    tokenizer = WordTokenizer.train(texts + vectors.words[:VECTOR_WORDS], vocabulary_size)
    return tokenizer, {**settings, "word_vectors": vectors.table(tokenizer)}


def _windower(
    model: QAModel, tokenizer: WordTokenizer | SubwordTokenizer, options: Mapping[str, Any]
) -> Windower:
    longest = model.task.vectorizer.length if model.task is not None else LENGTH
    overlap = OVERLAP if options["overlap"] is None else options["overlap"]
    windower = Windower(tokenizer, options["length"] or longest, overlap)
    check_length(model, windower.length)
    return windower


def check_length(model: QAModel, length: int) -> None:
    """Raises if windows are longer than a model can read.

    Raises:
        ValueError: If `length` is above the `max_length` of a layer.
    """
    limit = next((layer.max_length for layer in model.layers if hasattr(layer, "max_length")), None)
    if limit is not None and length > limit:
        raise ValueError(
            f"`length` is {length}, but the backbone reads {limit} positions at "
            "most. Make it shorter."
        )


def _adopt_reader(model: keras.Model) -> QAModel:
    if isinstance(model, SpanReader):
        return model
    reader = SpanReader(model.inputs, dict(model.output), name=model.name)
    losses = {name: SpanLoss() for name in ("start", "end")}
    return _compiled_as(reader, model, optimizer="adam", loss=losses)


def _adopt_for_words(model: keras.Model) -> QAModel:
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
    adopted = QAModel(inputs=model.inputs, outputs=outputs, name=model.name)
    loss = "sparse_categorical_crossentropy"
    return _compiled_as(adopted, model, optimizer="rmsprop", loss=loss, metrics=["accuracy"])


def _compiled_as(model: QAModel, other: keras.Model, **otherwise: Any) -> QAModel:
    """Compiles a model as another one is, or where that is not compiled with some arguments."""
    if other.compiled:
        model.compile_from_config(other.get_compile_config())
    else:
        model.compile(**otherwise)
    return model


def _marks_spans(model: keras.Model) -> bool:
    return isinstance(model.output, Mapping) and sorted(model.output) == ["end", "start"]


def _reads_sentences(model: keras.Model) -> bool:
    return any(tensor.name == "text" and len(tensor.shape) == 3 for tensor in model.inputs)
