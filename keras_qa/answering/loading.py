"""Saved answerers."""

from __future__ import annotations

import os

from keras_qa.answering.answerer import QuestionAnswerer
from keras_qa.models import QAModel
from keras_qa.models.loading import load_model


def load(path: str | os.PathLike[str]) -> QuestionAnswerer:
    """Loads an answerer that `QuestionAnswerer.save` saved, on whichever backend.

    The file is refused, and nothing in it executed, if it is damaged or holds
    code.

    Args:
        path: The `.keras` file.

    Returns:
        A `QuestionAnswerer`. Its `fit` goes on training the loaded model.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is refused, or holds no answerer.

    Examples:
        >>> import os, tempfile, keras_qa
        >>> stories = keras_qa.datasets.babi.simulate(task=1, examples=50, seed=0)
        >>> path = os.path.join(tempfile.mkdtemp(), "qa.keras")
        >>> keras_qa.QuestionAnswerer(seed=0).fit(stories, epochs=1, verbose=0).save(path)
        >>> keras_qa.load(path)
        QuestionAnswerer(model=<answer_classifier>)
    """
    model = load_model(path)
    if not isinstance(model, QAModel) or model.task is None:
        raise ValueError(
            f"`{path}` holds a model, but no vocabulary to ask it with strings. "
            "Load it with `keras.saving.load_model`, or save a `QuestionAnswerer`."
        )
    answerer = QuestionAnswerer(model)
    answerer.model_ = model
    answerer.vectorizer_ = model.task.vectorizer
    answerer.calibration_ = {}
    return answerer
