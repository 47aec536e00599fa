"""Feeds to checked arrays, one for each input of a model, and the types of feeds.

Backends differ for an id out of range: PyTorch raises an `IndexError`, TensorFlow may clamp it, and
on JAX training turns all weights to NaN.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import keras
import numpy as np
import numpy.typing as npt

from keras_qa._arguments import is_frame, quote_names, short_repr, shorten
from keras_qa.engine.graph import ModelInput, model_inputs
from keras_qa.layers.kernels.tensor_types import Tensor

# One input, or the labels of one output: an array, a tensor, a column or lists of numbers.
Values: TypeAlias = npt.ArrayLike | Tensor

# All inputs: by name, as columns of a DataFrame, in order, or the only one.
Feed: TypeAlias = Values | Mapping[str, Values] | Sequence[Values]

# The labels of all outputs, in the same forms. `None` for an output without a loss.
Labels: TypeAlias = Values | Mapping[str, Values | None] | Sequence[Values | None]

# A weight for each example, or such weights by output.
Weights: TypeAlias = Values | Mapping[str, Values]

# Yields batches: a generator, a `tf.data.Dataset`, a torch `DataLoader`.
DataSource: TypeAlias = keras.utils.PyDataset | Iterable[Any]

# Checked inputs, labels, weights or outputs, in the structure of the model.
Arrays: TypeAlias = "np.ndarray | Mapping[str, Arrays | None] | Sequence[Arrays | None]"


def to_arrays(feed: Feed, model: keras.Model) -> dict[str, np.ndarray]:
    """Turns a feed into checked arrays, one for each input of a model.

    Args:
        feed: A dict by input name, a list or tuple in the order of the inputs, or a pandas
            DataFrame with a column for each input. A model with one input also takes that input
            itself. Each input is a NumPy array of any integer dtype, a tensor of any backend, or a
            list of lists of ids, which is padded with zeros on the right.
        model: The functional `keras.Model` to feed.

    Returns:
        A dict of arrays by input name, in the order of the inputs. Ids are int32, with at least one
        column.

    Raises:
        TypeError: If an input does not contain numbers, or contains floats instead of ids.
        ValueError: If an input is missing, unknown or empty, has the wrong rank or size, or
            contains an id out of its vocabulary or a NaN.

    Examples:
        >>> import keras_qa
        >>> model = keras_qa.models.answer_classifier(64, 64, 8)
        >>> feed = {"text": [[5, 6, 7], [8]], "question": [[2], [3]]}
        >>> arrays = keras_qa.inputs.to_arrays(feed, model)
        >>> arrays["text"].tolist()
        [[5, 6, 7], [8, 0, 0]]
    """
    expected = model_inputs(model)
    arrays = {
        item.name: to_array(raw, item)
        for item, raw in zip(expected, _in_order(feed, expected), strict=True)
    }
    first = expected[0].name
    for name, array in arrays.items():
        if len(array) != len(arrays[first]):
            raise ValueError(
                f"`{first}` holds {len(arrays[first])} examples, but `{name}` holds {len(array)}. "
                "Every input must hold the same number of examples."
            )
    return arrays


def has_full_rows(feed: Any) -> bool:
    """Whether a checked feed is arrays of ids without padding at the end of any row."""
    if feed is None or is_source(feed):
        return False
    return all(array[..., -1:].all() for array in keras.tree.flatten(feed))


def is_source(value: object) -> bool:
    """Whether `value` yields batches, rather than being one.

    True for an iterable that is no collection such as a list or dict, no tensor and no DataFrame.
    """
    if isinstance(value, keras.utils.PyDataset):
        return True
    is_data = isinstance(value, Collection) or is_frame(value)
    is_data = is_data or hasattr(value, "__array__") or hasattr(value, "to_list")
    return isinstance(value, Iterable) and not is_data


def to_numpy(value: Values) -> np.ndarray:
    """Converts a tensor of any backend, a ragged tensor, a column or nested lists to an array.

    Ragged lists are padded with zeros on the right.
    """
    if isinstance(value, np.ma.MaskedArray):
        if np.ma.is_masked(value):
            raise ValueError("it is a masked array. Fill it before feeding: `.filled(0)`.")
        value = value.data
    if isinstance(value, np.ndarray) and value.dtype != object:
        return value
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    if hasattr(value, "to_list"):
        value = value.to_list()
    if isinstance(value, np.ndarray):
        value = list(value)
    if isinstance(value, (list, tuple)):
        return _pad(value)
    if keras.ops.is_tensor(value):
        return keras.ops.convert_to_numpy(value)
    return np.asarray(value)


def convert(value: Values, name: str) -> np.ndarray:
    """Converts a value as `to_numpy` does. Raises a `ValueError` with its name if that fails."""
    try:
        return to_numpy(value)
    except RecursionError:
        problem = "its lists are too deep or contain themselves. Pass a NumPy array."
    except (TypeError, ValueError, RuntimeError) as error:
        problem = " ".join(str(error).split())[:200]
    raise ValueError(f"{name}: {problem}") from None


def form_of(parts: tuple[Any, ...]) -> tuple[Any, ...]:
    """Rank and dtype of each array, in the structure of labels and weights."""
    return keras.tree.map_structure(
        lambda array: None if array is None else f"{array.ndim} {array.dtype}", parts
    )


def _in_order(feed: Feed, expected: Sequence[ModelInput]) -> list[Any]:
    names = [item.name for item in expected]
    if is_frame(feed) or isinstance(feed, Mapping):
        table: Any = feed
        received = list(table.columns) if is_frame(table) else list(table)
        kind = "column" if is_frame(feed) else "key"
        for problem, odd in (
            ("has no", [name for name in names if name not in received]),
            ("has an unknown", [name for name in received if name not in names]),
        ):
            if odd:
                raise ValueError(
                    f"The feed {problem} {kind} {quote_names(odd)}. Expected: "
                    f"{quote_names(names)}. Received: {quote_names(received)}. Use the "
                    f"model's input names as {kind}s."
                )
        return [table[name] for name in names]
    if isinstance(feed, (list, tuple)):
        rank = len(expected[0].shape)
        if len(names) == 1 and not (len(feed) == 1 and _rank(feed[0], rank) >= rank):
            return [feed]
        if len(feed) != len(names):
            raise ValueError(
                f"The feed has length {len(feed)}, but the model has {len(names)} inputs: "
                f"{quote_names(names)}. Feed one for each, in this order, or a dict by name."
            )
        return list(feed)
    if len(names) == 1:
        return [feed]
    raise ValueError(
        f"The feed is one {shorten(type(feed).__name__)}, but the model has {len(names)} inputs: "
        f"{quote_names(names)}. Feed a list in this order, or a dict by name."
    )


def _rank(value: object, most: int) -> int:
    """The number of axes of nested lists. Not exact above `most`: lists can contain themselves."""
    if isinstance(value, (list, tuple)):
        return 1 + (_rank(value[0], most - 1) if value and most else 0)
    return len(getattr(value, "shape", ()))


def _pad(rows: Sequence[Any]) -> np.ndarray:
    if not any(isinstance(row, (list, tuple, np.ndarray)) or hasattr(row, "shape") for row in rows):
        array = np.asarray(rows)
        return array if array.size else array.astype("int32")
    parts = [to_numpy(row) for row in rows]
    rank = max(part.ndim for part in parts)
    # The rank of an empty list is unknown. Use the rank of the other rows.
    parts = [
        part.reshape(part.shape + (0,) * (rank - part.ndim)) if part.size == 0 else part
        for part in parts
    ]
    odd = next((row for row, part in enumerate(parts) if part.ndim != rank), None)
    if odd is not None:
        raise ValueError(
            f"Row {odd} is {_quote(rows[odd])}, but other rows are sequences of rank "
            f"{rank}. Every row must be a list of ids."
        )
    shape = [max(part.shape[axis] for part in parts) for axis in range(rank)]
    filled = [part.dtype for part in parts if part.size]
    array = np.zeros((len(parts), *shape), np.result_type(*filled) if filled else "int32")
    for target, part in zip(array, parts, strict=True):
        target[tuple(slice(size) for size in part.shape)] = part
    return array


def to_array(raw: Values, item: ModelInput) -> np.ndarray:
    """Converts the feed of one input to a checked array, see `to_arrays`."""
    array = convert(raw, f"`{item.name}`")
    if array.size == 0 and 2 <= array.ndim < len(item.shape):
        array = array.reshape(array.shape + (0,) * (len(item.shape) - array.ndim))
    _check_numbers(array, item)
    _check_shape(array, item)
    if item.holds_ids:
        _check_ids(array, item)
    if array.ndim > 1:
        # Pad to a fixed input size, and to one step, which recurrent layers need.
        missing = [
            max((wanted or 1) - size, 0)
            for size, wanted in zip(array.shape[1:], item.shape[1:], strict=True)
        ]
        if any(missing):
            array = np.pad(array, [(0, 0), *((0, size) for size in missing)])
    return np.ascontiguousarray(array, dtype=item.dtype)


def _check_numbers(array: np.ndarray, item: ModelInput) -> None:
    if array.dtype.kind in "USOT":
        value = array.flat[0] if array.size else array.dtype
        kind = "string" if isinstance(value, str) else "object"
        value = str(value) if kind == "string" else value
        raise TypeError(
            f"`{item.name}` must contain numbers. Received: the {kind} {_quote(value)}. "
            "Use `keras_qa.QuestionAnswerer`, or a `keras_qa.text.Vectorizer`, to feed strings."
        )
    if array.dtype.kind not in "iuf" and array.dtype.name != "bfloat16":
        raise TypeError(
            f"`{item.name}` has dtype {shorten(str(array.dtype))}, but expected {item.dtype}. "
            "Convert it to a numeric dtype."
        )
    if array.dtype.kind in "iu":
        return
    values = array.astype("float32") if array.dtype.name == "bfloat16" else array
    if array.size and not np.isfinite(values).all():
        position = _position(~np.isfinite(values))
        raise ValueError(
            f"`{item.name}` holds {values[position]} at {list(position)}, but every value must be "
            "finite. Replace it before feeding."
        )
    if item.holds_ids:
        raise TypeError(
            f"`{item.name}` has dtype {array.dtype}, but ids must be integers. "
            f'Convert it with `.astype("int32")` if its values are ids.'
        )


def _check_shape(array: np.ndarray, item: ModelInput) -> None:
    if array.ndim != len(item.shape):
        advice = "A single example is a batch of one: add a first axis."
        if item.holds_ids and len(item.shape) == 3:
            advice = "Give each example as sentences, and each sentence as word ids."
        raise ValueError(
            f"`{item.name}` has rank {array.ndim} and shape {array.shape}, but expected rank "
            f"{len(item.shape)}: {_axes(item)}. {advice}"
        )
    if len(array) == 0:
        raise ValueError(
            f"`{item.name}` holds no examples: its shape is {array.shape}. Feed at least one."
        )
    for axis, (size, wanted) in enumerate(zip(array.shape[1:], item.shape[1:], strict=True), 1):
        if wanted is not None and (size > wanted or (size < wanted and not item.holds_ids)):
            raise ValueError(
                f"`{item.name}` has shape {array.shape}, but expected {_axes(item)}: axis {axis} "
                f"is {size} long instead of {wanted}."
            )
    if item.max_length is not None and array.shape[-1] > item.max_length:
        raise ValueError(
            f"`{item.name}` has {array.shape[-1]} positions, but the model takes at most "
            f"{item.max_length}. Feed shorter rows, or cut texts into windows with `text.Windower`."
        )


def _check_ids(array: np.ndarray, item: ModelInput) -> None:
    if array.size == 0:
        return
    limit = item.vocabulary_size
    highest = limit if limit is not None else np.iinfo(item.dtype).max + 1
    if array.min() < 0:
        position = _position(array < 0)
        raise ValueError(
            f"`{item.name}` holds id {array[position]} at {list(position)}, but ids start at 0. "
            "Id 0 is padding and id 1 the unknown word: map other values to these."
        )
    if array.max() >= highest:
        position = _position(array >= highest)
        if limit is None:
            raise ValueError(
                f"`{item.name}` holds id {array[position]} at {list(position)}, which does not fit "
                f"{item.dtype}."
            )
        raise ValueError(
            f"`{item.name}` holds id {array[position]} at {list(position)}, but its vocabulary has "
            f"{limit} entries (ids 0 to {limit - 1}). Build the model with "
            f"`{item.name}_vocabulary_size={int(array.max()) + 1}` or more, "
            "or map rare words to the unknown id."
        )


def _position(where: np.ndarray) -> tuple[int, ...]:
    return tuple(int(index) for index in np.unravel_index(np.argmax(where), where.shape))


def _axes(item: ModelInput) -> str:
    names = ("batch", "time") if len(item.shape) == 2 else ("batch", "sentences", "words")
    named = len(names) == len(item.shape) and item.holds_ids
    sizes = [
        str(size) if size is not None else (names[axis] if named else "any")
        for axis, size in enumerate(item.shape)
    ]
    return f"({', '.join(sizes)})"


def _quote(value: object) -> str:
    return shorten(short_repr(value))
