"""The universal transformer over sentences in PyTorch, without Keras, by `MultiheadAttention`."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

MAX_WORDS, MAX_SENTENCES = 12, 128


class Stories(nn.Module):
    """The default of `keras_qa.models.universal_transformer` in PyTorch."""

    def __init__(self, vocabulary, answers, dim, hidden, steps, heads, dropout) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, dim, padding_idx=0)
        self.places = nn.Parameter(torch.eye(dim) + torch.randn(MAX_WORDS, dim, dim) * dim**-0.5)
        self.ages = nn.Embedding(MAX_SENTENCES, dim)
        self.query_signal = nn.Parameter(0.3 * torch.randn(dim))
        self.step_signals = nn.Parameter(0.3 * torch.randn(steps, dim))
        self.attention_norm, self.transition_norm, self.output_norm = (
            nn.LayerNorm(dim) for _ in range(3)
        )
        self.attention = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.transition = nn.Sequential(nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, dim))
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(dim, answers)

    def encode(self, ids):
        places = torch.arange(ids.shape[-1], device=ids.device).clamp(max=MAX_WORDS - 1)
        words = self.words(ids).flatten(-2)
        return self.drop(words @ self.places[places].flatten(0, 1))

    def forward(self, text, question):
        there = (text != 0).any(-1)
        age = there.sum(1, keepdim=True) - there.cumsum(1)
        ages = self.ages(age.clamp(0, MAX_SENTENCES - 1)) * there[..., None]
        query = self.encode(question)[:, None]
        signals = torch.cat([self.query_signal.expand_as(query), ages], dim=1)
        state = torch.cat([query, self.encode(text)], dim=1)
        padding = torch.cat([torch.zeros_like(there[:, :1]), ~there], dim=1)
        for step in self.step_signals:
            state = state + signals + step
            read = self.attention_norm(state)
            mixed, _ = self.attention(read, read, read, padding, need_weights=False)
            state = state + self.drop(mixed)
            state = state + self.drop(self.transition(self.transition_norm(state)))
        return self.head(self.drop(self.output_norm(state)[:, 0]))


class StoryRival:
    """Trains with a plain loop. Each batch is trimmed to its longest story."""

    def __init__(self, feed, labels, vocabulary, answers, options, batch_size, device) -> None:
        self.model = Stories(vocabulary, answers, **options).to(device)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1.5e-3, eps=1e-7)
        self.loss = nn.CrossEntropyLoss()
        self.feed = [torch.from_numpy(array.astype("int64")).to(device) for array in feed]
        self.labels = torch.from_numpy(np.asarray(labels, "int64")).to(device)
        self.sentences = torch.from_numpy((feed[0] != 0).any(-1).sum(1))
        self.batch_size = batch_size
        self.device = device

    def train(self, epochs: int) -> None:
        self.model.train()
        for _ in range(epochs):
            for rows in torch.randperm(len(self.labels)).split(self.batch_size):
                longest = int(self.sentences[rows].max())
                rows = rows.to(self.device)
                text, question = self.feed[0][rows, :longest], self.feed[1][rows]
                self.optimizer.zero_grad()
                self.loss(self.model(text, question), self.labels[rows]).backward()
                self.optimizer.step()
        if self.device == "cuda":
            torch.cuda.synchronize()
