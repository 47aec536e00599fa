"""How published encoders start where nothing is read."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator

import keras

from keras_qa.kernels.tensors import Shape, Tensor

_follow: contextvars.ContextVar[bool] = contextvars.ContextVar("weights_follow", default=False)


@contextlib.contextmanager
def weights_follow() -> Iterator[None]:
    """Leaves out drawing numbers that weights from a file replace at once.

    For an encoder of 22 million weights it takes a second and several times their memory.
    """
    token = _follow.set(True)
    try:
        yield
    finally:
        _follow.reset(token)


@keras.saving.register_keras_serializable(package="keras_qa")
class EncoderInitializer(keras.initializers.TruncatedNormal):
    """BERT's first weights: a normal distribution of width 0.02, cut at twice that.

    Inside `weights_follow` they are zeros.
    """

    def __init__(self, stddev: float = 0.02, mean: float = 0.0, seed: int | None = None) -> None:
        super().__init__(mean, stddev, seed)

    def __call__(self, shape: Shape, dtype: str | None = None) -> Tensor:
        if _follow.get():
            return keras.ops.zeros(shape, dtype)
        return super().__call__(shape, dtype)
