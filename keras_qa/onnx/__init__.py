"""Models as folders with an ONNX graph: `export` writes them, `runtime` computes them.

The runtime imports no Keras.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keras_qa.onnx.export_folder import export

__all__ = ["export"]


def __getattr__(name: str) -> object:
    if name != "export":
        raise AttributeError(f"module 'keras_qa.onnx' has no attribute {name!r}")
    from keras_qa import _backend

    _backend.require()
    from keras_qa.onnx.export_folder import export

    return export
