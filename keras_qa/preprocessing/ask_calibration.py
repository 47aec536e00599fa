"""The options of a call that asks questions, and the calibration of `QuestionAnswerer.ask`."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypedDict

from keras_qa._arguments import check_flag, check_positive_integers, entry
from keras_qa.preprocessing.confidence import Confidence
from keras_qa.preprocessing.selective import PrecisionTable


class AskOptions(TypedDict, total=False):
    """Options of a span reader for one call. `None` keeps the reader's own setting.

    Attributes:
        max_answer_words: Maximum number of words in an answer, see `preprocessing.SpanDecoder`.
        no_answer: Whether a text may have no answer.
        whole_words: Whether answers start and end at word boundaries, rather than inside words.
        max_length: Maximum number of positions in a window, see `text.Windower`.
        stride: Number of positions that a window shares with the previous one.
        max_question_length: Maximum number of pieces in a question. The rest is cut off.
    """

    max_answer_words: int | None
    no_answer: bool | None
    whole_words: bool | None
    max_length: int | None
    stride: int | None
    max_question_length: int | None


@dataclasses.dataclass(frozen=True)
class AskCalibration(PrecisionTable):
    """The result of `QuestionAnswerer.calibrate`: default settings of `ask`, see `PrecisionTable`.

    Args:
        has_ranker: Whether the calibration had a ranker. `ask` uses the weights if it has one, too.
        passages: Number of passages that were read for each question.
        options: The options of the calibration, see `AskOptions`.
        default_ranker: Whether the ranker was `minilm-rerank`, which `ask` loads then.
    """

    confidence: Confidence
    has_ranker: bool = False
    passages: int = 10
    options: AskOptions = dataclasses.field(default_factory=AskOptions)
    default_ranker: bool = False

    def __post_init__(self) -> None:
        check_flag("has_ranker", self.has_ranker)
        check_flag("default_ranker", self.default_ranker)
        check_positive_integers(passages=self.passages)
        unknown = set(self.options) - set(AskOptions.__annotations__)
        if unknown:
            raise ValueError(f"`options` must be those of `ask`. Received: {min(unknown)!r:.80}.")
        super().__post_init__()

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> AskCalibration:
        """Creates a calibration from its config."""
        options = entry(config, "options", dict)
        confidence = Confidence.from_config(entry(config, "confidence", dict))
        tables = cls.read_tables(config)
        return cls(**{**config, **tables, "options": options, "confidence": confidence})


def check_option_names(call: Callable[..., object], options: Mapping[str, object]) -> None:
    """Raises if an option is not in `AskOptions`. The message also lists the options of `call`."""
    unknown = [name for name in options if name not in AskOptions.__annotations__]
    if unknown:
        parameters = inspect.signature(call).parameters.values()
        own = [item.name for item in parameters if item.default is not item.empty]
        names = ", ".join(f"`{name}`" for name in (*own, *AskOptions.__annotations__))
        raise TypeError(f"There is no option `{unknown[0]:.40}`. The options are {names}.")
