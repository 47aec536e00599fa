"""NumPy implementations of the layers and metrics of a reader, from the papers."""

import numpy as np
from reference import softmax, states


def there(rows: np.ndarray) -> np.ndarray:
    return (rows != 0).any(axis=-1)


def doubles(weights) -> list[np.ndarray]:
    return [np.asarray(weight, "float64") for weight in weights]


def context(words: np.ndarray, weights, cell: str, layers: int) -> np.ndarray:
    """Stacked bidirectional recurrent layers, without padding."""
    weights = doubles(weights)
    units = weights[1].shape[0]
    result = np.zeros((*words.shape[:2], 2 * units))
    for row, present in enumerate(there(words)):
        sequence = words[row, present].astype("float64")
        if not len(sequence):
            continue
        for layer in range(layers):
            # Keras lists the weights of all forward layers first.
            before = states(cell, sequence, weights[3 * layer : 3 * layer + 3])
            own = weights[3 * (layers + layer) : 3 * (layers + layer) + 3]
            after = states(cell, sequence[::-1], own)[::-1]
            sequence = np.concatenate([before, after], axis=1)
        result[row, present] = sequence
    return result


def aligned(inputs, weights) -> np.ndarray:
    """Chen et al. 2017, section 3.2: f_align, with one dense ReLU layer alpha."""
    kernel, bias = doubles(weights)
    text, question = (part.astype("float64") for part in inputs)
    result = np.zeros_like(text)
    for row in range(len(text)):
        words, asked = text[row, there(text)[row]], question[row, there(question)[row]]
        if not len(asked):
            continue
        left, right = (np.maximum(part @ kernel + bias, 0) for part in (words, asked))
        result[row, there(text)[row]] = softmax(left @ right.T) @ asked
    return result


def flow(inputs, weights) -> np.ndarray:
    """Seo et al. 2017, section 2, layer 4: context-to-query and query-to-context attention."""
    own, other, both = doubles(weights)
    text, question = (part.astype("float64") for part in inputs)
    result = np.zeros((*text.shape[:2], 4 * text.shape[2]))
    for row in range(len(text)):
        h, u = text[row, there(text)[row]], question[row, there(question)[row]]
        if not len(h):
            continue
        similarity = np.array([[own @ t + other @ q + both @ (t * q) for q in u] for t in h])
        found = softmax(similarity) @ u if len(u) else np.zeros_like(h)
        # Without a question all words have the same weight.
        highest = similarity.max(axis=1) if len(u) else np.zeros(len(h))
        important = softmax(highest) @ h
        values = [h, found, h * found, h * important]
        result[row, there(text)[row]] = np.concatenate(values, axis=1)
    return result


def span_head(features, weights, no_answer: str) -> list[np.ndarray]:
    """A linear layer over each position, the logits of no answer at position 0, then of types."""
    weights = doubles(weights)
    if isinstance(features, list):
        features = np.concatenate(features, axis=-1)
    features = features.astype("float64")
    if no_answer == "learned":
        # The layer's own weight comes first, then those of its sublayers.
        none, *weights = weights
    logits = features @ weights[0] + weights[1]
    if no_answer == "learned":
        first = np.broadcast_to(none, (len(logits), 1, 2))
        logits = np.concatenate([first, logits], axis=1)
    if len(weights) > 2:
        types = features[:, 0] @ weights[2] + weights[3]
        types = np.stack([types, types], axis=-1)
        logits = np.concatenate([logits[:, :1], types, logits[:, 1:]], axis=1)
    return [logits[..., 0], logits[..., 1]]


def best_span(start: np.ndarray, end: np.ndarray, most: int) -> tuple[int, int]:
    """The span with the highest sum of logits, by brute force."""
    spans = [(0, 0)] + [
        (first, last)
        for first in range(1, len(start))
        for last in range(first, min(first + most, len(start)))
    ]
    return max(spans, key=lambda span: start[span[0]] + end[span[1]])


def overlap(span: tuple[int, int], gold: tuple[int, int]) -> float:
    """F1 of two sets of positions."""
    mine, right = (set(range(first, last + 1)) for first, last in (span, gold))
    return 2 * len(mine & right) / (len(mine) + len(right))
