"""Weights of int8 by ONNX Runtime, kept only if the answers lose little."""

from __future__ import annotations

import dataclasses
import pathlib
import time

from keras_qa.example import Example
from keras_qa.onnx import runtime
from keras_qa.onnx.onnx_graph import Proto, onnx, weights_size, write_graph
from keras_qa.preprocessing import Preprocessor

BATCH_SIZE = 32
# A protobuf message has at most 2 GiB.
MAX_SIZE = 2_000_000_000


@dataclasses.dataclass(frozen=True)
class GraphScores:
    """What was measured of one graph."""

    # Bytes of the graph and its weights.
    size: int
    # Time of the evaluation.
    seconds: float
    # The result of `QuestionAnswerer.evaluate`.
    scores: dict[str, float]


@dataclasses.dataclass(frozen=True)
class QuantizedScores:
    """A graph and its copy with weights of int8, on the same examples.

    Temperature and thresholds of both are fitted on these examples, so that neither has an
    advantage.
    """

    float32: GraphScores
    int8: GraphScores
    # The highest loss of F1, in percent points.
    max_loss: float

    @property
    def loss(self) -> float:
        """The loss of F1 in percent points. Negative if the copy is better."""
        return self.float32.scores["f1"] - self.int8.scores["f1"]

    @property
    def is_kept(self) -> bool:
        """Whether the copy was written."""
        return self.loss <= self.max_loss


def quantize(folder: pathlib.Path, proto: Proto) -> None:
    """Writes `onnx/model_quantized.onnx` into a folder."""
    try:
        from onnxruntime.quantization import QuantType, quant_utils, quantize_dynamic
    except ImportError as error:
        raise ImportError(
            f"`int8` needs `onnxruntime`, which cannot be imported ({error}). Install it: "
            '`pip install "keras-qa[export]"`.'
        ) from error
    # Otherwise ONNX Runtime 1.32 recommends to simplify the graph, which has nothing to simplify.
    quant_utils.add_pre_process_metadata(proto)
    target = folder / runtime.QUANTIZED
    is_large = weights_size(proto) > MAX_SIZE
    quantize_dynamic(
        proto,
        target,
        weight_type=QuantType.QInt8,
        per_channel=True,
        use_external_data_format=is_large,
    )
    if is_large:
        # ONNX Runtime 1.32 gives the file of the weights another name than `export`.
        proto = onnx().load(target)
        target.with_name(f"{target.name}.data").unlink()
        write_graph(proto, target, MAX_SIZE)


def measure(path: pathlib.Path, examples: list[Example]) -> tuple[GraphScores, Preprocessor]:
    """Fits the preprocessor of a graph on examples, and evaluates both on them."""
    model = runtime.ExportedModel(path)
    preprocessor = model.preprocessor
    preprocessor.recalibrate(model, examples, BATCH_SIZE)
    began = time.perf_counter()
    scores = preprocessor.evaluate(model, examples, BATCH_SIZE, 0)
    seconds = time.perf_counter() - began
    files = (path, path.with_name(f"{path.name}_data"))
    size = sum(file.stat().st_size for file in files if file.exists())
    return GraphScores(size, seconds, scores), preprocessor
