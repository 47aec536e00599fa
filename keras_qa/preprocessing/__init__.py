"""Preprocessors: examples to inputs and outputs to answers, one class for each kind of answer.

They use NumPy only; the methods that run a model receive it.
"""

from collections.abc import Callable, Mapping
from typing import Any

from keras_qa._arguments import entry, must_be
from keras_qa.preprocessing.choice_preprocessor import ChoicePreprocessor
from keras_qa.preprocessing.decoder import SpanDecoder
from keras_qa.preprocessing.pair_preprocessor import PairPreprocessor
from keras_qa.preprocessing.preprocessor import Model, Preprocessor
from keras_qa.preprocessing.span_preprocessor import SpanPreprocessor
from keras_qa.preprocessing.token_preprocessor import TokenPreprocessor
from keras_qa.preprocessing.word_preprocessor import WordPreprocessor

__all__ = ["Preprocessor", "SpanDecoder", "SpanPreprocessor", "WordPreprocessor", "register"]

# Each kind of answer, by the name that files give it.
PREPROCESSORS: dict[str, type[Preprocessor]] = {}

# The functions that build models, by the names that `QuestionAnswerer` takes, and their kinds of
# answer.
FACTORIES: dict[str, tuple[Callable[..., Model], type[Preprocessor]]] = {}


def register(
    preprocessor: type[Preprocessor], factories: Mapping[str, Callable[..., Model]] | None = None
) -> type[Preprocessor]:
    """Adds a kind of answer.

    Args:
        preprocessor: A subclass of `Preprocessor`. Saved models refer to it by its `name`.
        factories: Functions that build models with such answers, by the names that the argument
            `model` of `QuestionAnswerer` takes.

    Returns:
        The class.

    Raises:
        TypeError: If `preprocessor` is not a subclass of `Preprocessor`.
        ValueError: If it has no `name` or no `description`, or another class or function has the
            name.

    Examples:
        >>> from keras_qa.preprocessing import WordPreprocessor, register
        >>> class Labels(WordPreprocessor):
        ...     name = "labels"
        >>> register(Labels).name
        'labels'
    """
    if not isinstance(preprocessor, type) or not issubclass(preprocessor, Preprocessor):
        raise TypeError(must_be("preprocessor", "a subclass of `Preprocessor`", preprocessor))
    for attribute in ("name", "description"):
        if not isinstance(getattr(preprocessor, attribute, None), str):
            raise ValueError(
                f"`{preprocessor.__name__}` has no `{attribute}`. Set this attribute to a string."
            )
    name = preprocessor.name
    if PREPROCESSORS.get(name, preprocessor) is not preprocessor:
        raise ValueError(f"Another class has `name={name!r}`. Choose another name.")
    added = {other: (make, preprocessor) for other, make in (factories or {}).items()}
    for other, entries in added.items():
        if FACTORIES.get(other, entries) != entries:
            raise ValueError(f"Another factory is called {other!r}. Choose another name.")
    PREPROCESSORS[name] = preprocessor
    FACTORIES.update(added)
    return preprocessor


register(WordPreprocessor)
register(SpanPreprocessor)
register(TokenPreprocessor)
register(PairPreprocessor)
register(ChoicePreprocessor)


def find_preprocessor(model: Model) -> type[Preprocessor]:
    """Returns the kind of answers that a model gives, by its preprocessor or its outputs."""
    own = getattr(model, "preprocessor", None)
    # A model of KerasHub may have a preprocessor of another class.
    if isinstance(own, Preprocessor):
        return type(own.for_questions(model))
    return next((kind for kind in PREPROCESSORS.values() if kind.fits(model)), WordPreprocessor)


def serialize(preprocessor: Preprocessor) -> dict[str, Any]:
    """Returns the config that `deserialize` takes."""
    return {"name": preprocessor.name, **preprocessor.get_config()}


def deserialize(config: Mapping[str, Any]) -> Preprocessor:
    """Creates a preprocessor from the result of `serialize`."""
    if not isinstance(config, Mapping):
        raise ValueError(must_be("preprocessor", "an object", config))
    settings = dict(config)
    entry(settings, "name", str)
    name = settings.pop("name")
    if name not in PREPROCESSORS:
        raise ValueError(
            f"The file has a preprocessor {name!r:.80}, but this version of keras-qa knows only "
            f"{', '.join(map(repr, PREPROCESSORS))}. Install a newer version."
        )
    return PREPROCESSORS[name].from_config(settings)
