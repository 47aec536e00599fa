"""Scores pairs of texts with `transformers` alone."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, logging

BATCH = 32


class RankerLoop:
    """A ranker that scores the texts of each question in batches of similar length.

    Args:
        folder: A checkpoint.
        questions: The questions.
        texts: The texts of each.
        max_length: Positions of a pair.
    """

    def __init__(
        self, folder: str, questions: Sequence[str], texts: Sequence[Sequence[str]], max_length: int
    ) -> None:
        logging.set_verbosity_error()
        torch.manual_seed(0)
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForSequenceClassification.from_pretrained(
            folder, num_labels=1, dtype=torch.float32
        ).eval()
        self.questions, self.texts, self.max_length = questions, texts, max_length

    def rank(self) -> list[list[int]]:
        """The places of the texts of each question, best first."""
        return [*map(self._rank, self.questions, self.texts)]

    def _rank(self, question: str, texts: Sequence[str]) -> list[int]:
        found = self.tokenizer(
            [question] * len(texts), list(texts), truncation=True, max_length=self.max_length
        )
        order = sorted(range(len(texts)), key=lambda row: len(found["input_ids"][row]))
        logits = torch.zeros(len(texts))
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            batch = self.tokenizer.pad(
                {name: [values[row] for row in rows] for name, values in found.items()},
                return_tensors="pt",
            )
            with torch.inference_mode():
                logits[rows] = self.model(**batch).logits[:, 0]
        return logits.argsort(descending=True).tolist()
