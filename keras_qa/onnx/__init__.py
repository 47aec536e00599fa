"""Export of trained models to ONNX: folders that ONNX Runtime and transformers.js open."""

from keras_qa import _backend

_backend.require()

from keras_qa.onnx.export_folder import export

__all__ = ["export"]
