"""Labels, sample weights and class weights: checks, and conversion for a model's loss."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import keras
import numpy as np

from keras_qa._arguments import is_number, must_be, quote_names, shorten
from keras_qa.engine.arrays import Arrays, Labels, Values, Weights, convert
from keras_qa.losses import SpanLoss
from keras_qa.losses.span_losses import SupportLoss

Part = TypeVar("Part")

SPARSE = "sparse_categorical_crossentropy"
ONE_HOT = "categorical_crossentropy"
SPAN = "span_loss"
BINARY = "binary_crossentropy"
SUPPORT = "support_loss"
# The functions and classes of the losses by name.
_KINDS: dict[str, tuple[Any, ...]] = {
    SPARSE: (
        keras.losses.sparse_categorical_crossentropy,
        keras.losses.SparseCategoricalCrossentropy,
    ),
    ONE_HOT: (keras.losses.categorical_crossentropy, keras.losses.CategoricalCrossentropy),
    BINARY: (keras.losses.binary_crossentropy, keras.losses.BinaryCrossentropy),
    SPAN: (SpanLoss,),
    SUPPORT: (SupportLoss,),
}


@dataclasses.dataclass(frozen=True)
class ModelOutput:
    """An output of a model, and what its labels must be."""

    name: str
    shape: tuple[int | None, ...]
    loss: str | None
    # A label that the loss ignores, in or out of the range of classes.
    ignored: int | None = None

    @property
    def classes(self) -> int:
        return int(self.shape[-1] or 0)


def model_outputs(model: keras.Model) -> tuple[ModelOutput, ...]:
    """Describes the outputs of a compiled functional model.

    `loss` is the name of a cross-entropy, another string for any other loss, or `None` for none.
    """
    tensors = model.output
    if not isinstance(tensors, Mapping):
        tensors = dict(zip(model.output_names, model.outputs, strict=True))
    losses = getattr(model, "loss", None)
    if isinstance(losses, Mapping):
        losses = [losses.get(name) for name in tensors]
    elif not isinstance(losses, (list, tuple)):
        losses = [losses] * len(tensors)
    return tuple(
        ModelOutput(
            name, tuple(tensor.shape), _loss_name(loss), getattr(loss, "ignore_class", None)
        )
        for (name, tensor), loss in zip(tensors.items(), losses, strict=True)
    )


def to_labels(
    labels: Labels, model: keras.Model, batch_size: int, positions: int | None = None
) -> Arrays:
    """Converts labels to checked arrays for a model's loss, in the structure of its outputs.

    For either cross-entropy, labels are integers, `(batch,)` or `(batch, 1)`, or rows of
    probabilities that sum to one, `(batch, classes)`, or for tokens such a label for each position.
    For the binary cross-entropy, labels are between 0 and 1; for `SupportLoss` too, `(batch,
    sentences)`. For `SpanLoss` they are positions, `(batch,)` or `(batch, answers)`: the right ones
    first, then -1. For any other loss only their number is checked, and that they are finite.

    `positions` is the number of positions at which a span may start and end in this feed, or of its
    choices or sentences, if known.
    """
    outputs = model_outputs(model)
    parts = _by_output(labels, outputs, "Labels are")
    if parts is None and len(outputs) > 1:
        names = quote_names([item.name for item in outputs])
        raise ValueError(
            f"The model has {len(outputs)} outputs: {names}. "
            "Pass the labels as a dict by name, or as a list in this order."
        )
    arrays = [
        None if part is None else _checked(part, item, batch_size, positions)
        for part, item in zip([labels] if parts is None else parts, outputs, strict=True)
    ]
    return _packed(arrays, outputs, model)


def answer_of(parts: Part | Mapping[str, Part]) -> Part:
    """Returns the part of the output `answer`, or the only part."""
    return parts["answer"] if isinstance(parts, Mapping) else parts


def to_weights(weights: Weights, model: keras.Model, batch_size: int) -> Arrays:
    """Checks sample weights, `(batch,)` or `(batch, 1)`, or by output in the model's structure.

    If labels have more axes, weights may have these axes too.
    """
    outputs = model_outputs(model)
    parts = _by_output(weights, outputs, "`sample_weight` is")
    if parts is None:
        return _to_weights(weights, batch_size, outputs)
    arrays = [
        None if part is None else _to_weights(part, batch_size, [item])
        for part, item in zip(parts, outputs, strict=True)
    ]
    return _packed(arrays, outputs, model)


def _by_output(values: Any, outputs: Sequence[ModelOutput], subject: str) -> list[Any] | None:
    """Returns the labels or weights of each output, or `None` if they are not by output."""
    names = [item.name for item in outputs]
    if isinstance(values, Mapping):
        trained = [item.name for item in outputs if item.loss is not None]
        missing = [name for name in trained if name not in values]
        unknown = [name for name in values if name not in names]
        for problem, odd in (("missing", missing), ("given", unknown)):
            if odd:
                raise ValueError(
                    f"{subject} {problem} for {quote_names(odd)}. Expected outputs: "
                    f"{quote_names(trained)}. Received: {quote_names(values)}."
                )
        return [values.get(name) for name in names]
    is_list = isinstance(values, (list, tuple)) and len(values) == len(names) > 1
    return list(values) if is_list else None


def _packed(arrays: list[Any], outputs: Sequence[ModelOutput], model: keras.Model) -> Arrays:
    """Puts an array for each output into the structure of the model's outputs."""
    if isinstance(model.output, Mapping):
        return dict(zip((item.name for item in outputs), arrays, strict=True))
    return arrays[0] if len(arrays) == 1 else arrays


def _to_weights(weights: Any, batch_size: int, outputs: Sequence[ModelOutput]) -> np.ndarray:
    array = convert(weights, "`sample_weight`")
    shape = array.shape[:-1] if array.ndim == 2 and array.shape[1] == 1 else array.shape
    fits = all(_fits(shape, (batch_size, *item.shape[1:-1])) for item in outputs)
    if array.dtype.kind not in "iufb" or not fits:
        raise ValueError(
            f"`sample_weight` has shape {array.shape} and dtype {shorten(str(array.dtype))}, but "
            f"expected {batch_size} numbers, one for each example."
        )
    with np.errstate(over="ignore"):
        array = array.astype("float32")
    _check_weights("sample_weight", array)
    # TensorFlow traces a step for one rank. It fails at weights of another rank in a later call.
    return array.reshape(shape)


def to_class_weights(
    weights: Mapping[int, float], outputs: Sequence[ModelOutput]
) -> dict[int, float]:
    """Checks class weights by class, and adds the weight 1 for missing classes."""
    if not isinstance(weights, Mapping):
        expected = "a dict from the number of a class to its weight"
        raise TypeError(must_be("class_weight", expected, weights))
    if len(outputs) > 1:
        raise ValueError(
            f"`class_weight` is for models with one output, but this model has {len(outputs)}. "
            "Use `sample_weight`."
        )
    classes = outputs[0].classes
    unknown = [label for label in weights if label not in range(classes)]
    if unknown:
        raise ValueError(
            f"`class_weight` holds {quote_names(unknown)}, but the classes are 0 to "
            f"{classes - 1}. Pass weights by the number of a class."
        )
    for label, weight in weights.items():
        if not is_number(weight):
            raise ValueError(must_be(f"class_weight[{label}]", "a number", weight))
    with np.errstate(over="ignore"):
        _check_weights("class_weight", np.asarray(list(weights.values()), "float32"))
    # With a tf.data.Dataset, Keras fails on classes without a weight.
    return {label: float(weights.get(label, 1.0)) for label in range(classes)}


def _fits(shape: tuple[int, ...], expected: tuple[int | None, ...]) -> bool:
    """Whether a shape matches the first axes of `expected`. `None` matches any size."""
    return 0 < len(shape) <= len(expected) and all(
        other in (None, size) for size, other in zip(shape, expected, strict=False)
    )


def _check_weights(argument: str, array: np.ndarray) -> None:
    if not (np.isfinite(array).all() and (array >= 0).all()):
        raise ValueError(
            f"`{argument}` must hold finite numbers that are not negative, each at most "
            f"{np.finfo('float32').max:.1e}."
        )


def _loss_name(loss: Any) -> str | None:
    if loss is None or isinstance(loss, str):
        return loss
    # Not `isinstance`: a subclass may use other labels.
    return next(
        (name for name, kinds in _KINDS.items() if loss in kinds or type(loss) in kinds), "custom"
    )


def _checked(raw: Values, item: ModelOutput, batch_size: int, positions: int | None) -> np.ndarray:
    array = convert(raw, f"The labels of `{item.name}`")
    if array.dtype.kind == "b":
        array = array.astype("int32")
    if array.dtype.kind not in "iuf":
        raise TypeError(
            f"The labels of `{item.name}` have dtype {shorten(str(array.dtype))}, but must be "
            "numbers. Use `keras_qa.QuestionAnswerer` to train on answers that are strings."
        )
    if array.shape[:1] != (batch_size,):
        raise ValueError(
            f"The labels of `{item.name}` have shape {array.shape}, but the inputs hold "
            f"{batch_size} examples. Pass one label for each example."
        )
    if array.dtype.kind == "f":
        _refuse(~np.isfinite(array), array, item, "must be finite.")
    if item.loss == SPAN:
        return _from_positions(array, item, positions)
    if item.loss in (BINARY, SUPPORT):
        return _from_probabilities(array, item, positions)
    if item.loss not in (SPARSE, ONE_HOT):
        return array
    if item.shape[-1] is None and positions is not None:
        item = dataclasses.replace(item, shape=(*item.shape[:-1], positions))
    is_wide = positions is not None and array.ndim > 1 and array.shape[1] != positions
    if is_wide and len(item.shape) == 3:
        raise ValueError(
            f"The labels of `{item.name}` have shape {array.shape}, but there are {positions} "
            "positions in this feed. Pass a label for each position."
        )
    classes = item.classes
    if array.ndim == len(item.shape) and (array.shape[-1] != 1 or classes == 1):
        return _from_rows(array, item)
    if array.ndim == len(item.shape):
        array = array[..., 0]
    return _from_integers(array, item)


def _from_integers(array: np.ndarray, item: ModelOutput) -> np.ndarray:
    classes = item.classes
    if array.ndim != len(item.shape) - 1:
        rows, whole = "(batch,)", f"(batch, {classes})"
        if len(item.shape) == 3:
            rows, whole = "(batch, time)", f"(batch, time, {classes})"
        raise ValueError(
            f"The labels of `{item.name}` have shape {array.shape}, but expected integers of shape "
            f"{rows} or one-hot rows of shape {whole}."
        )
    _check_whole(array, item, "class labels")
    wrong = (array < 0) | (array >= classes)
    if item.ignored is not None:
        wrong &= array != item.ignored
    most = max(int(array.max(initial=0)) + 1, classes)
    size = f"`answer_vocabulary_size={most}`" if item.name == "answer" else f"{most} labels"
    advice = f"Build the model with {size} or more, or map other answers to one of these classes."
    if item.name == "choice":
        advice = "These are the choices in this feed."
    _refuse(wrong, array, item, f"there are {classes} classes (0 to {classes - 1}). {advice}")
    array = array.astype("int32")
    if item.loss == SPARSE:
        return array
    return np.eye(classes, dtype="float32")[array]


def _from_positions(array: np.ndarray, item: ModelOutput, positions: int | None) -> np.ndarray:
    if array.ndim not in (1, 2) or not array.size:
        raise ValueError(
            f"The labels of `{item.name}` have shape {array.shape}, but expected positions of "
            "shape (batch,) or (batch, answers)."
        )
    _check_whole(array, item, "positions")
    # Rows are padded with -1.
    lowest = np.full(array.shape, -1)
    lowest[(slice(None), 0) if array.ndim == 2 else slice(None)] = 0
    problem = (
        "positions start at 0, which stands for no answer. The first position of a row must be a "
        "right one; -1 only pads the row."
    )
    _refuse(array < lowest, array, item, problem)
    if positions is not None:
        problem = (
            f"there are {positions} positions (0 to {positions - 1}) in this feed. Make texts and "
            "labels with the same `keras_qa.text.Windower`."
        )
        _refuse(array >= positions, array, item, problem)
    return array.astype("int32")


def _from_probabilities(array: np.ndarray, item: ModelOutput, positions: int | None) -> np.ndarray:
    _refuse((array < 0) | (array > 1), array, item, "must be between 0 and 1.")
    if item.loss == SUPPORT and (array.ndim != 2 or not array.size):
        raise ValueError(
            f"The labels of `{item.name}` have shape {array.shape}, but expected (batch, "
            "sentences): 1 for a sentence that supports the answer, else 0."
        )
    if item.loss == SUPPORT and positions is not None and array[:, positions:].any():
        raise ValueError(
            f"The labels of `{item.name}` hold a sentence of position {positions} or more, but "
            f"there are {positions} sentences (0 to {positions - 1}) in this feed."
        )
    return array.astype("float32")


def _check_whole(array: np.ndarray, item: ModelOutput, kind: str) -> None:
    if array.dtype.kind == "f":
        _refuse(array != np.floor(array), array, item, f"{kind} must be whole numbers.")


def _refuse(wrong: np.ndarray, array: np.ndarray, item: ModelOutput, problem: str) -> None:
    """Raises a `ValueError` with the first wrong label and its position, if there is one."""
    if wrong.any():
        position = np.argwhere(wrong)[0].tolist()
        raise ValueError(
            f"The labels of `{item.name}` hold {array[tuple(position)]} at {position}, "
            f"but {problem}"
        )


def _from_rows(array: np.ndarray, item: ModelOutput) -> np.ndarray:
    classes = item.classes
    if array.shape[-1] != classes:
        raise ValueError(
            f"The labels of `{item.name}` have rows {array.shape[-1]} wide, but the output has "
            f"{classes} classes. One-hot rows must be as wide as the output."
        )
    totals = array.sum(axis=-1, dtype="float64")
    wrong = (np.abs(totals - 1.0) > 1e-3) | (array < 0).any(axis=-1)
    if wrong.any():
        position = np.argwhere(wrong)[0].tolist()
        ones = int((array[tuple(position)] == 1).sum())
        raise ValueError(
            f"The labels of `{item.name}` hold a row at {position} that adds up to "
            f"{totals[tuple(position)]:g} and has {ones} ones, but a one-hot row holds exactly "
            "one 1 and zeros."
        )
    if item.loss == ONE_HOT:
        return array.astype("float32")
    certain = array.max(axis=-1) == 1
    if not certain.all():
        position = np.argwhere(~certain)[0].tolist()
        raise ValueError(
            f"The labels of `{item.name}` hold a row of probabilities at {position}, which "
            f"{SPARSE} cannot use. Compile the model with {ONE_HOT}."
        )
    return array.argmax(axis=-1).astype("int32")
