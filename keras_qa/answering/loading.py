"""Saved answerers."""

from __future__ import annotations

import os
import pathlib
import warnings

from keras_qa.answering import adapters, preset_files
from keras_qa.answering.answerer import QuestionAnswerer
from keras_qa.models import QAModel, span_reader
from keras_qa.models.loading import load_model
from keras_qa.models.pretrained import PREFIX, find_checkpoint


def load(
    path: str | os.PathLike[str],
    compile: bool = True,
    backbone: str | os.PathLike[str] | None = None,
) -> QuestionAnswerer:
    """Loads an answerer that `QuestionAnswerer.save` saved, or a published reader.

    A file or folder is refused, and nothing in it executed, if it is damaged
    or holds code.

    Args:
        path: A `.keras` file, as `save` and `save_adapter` write it; a
            reader in Hugging Face's layout (extra `hf`): a folder, or
            `hf://owner/name`, with `@revision` or without, see
            `models.span_reader` for the families; or the name of a preset,
            see `keras_qa.presets`.
        compile: Whether a model in a `.keras` file gets its optimizer back, as in
            `keras.saving.load_model`. Without it the model answers, and `fit` is refused.
        backbone: The encoder of a file that `save_adapter` wrote: a folder, `hf://owner/name` or
            `"minilm"`. `None` for the one that the file names. If that was a folder, a folder of
            this name beside the file is looked for.

    Returns:
        A `QuestionAnswerer`, on whichever backend. Its `fit` goes on training the loaded model.
        An encoder without a head for question answering has to be trained first: a warning says
        so.

    Raises:
        FileNotFoundError: If there is no such file.
        ImportError: If a library that reads checkpoints is not installed.
        TypeError: If `backbone` is no name and no path.
        ValueError: If the file is refused, or holds no answerer; or there is no such checkpoint, or
            `backbone` is given for something else than an adapter.

    Examples:
        >>> import os, tempfile, keras_qa
        >>> stories = keras_qa.datasets.babi.simulate(task=1, examples=50, seed=0)
        >>> path = os.path.join(tempfile.mkdtemp(), "qa.keras")
        >>> keras_qa.QuestionAnswerer(seed=0).fit(stories, epochs=1, verbose=0).save(path)
        >>> keras_qa.load(path)
        QuestionAnswerer(model=<answer_classifier>)
    """
    is_published = os.fspath(path).startswith(PREFIX) or os.path.isdir(path)
    if not is_published:
        path = preset_files.find_file(path)
        if adapters.is_adapter(path):
            return _ready(adapters.load(pathlib.Path(path), backbone))
    if backbone is not None:
        raise ValueError(
            "`backbone` names the encoder of a file that `save_adapter` wrote, and "
            f"`{os.fspath(path)[-150:]}` is no such file. Leave `backbone` out."
        )
    if is_published:
        return _published(path)
    model = load_model(path, compile)
    if not isinstance(model, QAModel) or model.task is None:
        raise ValueError(
            f"`{path}` holds a model, but no vocabulary to ask it with strings. "
            "Load it with `keras.saving.load_model`, or save a `QuestionAnswerer`."
        )
    return _ready(model)


def _ready(model: QAModel) -> QuestionAnswerer:
    """An answerer that needs no training."""
    assert model.task is not None
    answerer = QuestionAnswerer(model)
    answerer.model_ = model
    answerer.vectorizer_ = model.task.vectorizer
    answerer.calibration_ = {}
    return answerer


def _published(path: str | os.PathLike[str]) -> QuestionAnswerer:
    name = os.fspath(path)
    checkpoint = find_checkpoint(name)
    if checkpoint is None:
        raise ValueError(
            f"`{name}` holds no `config.json` with a `model_type`. Expected a reader in Hugging "
            "Face's layout."
        )
    model = span_reader(backbone=checkpoint)
    if model.task is None:
        raise ValueError(
            f"`{name}` holds no tokenizer. Name it: `QuestionAnswerer(model=span_reader("
            "backbone=…, tokenizer=…))`."
        )
    if checkpoint.has_head:
        return _ready(model)
    warnings.warn(
        f"`{name}` holds an encoder without a head for question answering: train it with "
        "`fit` before it answers.",
        stacklevel=3,
    )
    return QuestionAnswerer(model)
