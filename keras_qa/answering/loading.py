"""`load` and `presets`: saved answerers and rankers, published ones, and presets."""

from __future__ import annotations

import os
from typing import Literal, overload

from keras_qa.answering.answerer import QuestionAnswerer
from keras_qa.answering.opening import EMBEDDER, find, open_model
from keras_qa.answering.reranker import Reranker
from keras_qa.answering.text_embedder import TextEmbedder
from keras_qa.data.presets import PRESETS
from keras_qa.onnx.runtime import EMBEDDING
from keras_qa.preprocessing.preprocessor import SEQUENCE


@overload
def load(path: Literal["minilm-embed"]) -> TextEmbedder: ...  # type: ignore[overload-overlap]


@overload
def load(path: Literal["minilm-rerank", "minilm-verify"]) -> Reranker: ...  # type: ignore[overload-overlap]


@overload
def load(
    path: str | os.PathLike[str],
    compile: bool = ...,
    backbone: str | os.PathLike[str] | None = ...,
) -> QuestionAnswerer: ...


def load(
    path: str | os.PathLike[str],
    compile: bool = True,
    backbone: str | os.PathLike[str] | None = None,
) -> QuestionAnswerer | Reranker | TextEmbedder:
    """Loads an answerer or a ranker from a file, a published one, or a preset.

    A damaged file, or one that contains code, raises an error, and nothing in it is executed.

    Args:
        path: A `.keras` file, as `save` and `save_adapter` write it; a model in Hugging Face's
            layout (extra `hf`), which is a folder or `hf://owner/name`, optionally with
            `@revision`: a reader, a token classifier with two labels, outside and inside an answer,
            or a ranker, a sequence classifier with one label; a folder that `keras_qa.onnx.export`
            wrote, or a graph in it, which needs no Keras (extra `onnx`); or the name of a preset,
            see `keras_qa.presets`.
        compile: Whether to restore the optimizer of a `.keras` file, as in
            `keras.saving.load_model`. Without it the model answers, but `fit` raises an error.
        backbone: The encoder of a file that `save_adapter` wrote: a folder, `hf://owner/name` or
            `"minilm"`. `None` for the one that the file names, or a folder of that name beside it.

    Returns:
        A `QuestionAnswerer`, for a ranker an `answering.Reranker`, for an embedder an
        `answering.TextEmbedder`. `fit` trains the model further. The LoRA matrices of an adapter
        are merged into the weights of its encoder. An encoder without a head gives a warning and
        must be trained first. A model of an exported folder cannot be trained or saved.

    Raises:
        FileNotFoundError: If the file does not exist.
        ImportError: If a library that reads checkpoints is not installed.
        ValueError: If the file is damaged or holds no answerer, or the checkpoint does not exist.

    Examples:
        >>> import os, tempfile, keras_qa
        >>> stories = keras_qa.datasets.babi.simulate(task=1, examples=50, seed=0)
        >>> path = os.path.join(tempfile.mkdtemp(), "qa.keras")
        >>> keras_qa.QuestionAnswerer(seed=0).fit(stories, epochs=1, verbose=0).save(path)
        >>> keras_qa.load(path)
        QuestionAnswerer(model=<answer_classifier>)
    """
    if find(path)[0] == EMBEDDER:
        return TextEmbedder(path)
    opened = open_model(path, compile, backbone)
    if opened.model.task == EMBEDDING:
        return TextEmbedder(opened)
    if opened.model.task == SEQUENCE:
        return Reranker(opened.model)
    return QuestionAnswerer._from_opened(opened, os.fspath(path))


def presets() -> dict[str, str]:
    """Returns a description of each preset of `keras_qa.load` by its name, see docs/presets.md.

    Examples:
        >>> import keras_qa
        >>> "minilm-squad" in keras_qa.presets()
        True
    """
    return dict(PRESETS)
