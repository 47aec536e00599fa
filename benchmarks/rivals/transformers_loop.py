"""Answers with `transformers` alone, as its documentation shows since version 5."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from transformers import AutoModelForQuestionAnswering, AutoTokenizer, logging

BATCH, LONGEST_ANSWER = 32, 30


class Loop:
    """A reader that answers questions in batches of similar length.

    Args:
        folder: A checkpoint.
        texts: The texts.
        questions: A question for each.
        max_length: Positions of a window.
        stride: Pieces that a window shares with the one before.
    """

    def __init__(
        self,
        folder: str,
        texts: Sequence[str],
        questions: Sequence[str],
        max_length: int,
        stride: int,
    ) -> None:
        logging.set_verbosity_error()
        # The same random head in each process, if the checkpoint has none.
        torch.manual_seed(0)
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForQuestionAnswering.from_pretrained(folder, dtype=torch.float32)
        self.model.eval()
        self.texts, self.questions = list(texts), list(questions)
        self.max_length, self.stride = max_length, stride

    def answer_each(self) -> list[str]:
        """The best span of each text, one text after the other."""
        return [self.answer(slice(row, row + 1))[0] for row in range(len(self.texts))]

    def answer(self, rows: slice = slice(None)) -> list[str]:
        """The best span of each text, or of some of them."""
        texts, questions = self.texts[rows], self.questions[rows]
        found = self.tokenizer(
            questions,
            texts,
            truncation="only_second",
            max_length=self.max_length,
            stride=self.stride,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )
        owners = found.pop("overflow_to_sample_mapping")
        offsets = found.pop("offset_mapping")
        best: list[tuple[float, str]] = [(-float("inf"), "")] * len(texts)
        order = sorted(range(len(owners)), key=lambda row: len(found["input_ids"][row]))
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            batch = self.tokenizer.pad(
                {name: [values[row] for row in rows] for name, values in found.items()},
                return_tensors="pt",
            )
            start_logits, end_logits = self.logits(batch)
            for place, row in enumerate(rows):
                inside = torch.tensor([part == 1 for part in found.sequence_ids(row)])
                size = len(inside)
                starts = start_logits[place, :size].masked_fill(~inside, -1e9)
                ends = end_logits[place, :size].masked_fill(~inside, -1e9)
                scores = (starts[:, None] + ends[None]).triu().tril(LONGEST_ANSWER - 1)
                scores = scores.masked_fill(scores == 0, -1e9)
                highest = int(scores.argmax())
                first, last = divmod(highest, size)
                score = float(scores.flatten()[highest])
                owner = owners[row]
                if score > best[owner][0]:
                    span = texts[owner][offsets[row][first][0] : offsets[row][last][1]]
                    best[owner] = (score, span)
        return [text for _, text in best]

    def logits(self, batch: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """The outputs for start and end, `(rows, positions)` each."""
        with torch.inference_mode():
            outputs = self.model(**batch)
        return outputs.start_logits, outputs.end_logits
