"""`TextEmbedder`: vectors of texts, for search by meaning."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_qa._arguments import is_integer, short_repr
from keras_qa.answering.opening import EMBEDDER, Opened, find, open_model
from keras_qa.onnx.runtime import EMBEDDING
from keras_qa.preprocessing.pair_preprocessor import PairPreprocessor
from keras_qa.text import SubwordTokenizer, Windower
from keras_qa.text.pieces import cells_of, concat_ranges


class TextEmbedder:
    """Turns texts into vectors. The dot product of two vectors is the similarity of their texts.

    A vector is the mean of the encoder's outputs over all pieces of the text, special tokens
    included, normalized to length 1. With `"minilm"` these are the vectors of `all-MiniLM-L6-v2`,
    whose weights are rounded to int8.

    Args:
        encoder: `"minilm"` or `"minilm-embed"`, which is in this package; a folder in Hugging
            Face's layout or `hf://owner/name` (extra `hf`), optionally with `@revision`; or a
            reader with a published encoder, such as a `.keras` file; or an exported folder of an
            embedder.
        max_length: Maximum number of pieces in a text, special tokens included, at most the limit
            of the encoder. The rest of the text is cut off.
        name: Name of the encoder in an index. `None` for `encoder`, with the full path of a file or
            folder; for an exported folder that of the exported embedder, if it was not a path.

    Attributes:
        dimension: Size of the vectors.
        model_: Computes the means.

    Reference:
        Reimers and Gurevych 2019, "Sentence-BERT", arXiv:1908.10084.

    Examples:
        >>> from keras_qa.answering import TextEmbedder
        >>> encoder = TextEmbedder("minilm")
        >>> vectors = encoder(["How long is the warranty?", "It lasts for two years.", "No."])
        >>> vectors.shape
        (3, 384)
    """

    def __init__(
        self,
        encoder: str | os.PathLike[str] | Opened,
        max_length: int = 256,
        name: str | None = None,
    ) -> None:
        if not isinstance(encoder, Opened):
            kind, source = find(encoder)
            encoder = open_model(source if kind == EMBEDDER else encoder)
        opened = encoder
        model, tokenizer, longest, own_name = _encoder_of(opened)
        special = len(tokenizer.before) + len(tokenizer.after)
        if not is_integer(max_length, special + 1):
            raise ValueError(
                f"`max_length` must be more than the {special} special tokens of `{own_name}`. "
                f"Received: max_length={short_repr(max_length)}."
            )
        self.max_length = min(max_length, longest or max_length)
        self.name = name or own_name
        self.tokenizer = tokenizer
        self.model_ = model
        self.dimension: int = model.width

    def __call__(self, texts: list[str], normalize: bool = True) -> npt.NDArray[np.float32]:
        """Returns the vectors of texts: `(texts, dimension)` float32.

        Each row has length 1, or with `normalize=False` that of the mean.
        """
        if not isinstance(texts, (list, tuple)) or not all(isinstance(t, str) for t in texts):
            raise TypeError(f"`texts` must be a list of strings. Received: {texts!r:.80}.")
        if not texts:
            return np.zeros((0, self.dimension), "float32")
        means = self.model_.predict(self._feed(texts), batch_size=32, verbose=0)
        if not normalize:
            return means.astype("float32")
        # Normalize in float32: the model may compute in half precision.
        return means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)

    def count_pieces(self, texts: list[str]) -> npt.NDArray[np.int64]:
        """Returns the number of pieces that are read of each text, special tokens included."""
        special = len(self.tokenizer.before) + len(self.tokenizer.after)
        counts = np.diff(self.tokenizer.pieces(texts).begins) + special
        return np.minimum(counts, self.max_length)

    def exported_parts(self) -> tuple[Any, PairPreprocessor, str, str]:
        """Returns what `onnx.export` writes: the model, its preprocessor, its task and its name."""
        preprocessor = PairPreprocessor(Windower(self.tokenizer, self.max_length))
        return self.model_, preprocessor, EMBEDDING, "" if os.path.isabs(self.name) else self.name

    def _feed(self, texts: list[str] | tuple[str, ...]) -> dict[str, np.ndarray]:
        """Returns each text as a sequence, padded to the longest."""
        pieces = self.tokenizer.pieces(texts)
        before, after = np.array(self.tokenizer.before), np.array(self.tokenizer.after)
        room = self.max_length - len(before) - len(after)
        counts = np.minimum(np.diff(pieces.begins), room)
        ends = len(before) + counts
        ids = np.zeros((len(texts), int(ends.max()) + len(after)), "int32")
        ids[:, : len(before)] = before
        cells = cells_of(np.full_like(counts, len(before)), counts)
        ids[cells] = pieces.ids[concat_ranges(pieces.begins[:-1], counts)]
        ids[np.arange(len(texts))[:, None], ends[:, None] + np.arange(len(after))] = after
        mask = (np.arange(ids.shape[1]) < (ends + len(after))[:, None]).astype("int32")
        feed = {"token_ids": ids, "segment_ids": np.zeros_like(ids), "padding_mask": mask}
        return {tensor.name: feed[tensor.name] for tensor in self.model_.inputs}


def _encoder_of(opened: Opened) -> tuple[Any, SubwordTokenizer, int | None, str]:
    """Returns a model of means, its tokenizer, its longest sequence, and its name in an index."""
    model, name = opened.model, opened.name
    windower = model.preprocessor.vectorizer
    is_embedder, layer = model.task == EMBEDDING, model.encoder
    if not (is_embedder or layer) or not isinstance(windower.tokenizer, SubwordTokenizer):
        raise ValueError(
            f"`{name[-100:]}` is not an embedder, such as `minilm-embed`, and no model with a "
            "published encoder. Pass a reader with such an encoder, or an encoder such as `minilm`."
        )
    if is_embedder:
        return model, windower.tokenizer, windower.max_length, model.name or name
    return _mean_model(layer), windower.tokenizer, getattr(layer, "max_length", None), name


def _mean_model(layer: Any) -> Any:
    """Returns a model that computes the mean of an encoder's outputs without padding."""
    import keras

    from keras_qa.layers.pretrained import MeanPooling
    from keras_qa.models import QAModel

    inputs = [keras.Input((None,), dtype="int32", name=name) for name in layer.input_names]
    mask = dict(zip(layer.input_names, inputs, strict=True))["padding_mask"]
    return QAModel(inputs, MeanPooling()([layer(inputs), mask]), name="sentence_encoder")
