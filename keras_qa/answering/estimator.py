"""The interface of a scikit-learn estimator, without importing scikit-learn."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import keras

from keras_qa._arguments import accept_old_names
from keras_qa.example import Example, to_examples, with_answers

# The answer to each example: a string, or a list of all right answers.
Answers = Sequence[str | Sequence[str]]


class Estimator:
    """Stores the arguments of its constructor unchanged, in attributes of the same names.

    `fit` checks them, and stores its results in attributes that end in `_`.
    """

    seed: int | None
    model_: keras.Model

    def answer(self, *args: Any, **options: Any) -> Any:
        """Answers questions, see `QuestionAnswerer.answer`."""
        raise NotImplementedError

    def evaluate(self, *args: Any, **options: Any) -> dict[str, float]:
        """Measures how many answers are right, see `QuestionAnswerer.evaluate`."""
        raise NotImplementedError

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Returns the constructor's arguments.

        Args:
            deep: Has no effect, because no argument is an estimator.
        """
        return {name: getattr(self, name) for name in self._defaults()}

    @accept_old_names
    def set_params(self, **params: Any) -> Self:
        """Sets arguments of the constructor for the next `fit`.

        Args:
            **params: The arguments by name.

        Returns:
            The answerer itself.

        Raises:
            ValueError: If a name is unknown.
        """
        for name in params:
            if name not in self._defaults():
                raise ValueError(
                    f"There is no argument `{name}`. Expected: "
                    f"{', '.join(f'`{known}`' for known in self._defaults())}."
                )
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def predict(self, examples: Iterable[Example | Mapping[str, Any]]) -> list[str]:
        """Answers the questions of examples.

        Args:
            examples: As in `fit`. Their answers may be missing.

        Returns:
            The best answer to each question, as a string. It is empty if a span reader finds no
            answer.

        Raises:
            TypeError: As `fit`.
            ValueError: If the answerer is not fitted.
        """
        return [answer.text for answer in self.answer(to_examples(examples), verbose=0)]

    def score(
        self,
        examples: Iterable[Example | Mapping[str, Any]],
        y: Answers | None = None,
    ) -> float:
        """Measures the share of right answers.

        Args:
            examples: As in `fit`.
            y: As in `fit`.

        Returns:
            `exact_match` of `evaluate` as a fraction between 0 and 1.

        Raises:
            ValueError: As `evaluate`.
        """
        data = with_answers(to_examples(examples), y)
        return self.evaluate(data, verbose=0)["exact_match"] / 100.0

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
        for name, value in self.get_params().items():
            if value != self._defaults()[name]:
                model = isinstance(value, keras.Model)
                shown.append(f"{name}=<{value.name}>" if model else f"{name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"

    @classmethod
    def _defaults(cls) -> dict[str, Any]:
        parameters = inspect.signature(cls).parameters
        return {name: parameter.default for name, parameter in parameters.items()}
