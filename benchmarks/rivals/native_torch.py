"""The classic model in plain PyTorch, with packed sequences for padded rows."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn


class Classic(nn.Module):
    """An embedding and an LSTM for each input, concatenated, a softmax over the answers."""

    def __init__(self, vocabulary: int, answers: int) -> None:
        super().__init__()
        self.text_embedding = nn.Embedding(vocabulary, 64)
        self.text_lstm = nn.LSTM(64, 32, batch_first=True)
        self.question_embedding = nn.Embedding(vocabulary, 32)
        self.question_lstm = nn.LSTM(32, 16, batch_first=True)
        self.head = nn.Linear(48, answers)

    def forward(self, text, question, sizes=None):
        text = _last(self.text_lstm, self.text_embedding(text), sizes and sizes[0])
        question = _last(self.question_lstm, self.question_embedding(question), sizes and sizes[1])
        return self.head(torch.cat([text, question], dim=1))


def _last(lstm, words, sizes):
    if sizes is None:
        return lstm(words)[0][:, -1]
    packed = nn.utils.rnn.pack_padded_sequence(words, sizes, batch_first=True, enforce_sorted=False)
    return lstm(packed)[1][0][0]


class Rival:
    """Trains and predicts with a plain loop."""

    def __init__(self, feed, labels, vocabulary, answers, batch_size, packed, device) -> None:
        self.model = Classic(vocabulary, answers).to(device)
        self.optimizer = torch.optim.RMSprop(self.model.parameters(), lr=1e-3, alpha=0.9, eps=1e-7)
        self.loss = nn.CrossEntropyLoss()
        self.arrays = feed
        self.feed = [torch.from_numpy(array.astype("int64")).to(device) for array in feed]
        self.labels = torch.from_numpy(labels.astype("int64")).to(device)
        # `pack_padded_sequence` needs the lengths on the host.
        self.sizes = [torch.from_numpy((array != 0).sum(1)) for array in feed] if packed else None
        self.batch_size = batch_size
        self.device = device

    def _batch(self, rows):
        sizes = [size[rows.cpu()] for size in self.sizes] if self.sizes else None
        return [array[rows] for array in self.feed], sizes

    def train(self, epochs: int) -> None:
        self.model.train()
        for _ in range(epochs):
            order = torch.randperm(len(self.labels), device=self.device)
            for rows in order.split(self.batch_size):
                feed, sizes = self._batch(rows)
                self.optimizer.zero_grad()
                self.loss(self.model(*feed, sizes), self.labels[rows]).backward()
                self.optimizer.step()
        self._wait()

    @torch.no_grad()
    def predict(self) -> np.ndarray:
        self.model.eval()
        parts = []
        for rows in torch.arange(len(self.labels), device=self.device).split(self.batch_size):
            feed, sizes = self._batch(rows)
            parts.append(torch.softmax(self.model(*feed, sizes), dim=-1).cpu().numpy())
        return np.concatenate(parts)

    @torch.no_grad()
    def ask(self, feed) -> np.ndarray:
        self.model.eval()
        tensors = [torch.from_numpy(array).to(self.device) for array in feed]
        return torch.softmax(self.model(*tensors), dim=-1).cpu().numpy()

    def ask_each(self, questions: int) -> None:
        for row in range(questions):
            self.ask([array[row : row + 1] for array in self.arrays])

    def _wait(self) -> None:
        if self.device == "cuda":
            torch.cuda.synchronize()
