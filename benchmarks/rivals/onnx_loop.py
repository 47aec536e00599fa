"""Answers with ONNX Runtime, by the loop of `transformers_loop`."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from typing import Any

import onnxruntime
import onnxscript  # noqa: F401 - raises here, not in the exporter, if it is missing.
import torch

from benchmarks.rivals.transformers_loop import Loop


class OnnxLoop(Loop):
    """A `Loop` with an exported float32 model for any batch size and length.

    Args:
        *arguments: As in `Loop`.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        example = dict(self.tokenizer(["a"] * 2, ["b c"] * 2, return_tensors="pt"))
        sizes = {0: torch.export.Dim("rows"), 1: torch.export.Dim("positions", max=self.max_length)}
        with tempfile.TemporaryDirectory() as place:
            file = os.path.join(place, "reader.onnx")
            torch.onnx.export(
                self.model,
                kwargs=example,
                f=file,
                input_names=list(example),
                output_names=["start", "end"],
                dynamic_shapes=dict.fromkeys(example, sizes),
                dynamo=True,
                verbose=False,
            )
            self.session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        del self.model

    def logits(self, batch: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        feed = {name: values.numpy() for name, values in batch.items()}
        start, end = self.session.run(["start", "end"], feed)
        return torch.from_numpy(start), torch.from_numpy(end)
