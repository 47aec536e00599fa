"""Fine-tuning `BertForQuestionAnswering` and `BertForMultipleChoice` with a plain loop."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

import numpy as np
import torch

# Without weight decay, as in the examples of `transformers`.
_NO_DECAY = ("bias", "LayerNorm.weight")


class ReaderRival:
    """Trains on the same windows as a reader of this package.

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
        positions = {"start_positions": start, "end_positions": end}
        self._prepare("BertForQuestionAnswering", folder, feed, positions, batch_size, half, device)

    def _prepare(
        self,
        kind: str,
        folder: str,
        feed: Mapping[str, np.ndarray],
        labels: Mapping[str, np.ndarray],
        batch_size: int,
        half: bool,
        device: str,
    ) -> None:
        import transformers

        transformers.logging.set_verbosity_error()
        # The file may hold weights of another precision.
        self.model = getattr(transformers, kind).from_pretrained(folder, dtype=torch.float32)
        self.model.to(device)
        decayed, others = [], []
        for name, weight in self.model.named_parameters():
            (others if name.endswith(_NO_DECAY) else decayed).append(weight)
        groups = [{"params": decayed, "weight_decay": 0.01}, {"params": others, "weight_decay": 0}]
        self.optimizer = torch.optim.AdamW(groups, lr=1e-4)
        self.data = _tensors(feed)
        for name, values in labels.items():
            self.data[name] = torch.from_numpy(np.asarray(values, "int64"))
        self.batch_size = batch_size
        self.half = half
        self.device = device

    def train(self, epochs: int, warmup: float | None = None) -> None:
        """Trains for some epochs at a fixed rate, with rows of similar length in one batch.

        With `warmup` the rate rises linearly for this share of the steps and then falls to
        nothing, and gradients are clipped to a norm of 1, as `transformers.Trainer` does.
        """
        self.model.train()
        steps = epochs * -(-len(self.data["input_ids"]) // self.batch_size)
        schedule = None
        if warmup is not None:
            from transformers import get_linear_schedule_with_warmup

            schedule = get_linear_schedule_with_warmup(self.optimizer, int(warmup * steps), steps)
        for _ in range(epochs):
            for rows in self._batches():
                with self._precision():
                    loss = self.model(**self._batch(self.data, rows)).loss
                self.optimizer.zero_grad()
                loss.backward()
                if schedule is not None:
                    torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
                self.optimizer.step()
                if schedule is not None:
                    schedule.step()
        if self.device == "cuda":
            torch.cuda.synchronize()

    def logits(self, feed: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """`(windows, positions)` logits of the start and of the end."""
        self.model.eval()
        data = _tensors(feed)
        shape = tuple(data["input_ids"].shape)
        start, end = np.full((2, *shape), -1e9, "float32")
        for rows in torch.argsort(data["attention_mask"].sum(1)).split(32):
            with torch.no_grad(), self._precision():
                found = self.model(**self._batch(data, rows))
            for array, part in ((start, found.start_logits), (end, found.end_logits)):
                array[rows.numpy(), : part.shape[1]] = part.float().cpu().numpy()
        return start, end

    def _batches(self) -> list[torch.Tensor]:
        """The batches of an epoch in random order, each with rows of similar length."""
        lengths = (
            self.data["attention_mask"].sum(-1).reshape(len(self.data["input_ids"]), -1).amax(1)
        )
        rows = torch.randperm(len(lengths))
        rows = rows[torch.argsort(lengths[rows], stable=True)]
        batches = rows.split(self.batch_size)
        return [batches[place] for place in torch.randperm(len(batches)).tolist()]

    def _batch(
        self, data: Mapping[str, torch.Tensor], rows: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Rows, trimmed to the longest of them."""
        longest = int(data["attention_mask"][rows].sum(-1).max())
        cut = {n: (t[rows][..., :longest] if t.ndim > 1 else t[rows]) for n, t in data.items()}
        return {name: tensor.to(self.device) for name, tensor in cut.items()}

    def _precision(self) -> contextlib.AbstractContextManager:
        return (
            torch.autocast(self.device, torch.bfloat16) if self.half else contextlib.nullcontext()
        )


class ChooserRival(ReaderRival):
    """Trains on the same rows as a multiple-choice model: `(questions, choices, positions)`."""

    def __init__(
        self,
        folder: str,
        feed: Mapping[str, np.ndarray],
        labels: np.ndarray,
        batch_size: int,
        half: bool,
        device: str,
    ) -> None:
        kind = "BertForMultipleChoice"
        self._prepare(kind, folder, feed, {"labels": labels}, batch_size, half, device)

    def choose(self, feed: Mapping[str, np.ndarray]) -> np.ndarray:
        """`(questions,)`: the number of the best choice."""
        self.model.eval()
        data, found = _tensors(feed), []
        for rows in torch.arange(len(data["input_ids"])).split(8):
            with torch.no_grad(), self._precision():
                found.append(self.model(**self._batch(data, rows)).logits.argmax(dim=1))
        return torch.cat(found).cpu().numpy()


def _tensors(feed: Mapping[str, np.ndarray]) -> dict[str, torch.Tensor]:
    names = {
        "input_ids": "token_ids",
        "token_type_ids": "segment_ids",
        "attention_mask": "padding_mask",
    }
    return {
        theirs: torch.from_numpy(np.asarray(feed[ours], "int64")) for theirs, ours in names.items()
    }
