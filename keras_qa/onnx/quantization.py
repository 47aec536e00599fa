"""Weights of int8 by ONNX Runtime, kept only if the answers or outputs lose little."""

from __future__ import annotations

import dataclasses
import pathlib
import time
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_qa._arguments import import_extra
from keras_qa.example import Example
from keras_qa.onnx import runtime
from keras_qa.onnx.onnx_graph import Proto, onnx, weights_size, write_graph
from keras_qa.preprocessing import Preprocessor
from keras_qa.preprocessing.preprocessor import TOKENS

BATCH_SIZE = 32
# Number of examples on which outputs are compared.
_MOST = 1_000
# A protobuf message has at most 2 GiB.
MAX_SIZE = 2_000_000_000


@dataclasses.dataclass(frozen=True)
class GraphScores:
    """What was measured of one graph."""

    # Bytes of the graph and its weights.
    size: int
    # Time of the evaluation.
    seconds: float
    # The result of `QuestionAnswerer.evaluate`, or the `agreement` with the graph in float32.
    scores: dict[str, float]


@dataclasses.dataclass(frozen=True)
class QuantizedScores:
    """A graph and its copy with weights of int8, on the same examples.

    Temperature and thresholds of both are fitted on these examples, so that neither has an
    advantage.
    """

    float32: GraphScores
    int8: GraphScores
    # The highest loss of `score`, in percent points.
    max_loss: float

    @property
    def score(self) -> str:
        """What is compared: `"f1"`, or `"agreement"` if the model answers no questions."""
        return "f1" if "f1" in self.float32.scores else "agreement"

    @property
    def loss(self) -> float:
        """The loss of `score` in percent points. Negative if the copy is better."""
        return self.float32.scores[self.score] - self.int8.scores[self.score]

    @property
    def is_kept(self) -> bool:
        """Whether the copy was written."""
        return self.loss <= self.max_loss


def quantize(folder: pathlib.Path, proto: Proto) -> None:
    """Writes `onnx/model_quantized.onnx` into a folder."""
    onnxruntime = import_extra("`int8`", "onnxruntime.quantization", "export")
    # Otherwise ONNX Runtime 1.32 recommends to simplify the graph, which has nothing to simplify.
    onnxruntime.quant_utils.add_pre_process_metadata(proto)
    target = folder / runtime.QUANTIZED
    is_large = weights_size(proto) > MAX_SIZE
    onnxruntime.quantize_dynamic(
        proto,
        target,
        weight_type=onnxruntime.QuantType.QInt8,
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
    return GraphScores(_size(path), time.perf_counter() - began, scores), preprocessor


def compare(folder: pathlib.Path, examples: list[Example]) -> tuple[GraphScores, GraphScores]:
    """Compares the outputs of both graphs of a folder on the questions and texts of examples.

    A question is read with its own text and with that of the next example.
    """
    examples = examples[:_MOST]
    texts = [example.plain_text for example in examples]
    pairs = [example.question for example in examples] * 2, texts + texts[1:] + texts[:1]
    outputs, graphs = [], []
    for name in (runtime.GRAPH, runtime.QUANTIZED):
        model = runtime.ExportedModel(folder / name)
        preprocessor: Any = model.preprocessor
        feed = preprocessor.make_feed(model, *pairs)
        began = time.perf_counter()
        outputs.append(np.asarray(model.predict(feed, BATCH_SIZE), "float64"))
        seconds = time.perf_counter() - began
        share = _agreement(model.task, feed["padding_mask"] > 0, outputs[0], outputs[-1])
        scores = {"agreement": 100 * share, "examples": len(examples)}
        graphs.append(GraphScores(_size(folder / name), seconds, scores))
    return graphs[0], graphs[1]


def _agreement(
    task: str,
    is_piece: npt.NDArray[np.bool_],
    expected: npt.NDArray[np.float64],
    outputs: npt.NDArray[np.float64],
) -> float:
    """Returns how well outputs agree, at most 1.

    This is the mean cosine similarity of vectors, the share of pieces with the same label, of pairs
    with the same label, or for a ranker of couples of pairs in the same order.
    """
    if task == runtime.EMBEDDING:
        lengths = np.linalg.norm(expected, axis=1) * np.linalg.norm(outputs, axis=1)
        return float(((expected * outputs).sum(axis=1) / lengths).mean())
    if outputs.shape[-1] > 1:
        is_same = expected.argmax(axis=-1) == outputs.argmax(axis=-1)
        return float(is_same[is_piece].mean() if task == TOKENS else is_same.mean())
    order = np.argsort(expected[:, 0], kind="stable")
    rows, columns = np.triu_indices(len(order), 1)
    values = outputs[order, 0]
    return float((values[rows] <= values[columns]).mean())


def _size(path: pathlib.Path) -> int:
    """Returns the bytes of a graph and its weights."""
    files = (path, path.with_name(f"{path.name}_data"))
    return sum(file.stat().st_size for file in files if file.exists())
