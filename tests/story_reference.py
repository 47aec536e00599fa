"""NumPy implementations of the layers for stories, from the papers."""

import numpy as np
from reference import sigmoid, softmax


def by_sentence(encode, ids: np.ndarray, weights) -> np.ndarray:
    """Calls `encode` with the ids of each sentence."""
    rows = ids.reshape(-1, ids.shape[-1])
    vectors = [encode(row, weights) for row in rows]
    return np.array(vectors).reshape(*ids.shape[:-1], -1)


def sentence_roles(row, weights) -> np.ndarray:
    """After Schlag & Schmidhuber 2018: the sum of role times filler, roles by place."""
    places, mixing, table = (np.asarray(weight, "float64") for weight in weights)
    result = np.zeros(table.shape[1])
    most, length = places.shape[1] - 1, np.flatnonzero(row).max(initial=-1) + 1
    for role, matrix in enumerate(np.split(mixing, places.shape[-1])):
        for place, word in enumerate(row):
            if word:
                share = places[0, min(place, most), role]
                share += places[1, min(length - 1 - place, most), role]
                result += share * table[word] @ matrix
    return result


def sentence_matrix(row, weights) -> np.ndarray:
    places, table = (np.asarray(weight, "float64") for weight in weights)
    result = np.zeros(table.shape[1])
    for place, word in enumerate(row):
        if word:
            result += table[word] @ places[min(place, len(places) - 1)]
    return result


def sentence_positional(row, weights) -> np.ndarray:
    """Sukhbaatar et al. 2015, section 4.1."""
    table = np.asarray(weights[0], "float64")
    words = row[row != 0]
    size, dim = len(words), table.shape[1]
    result = np.zeros(dim)
    for j, word in enumerate(words, 1):
        for k in range(1, dim + 1):
            weight = (1 - j / size) - (k / dim) * (1 - 2 * j / size)
            result[k - 1] += weight * table[word, k - 1]
    return result


def ages(there: np.ndarray, most: int) -> list[int]:
    """The number of sentences after each sentence."""
    return [min(int(there[place + 1 :].sum()), most - 1) for place in range(len(there))]


def temporal(sentences: np.ndarray, weights) -> np.ndarray:
    """Sukhbaatar et al. 2015, section 4.1, counted from the last sentence."""
    table = np.asarray(weights[0], "float64")
    result = sentences.astype("float64")
    for story in result:
        there = (story != 0).any(axis=-1)
        for place, age in enumerate(ages(there, len(table))):
            if there[place]:
                story[place] += table[age]
    return result


def previous(sentences: np.ndarray, weights) -> np.ndarray:
    projection, gate, bias = (np.asarray(weight, "float64") for weight in weights)
    result = sentences.astype("float64")
    for story, told in zip(result, sentences, strict=True):
        there = (told != 0).any(axis=-1)
        for place in np.flatnonzero(there[1:] & there[:-1]) + 1:
            opened = sigmoid(told[place] @ gate + bias)
            story[place] += opened * (told[place - 1] @ projection)
    return result


def memory_hops(inputs, weights, hops: int) -> list[np.ndarray]:
    """Sukhbaatar et al. 2015, equations 1 to 4, sections 2.2, 4.2: state, attention, their mean."""
    states, memories = inputs[0].astype("float64"), inputs[1:]
    (linear,) = weights
    attention = np.zeros((len(states), hops, memories[0].shape[1]))
    for row, there in enumerate((memories[0] != 0).any(axis=-1)):
        state = states[row]
        for hop in range(hops):
            compared, added = memories[hop][row], memories[hop + 1][row]
            if there.any():
                products = compared[there] @ state
                share = linear * 0.3 * products / np.sqrt(there.sum())
                attention[row, hop, there] = share + (1 - linear) * softmax(products)
            state = state + attention[row, hop] @ added
        states[row] = state
    sizes = np.abs(attention)
    attention = sizes / np.maximum(sizes.sum(axis=-1, keepdims=True), 1e-12)
    return [states, attention, attention.mean(axis=1)]


def norm(x: np.ndarray, gain: np.ndarray, bias: np.ndarray) -> np.ndarray:
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / np.sqrt(x.var(axis=-1, keepdims=True) + 1e-6) * gain + bias


def universal(inputs, weights, steps: int, heads: int) -> list[np.ndarray]:
    """Dehghani et al. 2019: the query's state, the sentences', attention by step, rollout."""
    weights = [np.asarray(weight, "float64") for weight in weights]
    results = []
    for query, story in zip(*inputs, strict=True):
        there = (story != 0).any(axis=-1)
        state, attention, rollout = _universal(query, story[there], weights, steps, heads)
        sentences = np.zeros(story.shape)
        sentences[there] = state[1:]
        by_step, share = np.zeros((steps, len(story))), np.zeros(len(story))
        by_step[:, there], share[there] = attention, rollout
        results.append((state[0], sentences, by_step, share))
    return [np.array(part) for part in zip(*results, strict=True)]


def _universal(query, story, weights, steps, heads):
    query_signal, step_signals, distances, times, *rest = weights
    norms = [rest[2 * place : 2 * place + 2] for place in range(3)]
    dense = [rest[6 + 2 * place : 8 + 2 * place] for place in range((len(rest) - 6) // 2)]
    hidden, project, mix, output = dense
    at = ages(np.ones(len(story)), len(times))
    signals = np.stack([query_signal, *(times[age] for age in at)])
    state = np.stack([query, *story]).astype("float64")
    count, dim = state.shape
    bias = np.zeros((heads, count, count))
    for own, other in np.ndindex(len(story), len(story)):
        earlier = own - other
        weight = distances[[0, 2] if earlier > 0 else [1, 3]]
        if earlier:
            bias[:, own + 1, other + 1] = weight[0] * np.log1p(abs(earlier)) + weight[1]
    maps = []
    for step in range(steps):
        read = state + signals + step_signals[step]
        normed = norm(read, *norms[0])
        queries, keys, values = np.split(normed @ project[0] + project[1], 3, axis=1)
        by_head, mixed = [], []
        for head, columns in enumerate(np.split(np.arange(dim), heads)):
            products = queries[:, columns] @ keys[:, columns].T
            by_head.append(softmax(products / np.sqrt(len(columns)) + bias[head]))
            mixed.append(by_head[-1] @ values[:, columns])
        maps.append(np.mean(by_head, axis=0))
        new = read + np.concatenate(mixed, axis=1) @ mix[0] + mix[1]
        inner = np.maximum(norm(new, *norms[1]) @ hidden[0] + hidden[1], 0)
        state = new + inner @ output[0] + output[1]
    total = np.eye(count)
    for weights_of_step in maps:
        total = (0.5 * weights_of_step + 0.5 * np.eye(count)) @ total
    share = total[0, 1:] / max(total[0, 1:].sum(), 1e-12)
    attention = np.array([weights_of_step[0, 1:] for weights_of_step in maps])
    return norm(state, *norms[2]), attention, share


def support_head(inputs, weights) -> np.ndarray:
    hidden, hidden_bias, last, bias = (np.asarray(weight, "float64") for weight in weights)
    state, sentences = inputs
    features = np.concatenate([sentences, sentences * state[:, None]], axis=-1)
    chances = sigmoid(np.maximum(features @ hidden + hidden_bias, 0) @ last + bias)[..., 0]
    return np.where((sentences != 0).any(axis=-1), chances, 0.0)
