"""Data sources, whose batches are checked one by one before a backend gets them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import numpy as np

from keras_qa._arguments import is_frame, is_number, must_be, short_repr
from keras_qa.engine import execution
from keras_qa.engine.arrays import DataSource, Feed, Labels, Weights, form_of, is_source

Batch = tuple[Any, ...]
Check = Callable[[Any], Batch]

_EMPTY = "The data source has no batches. Pass one that yields at least one batch in each epoch."


class CheckedSource:
    """A data source whose batches are checked. An empty one raises a `ValueError`.

    `check` takes a batch of the source, and returns the tuple for Keras, which gets `data`, with
    `shuffle=False`. The batches of a `PyDataset` may be shuffled. `error` is the exception that the
    source or the check raised: TensorFlow only keeps its message. `form` is `form_of` the labels
    and weights of each batch, once there was one.
    """

    def __init__(self, source: DataSource, check: Check, steps: int | None, shuffle: bool) -> None:
        self.error: BaseException | None = None
        self.form: Any = None
        self._check = check
        if isinstance(source, keras.utils.PyDataset):
            data: Any = _ByPosition(source, self._checked, shuffle)
            if data.num_batches == 0:
                raise ValueError(_EMPTY)
        elif isinstance(source, Iterator):
            # It can be read only once: each epoch continues after the last one.
            data = self._all_checked(source)
        elif steps is not None:
            data = self._all_checked(_repeated(source))
        else:
            data = _InOrder(source, self._checked, _length(source))
        self.data = execution.as_dataset(data)

    def _checked(self, read: Callable[[], Any], position: int) -> Batch:
        try:
            batch = read()
            try:
                checked = self._check(batch)
                self._check_form(checked[1:])
            except (TypeError, ValueError) as error:
                raise type(error)(f"Batch {position} (the first is 0): {error}") from None
            # tf.data converts a list to one tensor, but keeps a tuple.
            return tuple(
                tuple(part) if isinstance(part, list) else part
                for part in checked
                if part is not None
            )
        except StopIteration:
            raise
        except Exception as error:
            self.error = error
            raise
        except BaseException as error:
            # TensorFlow reads in its own thread, which only supports subclasses of `Exception`.
            self.error = error
            raise RuntimeError(f"The data source stopped: {error!r}") from error

    def _check_form(self, parts: Batch) -> None:
        """Checks that all batches have the same kind of labels and weights.

        TensorFlow compiles a step for one structure, and converts later batches to its dtypes.
        """
        form = form_of(parts)
        if self.form is None:
            self.form = form
        for part, other, name in zip(form, self.form, ("labels", "sample weights"), strict=True):
            if part != other:
                raise ValueError(
                    f"its {name} have other axes or another dtype than those of other batches, or "
                    f"only some batches have {name}. Yield the same kind with every batch."
                )

    def _all_checked(self, source: Iterable[Any]) -> Iterator[Batch]:
        checked = self._in_order(iter(source))
        first = next(checked, None)
        if first is None:
            raise ValueError(_EMPTY)
        # Keras accepts a generator, but not other iterators.
        return (batch for batch in itertools.chain([first], checked))

    def _in_order(self, batches: Iterator[Any]) -> Iterator[Batch]:
        for position in itertools.count():
            try:
                batch = self._checked(lambda: next(batches), position)
            except StopIteration:
                return
            yield batch


class RaiseErrors(keras.callbacks.Callback):
    """Raises the error of a source in TensorFlow's thread before the epoch ends."""

    def __init__(self, source: CheckedSource) -> None:
        super().__init__()
        self.source = source

    def check(self, *_: object) -> None:
        if self.source.error is not None:
            raise self.source.error from None

    on_epoch_end = on_test_begin = on_test_end = on_predict_end = check


class _ByPosition(keras.utils.PyDataset):
    """A `PyDataset` whose batches are checked and optionally shuffled."""

    def __init__(
        self,
        source: keras.utils.PyDataset,
        checked: Callable[[Callable[[], Any], int], Batch],
        shuffle: bool,
    ) -> None:
        super().__init__(source.workers, source.use_multiprocessing, source.max_queue_size)
        self.source = source
        self.checked = checked
        self.shuffle = shuffle
        self.order: np.ndarray | None = None

    @property
    def num_batches(self) -> int | None:
        return self.source.num_batches

    def __getitem__(self, index: int) -> Batch:
        position = index if self.order is None else int(self.order[index])
        return self.checked(lambda: self.source[position], position)

    def on_epoch_begin(self) -> None:
        self.source.on_epoch_begin()
        if self.shuffle and self.num_batches is not None:
            self.order = np.random.permutation(self.num_batches)

    def on_epoch_end(self) -> None:
        self.source.on_epoch_end()


class _InOrder(keras.utils.PyDataset):
    """Batches that can only be read in order, starting at 0."""

    def __init__(
        self,
        source: Iterable[Any],
        checked: Callable[[Callable[[], Any], int], Batch],
        length: int,
    ) -> None:
        super().__init__()
        self.source = source
        self.checked = checked
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Batch:
        if index == 0:
            self.batches = iter(self.source)
        return self.checked(lambda: self._next(index), index)

    def _next(self, index: int) -> Any:
        try:
            return next(self.batches)
        except StopIteration:
            raise RuntimeError(
                f"The data source has length {self.length}, but ended after {index} batches."
            ) from None


def _repeated(source: Iterable[Any]) -> Iterator[Any]:
    """Yields the batches of a source again and again, until it is empty."""
    while True:
        batch = None
        for batch in source:
            yield batch
        if batch is None:
            return


def _length(source: Any) -> int:
    try:
        length = len(source)
    except TypeError as error:
        # tf.data raises this for an infinite dataset. Other sources just have no length.
        if "infinite" in str(error):
            raise ValueError(
                "The data source never ends. Pass `steps_per_epoch` to `fit`, or `steps` to "
                "`evaluate` and `predict`."
            ) from None
        length = sum(1 for _ in source)
    if length == 0:
        raise ValueError(_EMPTY)
    return length


def unpacked(
    batch: Feed | tuple[Any, ...], inputs: int
) -> tuple[Feed, Labels | None, Weights | None]:
    """Splits a batch of a source into inputs, labels and weights."""
    if not isinstance(batch, (list, tuple)):
        return batch, None, None
    if isinstance(batch, list) and inputs > 1:
        # A DataLoader over a TensorDataset yields a flat list: inputs, then labels.
        flat = not any(isinstance(part, (list, tuple, dict)) or is_frame(part) for part in batch)
        if flat and inputs <= len(batch) <= inputs + 2:
            rest = [*batch[inputs:], None, None]
            return batch[:inputs], rest[0], rest[1]
    return unpack(batch, "A batch")


def unpack(parts: object, name: str) -> tuple[Any, Any, Any]:
    """Completes `(x,)`, `(x, y)` or `(x, y, sample_weight)` by `None`."""
    if not isinstance(parts, (list, tuple)) or not 1 <= len(parts) <= 3:
        raise ValueError(
            f"{name} must be `(x, y)` or `(x, y, sample_weight)`. Received: {short_repr(parts)}."
        )
    x, y, sample_weight = (*parts, None, None)[:3]
    return x, y, sample_weight


def split_off(parts: Batch, share: float) -> tuple[Batch, Batch]:
    """Splits off the last rows of arrays for validation, like Keras."""
    if is_source(parts[0]) or not (is_number(share) and 0 < share < 1):
        expected = "between 0 and 1, and needs arrays: pass `validation_data` for a source"
        raise ValueError(must_be("validation_split", expected, share))
    rows = len(keras.tree.flatten(parts[0])[0])
    first = int(rows * (1 - share))
    if first == 0 or first == rows:
        raise ValueError(
            f"`validation_split={share}` of {rows} examples leaves no examples on one side. Use "
            "another share."
        )

    def cut(part: slice) -> Batch:
        return keras.tree.map_structure(lambda array: None if array is None else array[part], parts)

    return cut(slice(first)), cut(slice(first, None))
