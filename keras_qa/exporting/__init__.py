"""Export of trained models to ONNX: folders that ONNX Runtime and transformers.js open."""

from keras_qa import _backend

_backend.require()

from keras_qa.exporting.export_folder import export

__all__ = ["export"]
