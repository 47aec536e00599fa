"""Preprocessors: examples to model inputs, and model outputs to answers.

One class for each kind of answer. They use NumPy only; the methods that run a model receive it.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

from keras_qa._arguments import entry, must_be
from keras_qa.preprocessing.ask_options import AskOptions
from keras_qa.preprocessing.choice_preprocessor import ChoicePreprocessor
from keras_qa.preprocessing.pair_preprocessor import PairPreprocessor
from keras_qa.preprocessing.span_preprocessor import SpanPreprocessor
from keras_qa.preprocessing.token_preprocessor import TokenPreprocessor
from keras_qa.preprocessing.word_preprocessor import WordPreprocessor

__all__ = ["AskOptions", "SpanPreprocessor", "WordPreprocessor"]

Preprocessor: TypeAlias = SpanPreprocessor | WordPreprocessor | ChoicePreprocessor
AnyPreprocessor: TypeAlias = Preprocessor | PairPreprocessor

_PREPROCESSORS: dict[str, type[AnyPreprocessor]] = {
    kind.name: kind
    for kind in (
        *(WordPreprocessor, SpanPreprocessor, TokenPreprocessor),
        *(PairPreprocessor, ChoicePreprocessor),
    )
}


def serialize(preprocessor: AnyPreprocessor) -> dict[str, Any]:
    """Returns the config that `deserialize` takes."""
    return {"name": preprocessor.name, **preprocessor.get_config()}


def deserialize(config: Mapping[str, Any]) -> AnyPreprocessor:
    """Creates a preprocessor from the result of `serialize`."""
    if not isinstance(config, Mapping):
        raise ValueError(must_be("preprocessor", "an object", config))
    settings = dict(config)
    entry(settings, "name", str)
    name = settings.pop("name")
    if name not in _PREPROCESSORS:
        raise ValueError(
            f"The file has a preprocessor {name!r:.80}, but this version of keras-qa knows only "
            f"{', '.join(map(repr, _PREPROCESSORS))}. Install a newer version."
        )
    return _PREPROCESSORS[name].from_config(settings)


def pop_preprocessor(config: dict[str, Any]) -> AnyPreprocessor | None:
    """Removes the preprocessor from a model's config, of any version, and creates it."""
    # Earlier versions wrote `task`, and before that the vectorizer or the windower alone.
    keys = ("preprocessor", "task", "vectorizer", "windower", "decoder")
    found, task, vectorizer, windower, decoder = (config.pop(key, None) for key in keys)
    if found is None:
        found = task
    if vectorizer is not None:
        found = {"name": WordPreprocessor.name, "vectorizer": vectorizer}
    elif windower is not None:
        found = {"name": SpanPreprocessor.name, "vectorizer": windower, "decoder": decoder or {}}
    return None if found is None else deserialize(found)
