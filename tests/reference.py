"""NumPy implementations of layers, from the papers, that tests compare with."""

import numpy as np


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-x))


def softmax(x: np.ndarray) -> np.ndarray:
    exponentials = np.exp(x - x.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def lstm_step(x, h, c, kernel, recurrent, bias):
    """Hochreiter & Schmidhuber 1997 with a forget gate; gates in Keras' order i, f, c, o."""
    i, f, g, o = np.split(x @ kernel + h @ recurrent + bias, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def gru_step(x, h, _, kernel, recurrent, bias):
    """Cho et al. 2014 with the reset gate after the product; gates in Keras' order z, r, h."""
    xz, xr, xh = np.split(x @ kernel + bias[0], 3)
    hz, hr, hh = np.split(h @ recurrent + bias[1], 3)
    z, r = sigmoid(xz + hz), sigmoid(xr + hr)
    return z * h + (1 - z) * np.tanh(xh + r * hh), None


def states(cell: str, words: np.ndarray, weights: list[np.ndarray]) -> np.ndarray:
    """All states of a recurrent layer over one sequence: `(time, units)`."""
    step = {"lstm": lstm_step, "gru": gru_step}[cell]
    h = c = np.zeros(weights[1].shape[0])
    result = []
    for word in words:
        h, c = step(word, h, c, *weights)
        result.append(h)
    return np.array(result)


def encode(
    ids: np.ndarray, weights: list[np.ndarray], cell: str, bidirectional: bool, pooling: str
) -> np.ndarray:
    """`SequenceEncoder`, row by row, without padding."""
    table, *recurrent = [np.asarray(weight, "float64") for weight in weights]
    units = recurrent[1].shape[0] * (2 if bidirectional else 1)
    rows = []
    for row in ids:
        words = table[row[row != 0]]
        if len(words) == 0:
            rows.append(np.zeros(units))
            continue
        directions = [states(cell, words, recurrent[:3])]
        if bidirectional:
            directions.append(states(cell, words[::-1], recurrent[3:])[::-1])
        if pooling == "last":
            ends = [directions[0][-1], *(backward[0] for backward in directions[1:])]
            rows.append(np.concatenate(ends))
        else:
            every = np.concatenate(directions, axis=1)
            rows.append(every.mean(axis=0) if pooling == "mean" else every.max(axis=0))
    return np.array(rows)


def classification_head(
    features: np.ndarray, weights: list[np.ndarray], pooling: str | None
) -> np.ndarray:
    """`ClassificationHead`: pooling, with five weights a tanh layer and a norm, and logits."""
    *before, kernel, bias = [np.asarray(weight, "float64") for weight in weights]
    mask = (features != 0).any(axis=-1)[..., None]
    if pooling == "first":
        features = features[:, 0]
    elif pooling == "mean":
        features = features.sum(axis=1) / np.maximum(mask.sum(axis=1), 1)
    elif pooling == "max":
        highest = np.where(mask, features, -np.inf).max(axis=1)
        features = np.where(mask.any(axis=1), highest, 0.0)
    if before:
        features = np.tanh(features @ before[0] + (before[1] if len(before) == 3 else 0))
        centered = features - features.mean(axis=-1, keepdims=True)
        features = centered / np.sqrt(features.var(axis=-1, keepdims=True) + 1e-3) * before[-1]
    logits = features @ kernel + bias
    return logits * mask if pooling is None else logits


def softmax_head(features: np.ndarray, weights: list[np.ndarray]) -> np.ndarray:
    """`AnswerHead`: an optional ReLU layer and a softmax."""
    weights = [np.asarray(weight, "float64") for weight in weights]
    while len(weights) > 2:
        features = np.maximum(features @ weights[0] + weights[1], 0)
        weights = weights[2:]
    return softmax(features @ weights[0] + weights[1])
