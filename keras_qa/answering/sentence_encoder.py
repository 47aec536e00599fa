"""Texts as vectors, to be compared: what an index needs to search by more than words."""

from __future__ import annotations

import os
import pathlib
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from keras_qa._arguments import is_integer, short_repr
from keras_qa.answering.loading import load
from keras_qa.layers import MeanPooling, PretrainedEncoder, TransformerEncoder
from keras_qa.models import QAModel, span_reader
from keras_qa.models.pretrained import PREFIX, find_checkpoint
from keras_qa.text import SubwordTokenizer
from keras_qa.text.pieces import concat_ranges


class SentenceEncoder:
    """Turns texts into vectors: alike where they mean the same, by the product of two.

    The vectors of an encoder, one a piece, are averaged over all pieces, special tokens included,
    and brought to length 1. With `"minilm"` these are the vectors of `all-MiniLM-L6-v2`. Others
    are as good as what they were trained for: take one that was trained so, by the mean.

    Args:
        encoder: `"minilm"` (extra `minilm`); a folder in Hugging Face's layout or
            `hf://owner/name` (extra `hf`), with `@revision` or without; or a saved reader that
            stands on an encoder, such as a `.keras` file.
        max_length: Most pieces of a text, special tokens included; fewer where the encoder takes
            no more. What is beyond is cut off.
        name: What an index calls the encoder. `None` for what `encoder` says, a path in full.

    Attributes:
        name: What an index calls the encoder.
        max_length: Most pieces of a text.
        dimension: Width of the vectors.

    Raises:
        FileNotFoundError: If there is no such file.
        ImportError: If a library that reads checkpoints, or the package of `minilm`, is missing.
        ValueError: If it cannot be loaded, has no tokenizer, or stands on no encoder; or if
            `max_length` leaves no room for a text.

    Reference:
        Reimers and Gurevych 2019, "Sentence-BERT", arXiv:1908.10084.

    Examples:
        >>> from keras_qa.answering import SentenceEncoder
        >>> encoder = SentenceEncoder("minilm-squad-small")
        >>> vectors = encoder(["How long is the warranty?", "It lasts for two years.", "No."])
        >>> vectors.shape
        (3, 384)
    """

    def __init__(
        self, encoder: str | os.PathLike[str], max_length: int = 256, name: str | None = None
    ) -> None:
        given = os.fspath(encoder)
        layer, tokenizer = _loaded(given)
        special = len(tokenizer.before) + len(tokenizer.after)
        if not is_integer(max_length, special + 1):
            raise ValueError(
                f"`max_length` must be more than the {special} special tokens of `{given}`. "
                f"Received: max_length={short_repr(max_length)}."
            )
        self.max_length = min(max_length, getattr(layer, "max_length", None) or max_length)
        self.name = name or _name(given)
        self._tokenizer = tokenizer
        self._model = _averaged(layer)
        self.dimension: int = self._model.output.shape[-1]

    def __call__(self, texts: list[str]) -> npt.NDArray[np.float32]:
        """Gives the vectors of texts.

        Args:
            texts: The texts.

        Returns:
            `(texts, dimension)` float32, each row of length 1.

        Raises:
            TypeError: If `texts` is no list of strings.
        """
        if not isinstance(texts, (list, tuple)) or not all(isinstance(t, str) for t in texts):
            raise TypeError(f"`texts` must be a list of strings. Received: {texts!r:.80}.")
        if not texts:
            return np.zeros((0, self.dimension), "float32")
        found = self._model.predict(self._feed(texts), batch_size=32, verbose=0)
        # Where an encoder is of half precision, lengths are not.
        return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)

    def _feed(self, texts: list[str] | tuple[str, ...]) -> dict[str, np.ndarray]:
        """Each text as one sequence, as wide as the longest."""
        tokenizer = self._tokenizer
        pieces = tokenizer.pieces(texts)
        before, after = np.array(tokenizer.before), np.array(tokenizer.after)
        room = self.max_length - len(before) - len(after)
        counts = np.minimum(np.diff(pieces.begins), room)
        ends = len(before) + counts
        rows = np.arange(len(texts))
        ids = np.zeros((len(texts), int(ends.max()) + len(after)), "int32")
        ids[:, : len(before)] = before
        columns = len(before) + concat_ranges(np.zeros_like(counts), counts)
        ids[np.repeat(rows, counts), columns] = pieces.ids[
            concat_ranges(pieces.begins[:-1], counts)
        ]
        ids[rows[:, None], ends[:, None] + np.arange(len(after))] = after
        mask = (np.arange(ids.shape[1]) < (ends + len(after))[:, None]).astype("int32")
        feed = {"token_ids": ids, "segment_ids": np.zeros_like(ids), "padding_mask": mask}
        return {tensor.name: feed[tensor.name] for tensor in self._model.inputs}


def _loaded(name: str) -> tuple[Any, SubwordTokenizer]:
    """An encoder and its tokenizer, by the name of a checkpoint or of a saved reader."""
    checkpoint = find_checkpoint(name)
    model = span_reader(backbone=checkpoint) if checkpoint is not None else load(name).model_
    tokenizer = getattr(getattr(model.task, "vectorizer", None), "tokenizer", None)
    kinds = (TransformerEncoder, PretrainedEncoder)
    layer = next((item for item in model.layers if isinstance(item, kinds)), None)
    if checkpoint is not None and tokenizer is None:
        raise ValueError(f"`{name}` holds no tokenizer. Put its `tokenizer.json` into the folder.")
    if layer is None or not isinstance(tokenizer, SubwordTokenizer):
        raise ValueError(
            f"`{name}` stands on no published encoder, whose vectors could be compared. Name a "
            "reader that does, or an encoder such as `minilm`."
        )
    return layer, tokenizer


def _name(given: str) -> str:
    """A name by which it is found from any folder."""
    there = not given.startswith(PREFIX) and os.path.exists(os.path.expanduser(given))
    return str(pathlib.Path(given).expanduser().resolve()) if there else given


def _averaged(layer: Any) -> QAModel:
    """A model that gives the mean of an encoder's vectors where there is no padding."""
    inputs = [keras.Input((None,), dtype="int32", name=name) for name in layer.input_names]
    mask = dict(zip(layer.input_names, inputs, strict=True))["padding_mask"]
    return QAModel(inputs, MeanPooling()([layer(inputs), mask]), name="sentence_encoder")
