"""Fine-tuning `transformers.BertForQuestionAnswering` with a plain loop."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

import numpy as np
import torch


class ReaderRival:
    """Trains on the windows that a reader of ours is trained on.

    Args:
        folder: A BERT-shaped encoder in Hugging Face's layout.
        feed: `token_ids`, `segment_ids` and `padding_mask`, `(windows, positions)`.
        start: `(windows,)` positions of the first word of the answer.
        end: `(windows,)` positions of the last.
        batch_size: Windows a step.
        half: Whether to multiply in bfloat16.
        device: As PyTorch calls it.
    """

    def __init__(
        self,
        folder: str,
        feed: Mapping[str, np.ndarray],
        start: np.ndarray,
        end: np.ndarray,
        batch_size: int,
        half: bool,
        device: str,
    ) -> None:
        from transformers import BertForQuestionAnswering, logging

        logging.set_verbosity_error()
        # Weights in single precision, whatever the file has.
        self.model = BertForQuestionAnswering.from_pretrained(folder, dtype=torch.float32)
        self.model.to(device)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-4, weight_decay=0.01)
        names = {
            "input_ids": feed["token_ids"],
            "token_type_ids": feed["segment_ids"],
            "attention_mask": feed["padding_mask"],
            "start_positions": start,
            "end_positions": end,
        }
        self.data = {
            name: torch.from_numpy(np.asarray(array, "int64")) for name, array in names.items()
        }
        self.batch_size = batch_size
        self.half = half
        self.device = device

    def train(self, epochs: int) -> None:
        self.model.train()
        lengths = self.data["attention_mask"].sum(1)
        for _ in range(epochs):
            for rows in torch.randperm(len(lengths)).split(self.batch_size):
                longest = int(lengths[rows].max())
                batch = {
                    name: (array[rows, :longest] if array.ndim == 2 else array[rows]).to(
                        self.device
                    )
                    for name, array in self.data.items()
                }
                precision: contextlib.AbstractContextManager = contextlib.nullcontext()
                if self.half:
                    precision = torch.autocast(self.device, torch.bfloat16)
                with precision:
                    loss = self.model(**batch).loss
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()
        if self.device == "cuda":
            torch.cuda.synchronize()
