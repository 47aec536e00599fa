"""Span readers: where the answer to a question starts and ends in a text."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import keras
import numpy as np
import numpy.typing as npt

from keras_qa._arguments import to_integer
from keras_qa._numbers import MASKED
from keras_qa.engine.compiling import Optimizer
from keras_qa.engine.graph import text_position
from keras_qa.engine.qa_model import QAModel
from keras_qa.layers import SpanHead, TransformerEncoder
from keras_qa.layers.attention import AlignedQuestionEmbedding, BidirectionalAttentionFlow
from keras_qa.layers.base_layer import DType
from keras_qa.layers.kernels.tensor_types import Tensor
from keras_qa.layers.pretrained import PretrainedEncoder
from keras_qa.layers.span_head import TextPositions
from keras_qa.layers.word_features import ContextEncoder, ExactMatch, WordEmbedding
from keras_qa.losses import SpanExactMatch, SpanF1, SpanLoss
from keras_qa.models.pretrained.checkpoint import PretrainedCheckpoint
from keras_qa.models.pretrained.hub import open_backbone
from keras_qa.preprocessing import SpanPreprocessor
from keras_qa.preprocessing.decoder import SpanDecoder, check_answer_types
from keras_qa.preprocessing.preprocessor import SPANS
from keras_qa.text import SubwordTokenizer, Windower
from keras_qa.text.windows import MAX_LENGTH

# A backbone or its name; a tokenizer or its file or folder.
Backbone: TypeAlias = keras.Model | PretrainedCheckpoint | str | os.PathLike[str]
Tokenizer: TypeAlias = SubwordTokenizer | str | os.PathLike[str]

# An arbitrary width, to find the difference between the widths of outputs and inputs.
_PROBE = 7


@keras.saving.register_keras_serializable(package="keras_qa")
class SpanReader(QAModel):
    """A `QAModel` with the outputs `start` and `end`: logits over the positions of a text.

    Position 0 stands for no answer, the next ones for `answer_types`: `"yes"`, `"no"`, both or
    none. Labels are a dict of `start` and `end`, `(batch,)` or `(batch, answers)` positions, see
    `SpanLoss`. `fit` and `evaluate` report `exact_match` and `f1` of the best span, by positions.
    """

    preprocessor_name = "spans"
    # Number of positions in the outputs minus the width of the input. Computed on first use.
    _more_positions: Any = None

    def __init__(
        self,
        inputs: Sequence[keras.KerasTensor],
        outputs: Mapping[str, keras.KerasTensor],
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        if not isinstance(outputs, dict) or sorted(outputs) != ["end", "start"]:
            raise ValueError(
                "`outputs` must be a dict of `start` and `end`. Received: "
                f"{sorted(outputs) if isinstance(outputs, dict) else type(outputs).__name__}."
            )
        super().__init__(inputs=inputs, outputs=outputs, name=name, **kwargs)
        head = self.layers[-1]
        self.output_padding = MASKED if isinstance(head, SpanHead) else None
        self.answer_types = head.answer_types if isinstance(head, SpanHead) else ()
        types = len(self.answer_types)
        self.span_metrics = [
            SpanExactMatch(name="exact_match", num_types=types),
            SpanF1(name="f1", num_types=types),
        ]

    def compute_metrics(
        self,
        x: object,
        y: Mapping[str, Tensor],
        y_pred: Mapping[str, Tensor],
        sample_weight: Tensor | Mapping[str, Tensor] | None = None,
    ) -> dict[str, Any]:
        for metric in self.span_metrics:
            metric.update_state(y, y_pred, sample_weight)
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def num_positions(self, inputs: list[np.ndarray]) -> int | None:
        fixed = self.output["start"].shape[1]
        if fixed is not None:
            return fixed
        if self._more_positions is None:
            probe = [keras.KerasTensor((1, _PROBE), tensor.dtype) for tensor in self.inputs]
            feed = keras.tree.pack_sequence_as(self.input, probe)
            self._more_positions = self.compute_output_spec(feed)["start"].shape[1] - _PROBE
        return inputs[text_position(self)].shape[1] + self._more_positions


def span_reader(
    text_vocabulary_size: int = 10_000,
    question_vocabulary_size: int | None = None,
    embedding_dim: int = 50,
    units: int = 64,
    num_layers: int = 1,
    cell: str = "lstm",
    dropout: float | None = None,
    word_vectors: npt.ArrayLike | None = None,
    trainable_vectors: bool = False,
    backbone: Backbone | None = None,
    tokenizer: Tokenizer | None = None,
    lora_rank: int | None = None,
    fused: str | bool = "auto",
    dtype: DType = None,
    optimizer: Optimizer | None = None,
    name: str = "span_reader",
    answer_types: Sequence[str] | None = None,
) -> SpanReader:
    """A span reader: it marks the words of a text that answer a question. Compiled.

    From scratch it is recurrent. A bidirectional layer reads word vectors, whether a word occurs in
    the question, and an aligned question vector (Chen et al. 2017, arXiv:1704.00051). Attention
    flows in both directions between text and question, and a second bidirectional layer reads the
    result (Seo et al. 2017, arXiv:1611.01603). A head computes the logits.

    With a `backbone` the question and the text are one sequence, and the head reads the backbone's
    vectors (Devlin et al. 2019, arXiv:1810.04805).

    Args:
        text_vocabulary_size: Number of word ids in texts.
        question_vocabulary_size: Number of word ids in questions. Texts and questions share one
            table with the larger of the two sizes.
        embedding_dim: Size of the word vectors.
        units: Size of the recurrent state of each direction.
        num_layers: Number of layers in each of the three recurrent parts.
        cell: `"lstm"` or `"gru"`.
        dropout: Dropout rate of the word vectors and of the inputs of recurrent layers and head.
            `None` for 0.2. With a backbone it only applies to the head, and `None` is 0.1; the
            backbone has its own.
        word_vectors: `(vocabulary_size, embedding_dim)`: initial word vectors, a row for each id.
            `None` to learn them.
        trainable_vectors: Whether `word_vectors` are trained.
        backbone: A folder in Hugging Face's layout or `hf://owner/name`, optionally with
            `@revision` (extra `hf`): BERT, DistilBERT, RoBERTa, XLM-RoBERTa, CamemBERT, ELECTRA,
            ALBERT, MPNet, DeBERTa v2 and v3, ModernBERT, with their head for question answering if
            they have one; or `"minilm"`, an encoder of six layers in this package. Or a
            `keras_hub.models.Backbone` (extra `hub`). It has its own layers: of the arguments above
            only `dropout` is for it.
        tokenizer: The backbone's tokenizer: a `text.SubwordTokenizer`, its `tokenizer.json` or
            folder. `None` for the one in the backbone's folder. Without a tokenizer the start of
            the text is unknown, and only padding is masked.
        lora_rank: Train matrices of this rank instead of the weights of a backbone in Hugging
            Face's layout, see `layers.TransformerEncoder.enable_lora`. `None` to train all weights.
        fused: Whether to use kernels, as in `layers.LSTM`. `False` for Keras' own loop.
        dtype: Dtype policy of every layer, such as `"mixed_bfloat16"`. `None` for Keras' global
            policy. A backbone object keeps its own.
        optimizer: Optimizer to compile with. `None` for Adam with a learning rate of 0.002; with a
            backbone, AdamW with 0.00005 and a weight decay of 0.01.
        name: Name of the model.
        answer_types: `"span"` with `"yes"`, `"no"` or both, such as `["span", "yes", "no"]`: the
            reader also learns questions whose answer is yes or no. `None` for spans only.

    Returns:
        A compiled `SpanReader` with the outputs `start` and `end`, `(batch, positions)` float32
        logits. Position 0 stands for no answer. From scratch, its inputs are `text` and `question`,
        `(batch, words)` int32, and it has one position more than words. With a backbone, its inputs
        are `token_ids`, `segment_ids` if the backbone uses them, and `padding_mask`,
        `(batch, time)` int32, and it has as many positions; with a tokenizer it has a
        `preprocessing.SpanPreprocessor`. Yes and no have a position each after position 0, so that
        one softmax is over them, the spans and no answer.

    Raises:
        ImportError: If a library that reads checkpoints is not installed.
        TypeError: If `backbone` is not a backbone or a name.
        ValueError: If a size is out of its range, `word_vectors` has another shape, the backbone
            cannot be loaded or is not supported, or an argument is given that would not be used.

    Examples:
        >>> import numpy as np
        >>> from keras_qa.models import span_reader
        >>> model = span_reader(100, units=8)
        >>> logits = model.predict([np.ones((2, 7), "int32"), np.ones((2, 4), "int32")], verbose=0)
        >>> logits["start"].shape, logits["end"].shape
        ((2, 8), (2, 8))
    """
    types = _other_types(answer_types)
    _check_unused(
        backbone is not None,
        "the backbone has its own layers",
        text_vocabulary_size=text_vocabulary_size,
        question_vocabulary_size=question_vocabulary_size,
        embedding_dim=embedding_dim,
        units=units,
        num_layers=num_layers,
        cell=cell,
        word_vectors=word_vectors,
        trainable_vectors=trainable_vectors,
        fused=fused,
    )
    _check_unused(
        backbone is None, "it is for a `backbone`", tokenizer=tokenizer, lora_rank=lora_rank
    )
    if backbone is not None:
        dropout = 0.1 if dropout is None else dropout
        model = _on_backbone(backbone, tokenizer, dropout, lora_rank, dtype, name, types)
        optimizer = optimizer or keras.optimizers.AdamW(5e-5, weight_decay=0.01)
    else:
        vocabulary_size = max(text_vocabulary_size, question_vocabulary_size or 0)
        words = make_word_embedding(
            vocabulary_size, embedding_dim, dropout, word_vectors, trainable_vectors, dtype
        )
        model = _from_scratch(words, units, num_layers, cell, fused, dtype, name, types)
        optimizer = optimizer or keras.optimizers.Adam(2e-3, global_clipnorm=5.0)
    model.compile(
        optimizer,
        {"start": SpanLoss(), "end": SpanLoss()},
        loss_weights={"start": 0.5, "end": 0.5},
    )
    return model


def _check_unused(is_unused: bool, reason: str, **arguments: Any) -> None:
    """Raises if arguments that a reader with or without a backbone does not use are given."""
    defaults = inspect.signature(span_reader).parameters
    given = [
        name
        for name, value in arguments.items()
        if value is not defaults[name].default
        and not (isinstance(value, (int, str)) and value == defaults[name].default)
    ]
    if is_unused and given:
        names = ", ".join(f"`{name}`" for name in given)
        raise ValueError(f"{names} would not be used: {reason}. Leave it out.")


def _other_types(answer_types: Sequence[str] | None) -> tuple[str, ...]:
    """Returns the answer types that are not spans."""
    types = ["span"] if answer_types is None else answer_types
    if not isinstance(types, (list, tuple)) or list(types).count("span") != 1:
        raise ValueError(
            '`answer_types` must be a list of "span" and "yes" or "no" or both. Received: '
            f"answer_types={types!r:.80}."
        )
    return check_answer_types([kind for kind in types if kind != "span"])


def enable_lora(encoder: keras.layers.Layer | None, rank: int) -> None:
    """Calls `TransformerEncoder.enable_lora`, unless the encoder already has this rank."""
    if not isinstance(encoder, TransformerEncoder):
        raise ValueError(
            "`lora_rank` is for readers on a published encoder, as `keras_qa.load` returns. "
            "Leave it out."
        )
    to_integer("lora_rank", rank, most=encoder.hidden_dim)
    if encoder.lora_rank != rank:
        encoder.enable_lora(rank)


def open_tokenizer(
    tokenizer: Tokenizer | None,
    backbone: keras.Model | PretrainedCheckpoint,
    encoder: PretrainedEncoder | TransformerEncoder,
) -> SubwordTokenizer | None:
    """Returns a tokenizer, or else that of a checkpoint. Raises if the encoder lacks its ids."""
    if tokenizer is None:
        is_checkpoint = isinstance(backbone, PretrainedCheckpoint)
        tokenizer = backbone.tokenizer() if is_checkpoint else None
    elif not isinstance(tokenizer, SubwordTokenizer):
        tokenizer = SubwordTokenizer.from_file(tokenizer)
    if tokenizer is not None:
        most = encoder.vocabulary_sizes[0] or tokenizer.vocabulary_size
        if tokenizer.vocabulary_size > most:
            raise ValueError(
                f"`tokenizer` has {tokenizer.vocabulary_size} ids, but `backbone` has {most}. Pass "
                "the backbone's own tokenizer."
            )
    return tokenizer


def make_word_embedding(
    vocabulary_size: int,
    embedding_dim: int,
    dropout: float | None,
    vectors: Any,
    trainable_vectors: bool,
    dtype: DType,
) -> WordEmbedding:
    """Makes the embedding of a model from scratch, with its arguments."""
    if vectors is not None:
        shape = np.shape(vectors)
        if len(shape) != 2 or shape[0] != vocabulary_size:
            raise ValueError(
                "`word_vectors` must have a row for each of the "
                f"{vocabulary_size} ids of the vocabulary. Received the shape {shape}. "
                "`keras_qa.text.WordVectors.table` returns such an array for a tokenizer."
            )
        embedding_dim = shape[1]
    dropout = 0.2 if dropout is None else dropout
    words = WordEmbedding(vocabulary_size, embedding_dim, dropout, dtype=dtype, name="words")
    words.trainable = trainable_vectors or vectors is None
    if vectors is not None:
        words.build((None, None))
        words.set_weights([np.asarray(vectors, "float32")])
    return words


def _from_scratch(
    words: WordEmbedding,
    units: int,
    num_layers: int,
    cell: str,
    fused: str | bool,
    dtype: DType,
    name: str,
    types: tuple[str, ...],
) -> SpanReader:
    text = keras.Input((None,), dtype="int32", name="text")
    question = keras.Input((None,), dtype="int32", name="question")

    def context(name: str) -> ContextEncoder:
        return ContextEncoder(units, num_layers, cell, words.dropout, fused, dtype=dtype, name=name)

    text_words, question_words = words(text), words(question)
    aligned = AlignedQuestionEmbedding(dtype=dtype, name="aligned")([text_words, question_words])
    same = ExactMatch(dtype=dtype, name="same")([text, question])
    text_states = context("text_context")([text_words, aligned, same])
    question_states = context("question_context")(question_words)
    flow = BidirectionalAttentionFlow(dtype=dtype, name="flow")([text_states, question_states])
    features = [context("reasoner")(flow), flow]
    head = SpanHead(dropout=words.dropout, answer_types=types, dtype=dtype, name="span")
    start, end = head(features)
    return SpanReader([text, question], {"start": start, "end": end}, name=name)


def _on_backbone(
    backbone: Backbone,
    tokenizer: Tokenizer | None,
    dropout: float,
    lora_rank: int | None,
    dtype: DType,
    name: str,
    types: tuple[str, ...],
) -> SpanReader:
    if not isinstance(backbone, keras.Model):
        backbone = open_backbone(backbone)
    encoder: PretrainedEncoder | TransformerEncoder
    if isinstance(backbone, PretrainedCheckpoint):
        encoder = backbone.encoder(dtype)
    else:
        encoder = PretrainedEncoder(backbone, dtype=backbone.dtype_policy, name="backbone")
    tokenizer = open_tokenizer(tokenizer, backbone, encoder)
    inputs = [keras.Input((None,), dtype="int32", name=name) for name in encoder.input_names]
    by_name = dict(zip(encoder.input_names, inputs, strict=True))
    mask = by_name["padding_mask"]
    if tokenizer is not None:
        is_text = TextPositions([*tokenizer.between, *tokenizer.after], name="text_positions")
        mask = is_text([by_name["token_ids"], mask])
    head = SpanHead("first", dropout, types, dtype=encoder.dtype_policy, name="span")
    start, end = head(encoder(inputs), mask=mask)
    if isinstance(backbone, PretrainedCheckpoint):
        backbone.load(encoder, head, SPANS)
    if lora_rank is not None:
        enable_lora(encoder, lora_rank)
    reader = SpanReader(inputs, {"start": start, "end": end}, name=name)
    if tokenizer is not None:
        longest = min(MAX_LENGTH, encoder.max_length or MAX_LENGTH)
        decoder = SpanDecoder(answer_types=types)
        reader.preprocessor = SpanPreprocessor(Windower(tokenizer, longest), decoder)
    return reader
