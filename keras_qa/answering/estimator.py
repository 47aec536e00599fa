"""An estimator as scikit-learn uses it, which can be saved and loaded."""

from __future__ import annotations

import contextlib
import inspect
import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from keras_qa._arguments import check_flag, to_keras_path
from keras_qa.answering.opening import (
    DEFAULT_RANKER,
    DEFAULT_READER,
    Opened,
    needs_backend,
    open_model,
)
from keras_qa.example import Example, to_examples, with_answers
from keras_qa.onnx.runtime import check_trainable
from keras_qa.preprocessing import Preprocessor
from keras_qa.preprocessing.preprocessor import SEQUENCE

if TYPE_CHECKING:
    from keras_qa.models import QAModel

# Texts with their questions.
Examples = Iterable[Example | Mapping[str, Any]]

# The answer to each example: a string, or a list of all right answers.
Answers = Sequence[str | Sequence[str]]


class SaveMixin:
    """Saves a model in each of its formats."""

    model_: QAModel

    def save(self, path: str | os.PathLike[str], keep_optimizer: bool = False) -> None:
        """Saves weights, vocabulary and settings as one `.keras` file, for any backend.

        The path must end in `.keras`, and the answerer must be fitted. The optimizer of a loaded
        file starts anew. With `keep_optimizer` it continues; Adam's state makes a file three times
        as large. The default ranker of `minilm-squad` belongs to its name: a copy has none, unless
        it was calibrated with `minilm-rerank`.
        """
        check_flag("keep_optimizer", keep_optimizer)
        model, _ = self._fitted()
        path = to_keras_path("path", path)
        check_trainable(model)
        # Not at the top: it needs Keras.
        from keras_qa.engine.compiling import without_optimizer_state

        with contextlib.nullcontext() if keep_optimizer else without_optimizer_state(model):
            model.save(path)

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Saves a model on a published encoder as a checkpoint in Hugging Face's layout.

        `keras_qa.load`, and `AutoTokenizer` and the model's class in `transformers`, such as
        `AutoModelForQuestionAnswering`, read the folder. Settings that are not weights, such as the
        calibration of scores, are only saved by `save`.

        Raises:
            ImportError: If the `safetensors` library is missing.
            ValueError: If the model was not created from a checkpoint or was quantized.
        """
        model, _ = self._fitted()
        check_trainable(model)
        # Not at the top: it needs Keras.
        from keras_qa.models.pretrained.checkpoint_writer import save_pretrained

        save_pretrained(model, folder)

    def save_adapter(self, path: str | os.PathLike[str]) -> None:
        """Saves the weights that `fit(…, lora_rank=…)` trained, without the encoder.

        The file contains the name of the encoder, without its path, and a checksum of its weights.
        If the encoder is a folder, pass it as `keras_qa.load("mine.keras", backbone="folder/")`, or
        put it next to the file.

        Raises:
            ImportError: If a library that reads checkpoints is not installed.
            ValueError: If the path does not end in `.keras`, the model was not trained with LoRA,
                or its encoder has other changes. Use `save` for such a reader.
        """
        from keras_qa.models import adapters

        adapters.save(self._fitted()[0], to_keras_path("path", path))

    def _fitted(self) -> tuple[QAModel, Preprocessor]:
        raise NotImplementedError


class Estimator(SaveMixin):
    """Stores the arguments of its constructor unchanged, in attributes of the same names.

    `fit` checks them, and stores its results in attributes that end in `_`. It does not import
    scikit-learn.
    """

    seed: int | None
    calibration_: dict[str, float]
    ranker_: str | None

    @classmethod
    def from_preset(
        cls,
        path: str | os.PathLike[str],
        compile: bool = True,
        backbone: str | os.PathLike[str] | None = None,
    ) -> Self:
        """Loads an answerer by the name of a preset, a file or a folder, see `keras_qa.load`."""
        return cls._from_opened(open_model(path, compile, backbone), os.fspath(path))

    @classmethod
    def _from_opened(cls, opened: Opened, name: str) -> Self:
        model = opened.model
        if model.task == SEQUENCE:
            raise ValueError(
                f"`{name[-150:]}` holds a ranker, which answers no questions. Load it with "
                "`keras_qa.load` and call its `rank`."
            )
        model.preprocessor = model.preprocessor.for_questions(model)
        answerer = cls(model)  # type: ignore[call-arg]
        if opened.is_trained:
            answerer._set_model(model)
            asking = model.preprocessor.asking
            is_tuned = opened.name == DEFAULT_READER if asking is None else asking.default_ranker
            # An exported reader needs no Keras, unlike the ranker.
            if is_tuned and needs_backend(opened.name):
                answerer.ranker_ = DEFAULT_RANKER
        else:
            warnings.warn(
                f"`{name}` holds an encoder without a head for question answering. "
                "Train it with `fit` before it answers.",
                stacklevel=3,
            )
        return answerer

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Returns the constructor's arguments. `deep` has no effect: none is an estimator."""
        return {name: getattr(self, name) for name in self._defaults()}

    def set_params(self, **params: Any) -> Self:
        """Sets arguments of the constructor for the next `fit`, and returns the answerer."""
        names = self._defaults()
        for name in params:
            if name not in names:
                raise ValueError(
                    f"There is no argument `{name}`. Expected: "
                    f"{', '.join(f'`{other}`' for other in names)}."
                )
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")

    def __sklearn_tags__(self) -> Any:
        # scikit-learn calls this method, so it is installed.
        from sklearn.utils import InputTags, Tags, TargetTags

        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=False),
            input_tags=InputTags(two_d_array=False, string=True),
            non_deterministic=self.seed is None,
        )

    def __repr__(self) -> str:
        shown = []
        for name, default in self._defaults().items():
            value = getattr(self, name)
            if value != default:
                is_model = hasattr(value, "layers")
                shown.append(f"{name}=<{value.name}>" if is_model else f"{name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"

    @classmethod
    def _defaults(cls) -> dict[str, Any]:
        parameters = inspect.signature(cls).parameters
        return {name: parameter.default for name, parameter in parameters.items()}

    def _set_model(self, model: QAModel) -> None:
        assert model.preprocessor is not None
        self.model_ = model
        self.vectorizer_ = model.preprocessor.vectorizer
        self.calibration_ = {}
        self.ranker_ = None


def to_validation_examples(
    data: Examples | tuple[Examples, Answers] | None,
) -> list[Example] | None:
    """Returns the validation data of `fit` as examples."""
    if data is None:
        return None
    # A tuple of two examples is not a pair of examples and answers.
    is_pair = isinstance(data, tuple) and len(data) == 2
    if is_pair and not isinstance(data[0], (Example, Mapping)):  # type: ignore[index]
        examples, answers = data
        return with_answers(to_examples(examples), answers, "`y` of `validation_data`")  # type: ignore[arg-type]
    return to_examples(data)  # type: ignore[arg-type]
