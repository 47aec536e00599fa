"""Encoders as BERT and its kin have them, made by their settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

import keras
import numpy as np
from keras import ops

from keras_qa._arguments import check_positive_integers
from keras_qa.kernels.tensor_types import Shape, Tensor
from keras_qa.layers.composite import Composite
from keras_qa.layers.dense import Dense
from keras_qa.layers.dropout import Dropout
from keras_qa.layers.embedding import Embedding
from keras_qa.layers.options import LayerOptions
from keras_qa.layers.pretrained import as_wide_as
from keras_qa.layers.self_attention import STDDEV, TERMS, dense, log_buckets, t5_buckets
from keras_qa.layers.transformer_block import TransformerBlock, activation_of, norm
from keras_qa.layers.transformer_settings import check_settings


@keras.saving.register_keras_serializable(package="keras_qa")
class TransformerEncoder(Composite):
    """Reads a sequence as a published encoder does: a vector for each position.

    With the defaults it is BERT (Devlin et al. 2019, arXiv:1810.04805). Its kin differ by their
    settings: ALBERT shares blocks, ELECTRA's table of tokens is narrower than its vectors, RoBERTa
    counts positions from another number, MPNet and DeBERTa see distances, ModernBERT turns
    (arXiv:1909.11942, 2003.10555, 1907.11692, 2004.09297, 2006.03654, 2412.13663).
    `models.span_reader` makes one of a checkpoint.

    Args:
        vocabulary_size: Number of token ids.
        num_layers: Number of blocks that a sequence goes through.
        num_heads: Number of heads of the attention.
        hidden_dim: Width of the vectors.
        intermediate_dim: Width between the two dense layers of a block.
        embedding_dim: Width of the tables, projected to `hidden_dim`. `None`
            for `hidden_dim`, without a projection.
        max_length: Longest sequence.
        position_offset: Row of the table of positions for the first one.
        num_segments: Number of segment ids. With 1 the one row is added
            everywhere; 0 for none.
        num_groups: Number of blocks with weights of their own; the others
            share theirs with the one before. `None` for all.
        activation: Of the dense layers: `"gelu"`, `"gelu_tanh"`, which
            approximates it, or a name that Keras knows.
        layer_norm_epsilon: Added to variances.
        dropout: Fraction dropped in training, of the embeddings and of what
            is added in a block.
        attention_dropout: Fraction of the attention weights dropped in
            training.
        absolute_positions: Whether positions have vectors of their own.
        relative_positions: What distances between positions add to attention:
            `"bias"`, a number a head and bucket; `"disentangled"`, vectors;
            `None` for nothing.
        num_buckets: Number of buckets of distances. `None` for one a distance,
            where they are disentangled.
        max_distance: Longest distance that disentangled attention tells apart.
        relative_terms: Terms of disentangled attention, of `"c2p"` and `"p2c"`.
        relative_norm: Whether the vectors of distances are normalised.
        modern: Whether blocks are as ModernBERT's: normalised before
            attention and dense layers, the last one after them too; with gated
            units and no biases.
        wavelengths: Longest wavelength of rotary positions, for each layer.
            `None` for none.
        windows: How far each layer sees in either direction, 0 for
            everywhere. `None` for everywhere in all of them.
        final_dense: Whether a dense layer with the activation, and a
            normalisation, stand at the end.
        checkpoint: The `config.json` of the checkpoint that it was made of,
            by which it is written as one. `None` where there is none.
        **kwargs: `name`, `dtype` and `trainable`, as in `keras.layers.Layer`.

    Call arguments:
        inputs: A list of `(batch, time)` integers, in the order of `input_names`. Those that are
            shorter than the first are taken to go on with zeros. Where `padding_mask` is 0 there
            is nothing to attend to.
        training: Whether dropout applies.

    Output shape: `(batch, time, hidden_dim)`.

    Attributes:
        input_names: `token_ids`, `segment_ids` where there are several, `padding_mask`.

    Raises:
        ValueError: If an argument is out of its range, or a sequence is longer than `max_length`.

    Examples:
        >>> import numpy as np
        >>> from keras_qa.layers import TransformerEncoder
        >>> encoder = TransformerEncoder(100, num_layers=2, num_heads=2, hidden_dim=8)
        >>> ids = np.ones((2, 5), "int32")
        >>> tuple(encoder([ids, ids * 0, ids]).shape)
        (2, 5, 8)
    """

    ignores_padding = True
    # Whether to leave XLA out where it is not Keras' own choice.
    has_large_products = True

    def __init__(
        self,
        vocabulary_size: int,
        num_layers: int = 12,
        num_heads: int = 12,
        hidden_dim: int = 768,
        intermediate_dim: int = 3072,
        embedding_dim: int | None = None,
        max_length: int = 512,
        position_offset: int = 0,
        num_segments: int = 2,
        num_groups: int | None = None,
        activation: str = "gelu",
        layer_norm_epsilon: float = 1e-12,
        dropout: float = 0.1,
        attention_dropout: float = 0.1,
        absolute_positions: bool = True,
        relative_positions: str | None = None,
        num_buckets: int | None = None,
        max_distance: int = 512,
        relative_terms: Sequence[str] = TERMS,
        relative_norm: bool = False,
        modern: bool = False,
        wavelengths: Sequence[float] | None = None,
        windows: Sequence[int] | None = None,
        final_dense: bool = False,
        checkpoint: Mapping[str, Any] | None = None,
        **kwargs: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**kwargs)
        self.settings: dict[str, Any] = {
            "vocabulary_size": vocabulary_size,
            "num_layers": num_layers,
            "num_heads": num_heads,
            "hidden_dim": hidden_dim,
            "intermediate_dim": intermediate_dim,
            "embedding_dim": embedding_dim,
            "max_length": max_length,
            "position_offset": position_offset,
            "num_segments": num_segments,
            "num_groups": num_groups,
            "activation": activation,
            "layer_norm_epsilon": layer_norm_epsilon,
            "dropout": dropout,
            "attention_dropout": attention_dropout,
            "absolute_positions": absolute_positions,
            "relative_positions": relative_positions,
            "num_buckets": num_buckets,
            "max_distance": max_distance,
            "relative_terms": list(relative_terms),
            "relative_norm": relative_norm,
            "modern": modern,
            "wavelengths": None if wavelengths is None else list(wavelengths),
            "windows": None if windows is None else list(windows),
            "final_dense": final_dense,
            "checkpoint": None if checkpoint is None else dict(checkpoint),
        }
        check_settings(self.settings)
        self.vocabulary_size = int(vocabulary_size)
        self.max_length = int(max_length)
        self.hidden_dim = int(hidden_dim)
        self.num_segments = int(num_segments)
        self.input_names = ["token_ids", "padding_mask"]
        if num_segments > 1:
            self.input_names.insert(1, "segment_ids")
        self._make_embeddings()
        self._make_blocks()

    def _make_embeddings(self) -> None:
        s, policy = self.settings, self.dtype_policy
        width = s["embedding_dim"] or s["hidden_dim"]

        def table(size: int, units: int, name: str) -> Embedding:
            initializer = keras.initializers.TruncatedNormal(stddev=STDDEV)
            return Embedding(size, units, initializer, dtype=policy, name=name)

        self.tokens = table(s["vocabulary_size"], width, "tokens")
        self.positions: Any = None
        self.segments: Any = None
        self.project: Any = None
        self.relative: Any = None
        self.relative_norm: Any = None
        if s["absolute_positions"]:
            rows = s["max_length"] + s["position_offset"]
            self.positions = table(rows, width, "positions")
        if s["num_segments"]:
            self.segments = table(s["num_segments"], width, "segments")
        self.norm = norm("norm", s["layer_norm_epsilon"], s["modern"], policy)
        if s["embedding_dim"] is not None:
            self.project = dense(s["hidden_dim"], "project", True, policy)
        if s["relative_positions"] == "bias":
            self.relative = table(s["num_buckets"], s["num_heads"], "relative")
        if s["relative_positions"] == "disentangled":
            self.relative = table(2 * self._span, s["hidden_dim"], "relative")
            if s["relative_norm"]:
                epsilon = s["layer_norm_epsilon"]
                self.relative_norm = norm("relative_norm", epsilon, s["modern"], policy)
        self.drop = Dropout(s["dropout"], dtype=policy, name="drop")

    def _make_blocks(self) -> None:
        s, policy = self.settings, self.dtype_policy
        terms = s["relative_terms"] if s["relative_positions"] == "disentangled" else ()
        self.blocks = [
            TransformerBlock(
                s["num_heads"],
                s["hidden_dim"],
                s["intermediate_dim"],
                s["activation"],
                s["dropout"],
                s["attention_dropout"],
                s["layer_norm_epsilon"],
                s["modern"],
                # ModernBERT's first one reads what is normalised already.
                place > 0,
                s["wavelengths"][place] if s["wavelengths"] else None,
                terms,
                dtype=policy,
                name=f"block_{place}",
            )
            for place in range(s["num_groups"] or s["num_layers"])
        ]
        self.final_norm: Any = None
        self.final_dense: Any = None
        self.final_dense_norm: Any = None
        if s["modern"]:
            self.final_norm = norm("final_norm", s["layer_norm_epsilon"], True, policy)
        if s["final_dense"]:
            self.activate = activation_of(s["activation"])
            self.final_dense = dense(s["hidden_dim"], "final_dense", not s["modern"], policy)
            self.final_dense_norm = norm(
                "final_dense_norm", s["layer_norm_epsilon"], s["modern"], policy
            )

    @property
    def _span(self) -> int:
        """Rows of the table of distances, of each direction."""
        return self.settings["num_buckets"] or self.settings["max_distance"]

    @property
    def vocabulary_sizes(self) -> list[int | None]:
        """Number of ids of each input."""
        sizes = {
            "token_ids": self.vocabulary_size,
            "segment_ids": self.num_segments,
            "padding_mask": 2,
        }
        return [sizes[name] for name in self.input_names]

    @property
    def lora_rank(self) -> int | None:
        """Rank of what `enable_lora` has added, or `None`."""
        return self.blocks[0].hidden.lora_rank

    @property
    def lora_layers(self) -> list[Dense]:
        """The dense layers of the blocks, which `enable_lora` adapts."""
        return [
            layer
            for block in self.blocks
            for layer in (
                block.attention.projection,
                block.attention.output_projection,
                block.hidden,
                block.output_dense,
            )
        ]

    def enable_lora(self, rank: int, lora_alpha: float | None = None) -> None:
        """Leaves to training a product of two narrow matrices beside each one, and biases.

        Low-rank adaptation (Hu et al. 2022, arXiv:2106.09685) of all dense layers of the blocks.
        Tables and normalisations are frozen. A model that was compiled has to be compiled again.

        Args:
            rank: Width between the two matrices.
            lora_alpha: Scale of their product, over `rank`. `None` for `rank`.

        Raises:
            ValueError: If `rank` is no size, or there is such a product already.
        """
        check_positive_integers(rank=rank)
        if self.lora_rank is not None:
            raise ValueError(
                f"The encoder has LoRA of rank {self.lora_rank} already. Train it as it is, or "
                "load the encoder anew."
            )
        for layer in self.lora_layers:
            layer.enable_lora(rank, lora_alpha=lora_alpha)
        ends = (self.project, self.final_dense, self.relative_norm, self.final_norm)
        tables = (self.tokens, self.positions, self.segments, self.relative)
        norms = [
            norm for block in self.blocks for norm in (block.attention_norm, block.output_norm)
        ]
        for layer in (*tables, *ends, *norms, self.norm, self.final_dense_norm):
            if layer is not None:
                layer.trainable = False

    def build(self, input_shape: Sequence[Shape] | None = None) -> None:
        inner = (None, None, self.settings["embedding_dim"] or self.hidden_dim)
        outer = (None, None, self.hidden_dim)
        for layer in (self.tokens, self.positions, self.segments, self.relative):
            if layer is not None:
                layer.build((None, None))
        for layer in (self.norm, self.project):
            if layer is not None:
                layer.build(inner)
        ends = (self.relative_norm, self.final_norm, self.final_dense, self.final_dense_norm)
        for layer in (*self.blocks, *ends):
            if layer is not None:
                layer.build(outer)
        self.built = True

    def call(self, inputs: Sequence[Tensor], training: bool | None = None) -> Tensor:
        ids, *others = inputs
        self._check_length(ids.shape[1])
        others = as_wide_as(ids, others)
        places = ops.arange(ops.shape(ids)[1])
        state = self._embeddings(ids, places, others, training)
        present = ops.cast(others[-1], "bool")[:, None, None, :]
        biases: dict[int, Tensor] = {}
        shared = self._bias_of_distances(places)
        distances = self._distances(places)
        windows = self.settings["windows"] or [0] * self.settings["num_layers"]
        each = self.settings["num_layers"] // len(self.blocks)
        for place, window in enumerate(windows):
            if window not in biases:
                near = present
                if window:
                    far = ops.abs(places[None, :] - places[:, None])
                    near = ops.logical_and(present, far <= window)
                bias = ops.where(near, 0.0, _lowest(self.compute_dtype))
                bias = bias if shared is None else bias + ops.cast(shared, bias.dtype)
                biases[window] = ops.cast(bias, self.compute_dtype)
            state = self.blocks[place // each](
                state, biases[window], distances=distances, training=training
            )
        if self.final_norm is not None:
            state = self.final_norm(state)
        if self.final_dense is not None:
            state = self.activate(self.final_dense(state))
            state = self.final_dense_norm(state)
        return state

    def _check_length(self, length: int | None) -> None:
        if length is not None and length > self.max_length:
            raise ValueError(
                f"A sequence has {length} positions, but the encoder knows {self.max_length}. "
                "Give shorter ones, or read a text in windows, as `text.Windower` cuts it."
            )

    def _embeddings(
        self, ids: Tensor, places: Tensor, others: Sequence[Tensor], training: bool | None
    ) -> Tensor:
        state = self.tokens(ids)
        if self.positions is not None:
            offset = self.settings["position_offset"]
            state = state + self.positions(places + offset)
        if self.segments is not None:
            which = others[0] if self.num_segments > 1 else ops.zeros_like(ids)
            state = state + self.segments(which)
        state = self.drop(self.norm(state), training=training)
        return state if self.project is None else self.project(state)

    def _bias_of_distances(self, places: Tensor) -> Tensor | None:
        if self.settings["relative_positions"] != "bias":
            return None
        rows = self._rows(places, t5_buckets(self._all, self.settings["num_buckets"]))
        return ops.transpose(self.relative(rows), (2, 0, 1))[None]

    def _distances(self, places: Tensor) -> tuple[Tensor, Tensor] | None:
        if self.settings["relative_positions"] != "disentangled":
            return None
        buckets, span = self._all, self._span
        if self.settings["num_buckets"]:
            buckets = log_buckets(buckets, span, self.settings["max_distance"])
        # Of the other direction.
        rows = self._rows(places, np.clip(buckets[::-1] + span, 0, 2 * span - 1))
        table = self.relative(ops.arange(2 * span))
        if self.relative_norm is not None:
            table = self.relative_norm(table)
        return table, rows

    @property
    def _all(self) -> np.ndarray:
        """Every distance that there can be."""
        return np.arange(1 - self.max_length, self.max_length)

    def _rows(self, places: Tensor, buckets: np.ndarray) -> Tensor:
        table = ops.convert_to_tensor(buckets.astype("int32"))
        return ops.take(table, places[None, :] - places[:, None] + (self.max_length - 1))

    def compute_output_spec(
        self, inputs: Sequence[keras.KerasTensor], training: bool | None = None
    ) -> keras.KerasTensor:
        self._check_length(inputs[0].shape[1])
        return keras.KerasTensor((*inputs[0].shape, self.hidden_dim), self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.settings}


def _lowest(dtype: str) -> float:
    # Two of them are still finite.
    return -3e4 if dtype == "float16" else -1e9
