"""The encoder of BERT and similar published models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

import keras
from keras import ops

from keras_qa._arguments import to_integer
from keras_qa.layers.base_layer import (
    BaseLayer,
    LayerOptions,
    argument_names,
    inner_layers,
    to_plain,
)
from keras_qa.layers.keras_layers import Dense, Dropout, Embedding, LayerNormalization
from keras_qa.layers.kernels.tensor_types import Shape, Tensor
from keras_qa.layers.pretrained import pad_to_width, sizes_of_inputs
from keras_qa.layers.transformer_block import (
    STDDEV,
    TERMS,
    TransformerBlock,
    get_activation,
    make_dense,
    make_norm,
)
from keras_qa.layers.transformer_settings import (
    check_settings,
    rows_of_pairs,
    table_size,
)


@keras.saving.register_keras_serializable(package="keras_qa")
class TransformerEncoder(BaseLayer):
    """The encoder of a published model such as BERT: token ids in, a vector for each position out.

    The defaults are BERT's (Devlin et al. 2019, arXiv:1810.04805). The arguments also describe
    ALBERT (arXiv:1909.11942), ELECTRA (2003.10555), RoBERTa (1907.11692), MPNet (2004.09297),
    DeBERTa (2006.03654) and ModernBERT (2412.13663). `models.span_reader` makes an encoder from a
    checkpoint.

    Args:
        vocabulary_size: Number of token ids.
        num_layers: Number of blocks.
        num_heads: Number of heads of the attention.
        hidden_dim: Width of the output vectors.
        intermediate_dim: Width of the hidden dense layer of a block.
        embedding_dim: Width of the embeddings, projected to `hidden_dim`. `None`
            for `hidden_dim`, without a projection.
        max_length: Longest sequence.
        position_offset: Row of the position embeddings for the first position.
        num_segments: Number of segment ids. With 1 the one row is added everywhere; 0 for none.
        num_groups: Number of blocks with weights of their own; consecutive
            blocks share them. `None` for `num_layers`.
        activation: Activation of the dense layers: `"gelu"`, its
            approximation `"gelu_tanh"`, or a name known to Keras.
        layer_norm_epsilon: Added to variances.
        dropout: Fraction of the embeddings and of the outputs of attention and
            dense layers dropped in training.
        attention_dropout: Fraction of the attention weights dropped in training.
        absolute_positions: Whether there are position embeddings.
        relative_positions: What relative positions add to the attention
            scores: `"bias"`, a number for each head and bucket (T5, MPNet);
            `"disentangled"`, products with embeddings (DeBERTa); `None`.
        num_buckets: Number of buckets of relative positions. `None`, for
            `"disentangled"` only, gives each distance its own embedding.
        max_distance: Longest distance that disentangled attention distinguishes.
        relative_terms: Terms of disentangled attention: `"c2p"` (content to
            position) and `"p2c"` (position to content).
        relative_norm: Whether embeddings of relative positions are normalised.
        pre_norm: Whether layer normalisation comes before attention and dense
            layers, and after the last block, instead of after each of them.
        gated: Whether the dense layers of a block are a gated linear unit.
        use_bias: Whether dense layers and normalisations of blocks have a bias.
        wavelengths: Longest wavelength, over 2π, of rotary position embeddings in each layer
            (`rope_theta` in Hugging Face's configs). `None` for no rotary positions.
        windows: Farthest distance that each layer attends to, 0 for no limit.
            `None` for no limit in any layer.
        final_dense: Whether a dense layer with the activation and a
            normalisation follow the last block.
        checkpoint: The `config.json` of the checkpoint, needed to save the
            encoder in Hugging Face's layout. `None` without a checkpoint.
        **kwargs: `name`, `dtype` and `trainable`, as in `keras.layers.Layer`.

    Call arguments:
        inputs: A list of `(batch, time)` integers, in the order of `input_names`. Inputs that are
            shorter than the first one are padded with zeros. Positions where `padding_mask` is 0
            are not attended to.
        training: Whether dropout applies.

    Output shape: `(batch, time, hidden_dim)`.

    Attributes:
        input_names: `token_ids`, `segment_ids` if `num_segments` is above 1, and `padding_mask`.

    Examples:
        >>> import numpy as np
        >>> from keras_qa.layers import TransformerEncoder
        >>> encoder = TransformerEncoder(100, num_layers=2, num_heads=2, hidden_dim=8)
        >>> ids = np.ones((2, 5), "int32")
        >>> tuple(encoder([ids, ids * 0, ids]).shape)
        (2, 5, 8)
    """

    ignores_padding = True
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
        pre_norm: bool = False,
        gated: bool = False,
        use_bias: bool = True,
        wavelengths: Sequence[float] | None = None,
        windows: Sequence[int] | None = None,
        final_dense: bool = False,
        checkpoint: Mapping[str, Any] | None = None,
        **kwargs: Unpack[LayerOptions],
    ) -> None:
        arguments = locals()
        super().__init__(**kwargs)
        self.settings: dict[str, Any] = {
            name: to_plain(arguments[name]) for name in argument_names(TransformerEncoder)
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
        rows = s["max_length"] + s["position_offset"]
        kind = s["relative_positions"]

        def table(size: int, units: int, name: str) -> Embedding:
            initializer = keras.initializers.TruncatedNormal(stddev=STDDEV)
            return Embedding(size, units, initializer, dtype=policy, name=name)

        self.tokens = table(s["vocabulary_size"], width, "tokens")
        self.positions = table(rows, width, "positions") if s["absolute_positions"] else None
        self.segments = table(s["num_segments"], width, "segments") if s["num_segments"] else None
        self.norm = self._norm("norm")
        has_projection = s["embedding_dim"] is not None
        self.project = (
            make_dense(s["hidden_dim"], "project", True, policy) if has_projection else None
        )
        units = s["num_heads"] if kind == "bias" else s["hidden_dim"]
        self.relative: Any = table(table_size(s), units, "relative") if kind else None
        is_normalized = kind == "disentangled" and s["relative_norm"]
        self.relative_norm = self._norm("relative_norm") if is_normalized else None
        self.drop = Dropout(s["dropout"], dtype=policy, name="drop")

    def _make_blocks(self) -> None:
        s, policy = self.settings, self.dtype_policy
        self.blocks = [
            TransformerBlock(s, index, dtype=policy, name=f"block_{index}")
            for index in range(s["num_groups"] or s["num_layers"])
        ]
        self.final_norm = self._norm("final_norm") if s["pre_norm"] else None
        self.final_dense: Any = None
        self.final_dense_norm: Any = None
        if s["final_dense"]:
            self.activate = get_activation(s["activation"])
            self.final_dense = make_dense(s["hidden_dim"], "final_dense", s["use_bias"], policy)
            self.final_dense_norm = self._norm("final_dense_norm")

    def _norm(self, name: str) -> keras.layers.Layer:
        s = self.settings
        return make_norm(name, s["layer_norm_epsilon"], s["use_bias"], self.dtype_policy)

    @property
    def vocabulary_sizes(self) -> list[int | None]:
        """Number of ids of each input."""
        return sizes_of_inputs(self.input_names, self.vocabulary_size, self.num_segments)

    @property
    def lora_rank(self) -> int | None:
        """Rank of LoRA, or `None` before `enable_lora`."""
        return self.blocks[0].hidden.lora_rank

    @property
    def lora_layers(self) -> list[Dense]:
        """The dense layers of the blocks, to which `enable_lora` applies."""
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
        """Enables LoRA (Hu et al. 2022, arXiv:2106.09685) in all dense layers of the blocks.

        Of the encoder, only the LoRA matrices and the biases of these layers are then trained.
        Compile the model again afterwards.

        Args:
            rank: Rank of the LoRA matrices, at most `hidden_dim`.
            lora_alpha: Scale of their product, divided by `rank`. `None` for `rank`.
        """
        to_integer("rank", rank, most=self.hidden_dim)
        if self.lora_rank is not None:
            raise ValueError(
                f"The encoder has LoRA of rank {self.lora_rank} already. Train it as it is, or "
                "load the encoder again."
            )
        for layer in self.lora_layers:
            layer.enable_lora(rank, lora_alpha=lora_alpha)
        frozen = Dense, Embedding, LayerNormalization
        for _, layer in inner_layers(self):
            if isinstance(layer, frozen) and layer not in self.lora_layers:
                layer.trainable = False

    @staticmethod
    def get_layout_map(
        device_mesh: keras.distribution.DeviceMesh, model_parallel_dim_name: str = "model"
    ) -> keras.distribution.LayoutMap:
        """Returns a layout map for `keras.distribution.ModelParallel`, on JAX.

        The dense layers of the blocks are divided so that each part of a block needs one sum over
        the devices (Shoeybi et al. 2019, arXiv:1909.08053), and the word embeddings by their width.

        Args:
            device_mesh: The mesh of devices.
            model_parallel_dim_name: Its axis to divide weights by. The axis' size must divide
                `hidden_dim`, `intermediate_dim` and `embedding_dim` of the encoder.
        """
        axis = model_parallel_dim_name
        layouts = keras.distribution.LayoutMap(device_mesh)
        layouts[".*tokens.embeddings"] = (None, axis)
        for name in ("attention.projection", "hidden"):
            layouts[rf".*block_\d+.{name}.kernel"] = (None, axis)
            layouts[rf".*block_\d+.{name}.bias"] = (axis,)
        for name in ("attention.output_projection", "output_dense"):
            layouts[rf".*block_\d+.{name}.kernel"] = (axis, None)
        return layouts

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
        others = pad_to_width(ids, others)
        positions = ops.arange(ops.shape(ids)[1])
        state = self._embeddings(ids, positions, others, training)
        present = ops.cast(others[-1], "bool")[:, None, None, :]
        biases: dict[int, Tensor] = {}
        shared = self._relative_bias(positions)
        distances = self._distances(positions)
        windows = self.settings["windows"] or [0] * self.settings["num_layers"]
        each = self.settings["num_layers"] // len(self.blocks)
        for index, window in enumerate(windows):
            if window not in biases:
                near = present
                if window:
                    distance = ops.abs(positions[None, :] - positions[:, None])
                    near = ops.logical_and(present, distance <= window)
                bias = ops.where(near, 0.0, _lowest(self.compute_dtype))
                bias = bias if shared is None else bias + ops.cast(shared, bias.dtype)
                biases[window] = ops.cast(bias, self.compute_dtype)
            state = self.blocks[index // each](
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
                f"A sequence has {length} positions, but the encoder has {self.max_length}. "
                "Shorten it, or split the text into windows with `text.Windower`."
            )

    def _embeddings(
        self, ids: Tensor, positions: Tensor, others: Sequence[Tensor], training: bool | None
    ) -> Tensor:
        state = self.tokens(ids)
        if self.positions is not None:
            offset = self.settings["position_offset"]
            state = state + self.positions(positions + offset)
        if self.segments is not None:
            which = others[0] if self.num_segments > 1 else ops.zeros_like(ids)
            state = state + self.segments(which)
        state = self.drop(self.norm(state), training=training)
        return state if self.project is None else self.project(state)

    def _relative_bias(self, positions: Tensor) -> Tensor | None:
        if self.settings["relative_positions"] != "bias":
            return None
        rows = rows_of_pairs(self.settings, positions)
        return ops.transpose(self.relative(rows), (2, 0, 1))[None]

    def _distances(self, positions: Tensor) -> tuple[Tensor, Tensor] | None:
        if self.settings["relative_positions"] != "disentangled":
            return None
        table = self.relative(ops.arange(table_size(self.settings)))
        if self.relative_norm is not None:
            table = self.relative_norm(table)
        return table, rows_of_pairs(self.settings, positions)

    def compute_output_spec(
        self, inputs: Sequence[keras.KerasTensor], training: bool | None = None
    ) -> keras.KerasTensor:
        self._check_length(inputs[0].shape[1])
        return keras.KerasTensor((*inputs[0].shape, self.hidden_dim), self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.settings}


def _lowest(dtype: str) -> float:
    # The sum of two must be finite.
    return -3e4 if dtype == "float16" else -1e9
