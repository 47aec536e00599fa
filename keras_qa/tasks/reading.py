"""Windows to feeds, and to the logits of a reader."""

from __future__ import annotations

import numpy as np

from keras_qa.decoding import SpanDecoder
from keras_qa.decoding.window_words import MASKED
from keras_qa.tasks.task import Model
from keras_qa.text import Windows


def places(windows: Windows, decoder: SpanDecoder) -> tuple[np.ndarray, np.ndarray]:
    """Where answers may begin and end, and what each such place counts as."""
    if decoder.whole_words:
        return windows.words, windows.word_sizes
    return windows.offsets, np.ones_like(windows.word_sizes)


def feed(model: Model, windows: Windows) -> dict[str, np.ndarray]:
    """What a model is fed of windows."""
    arrays = dict(windows.feed)
    if "padding_mask" in arrays:
        # Padding is 0 here, whatever a tokenizer has for it: it is masked, and cut off by that.
        arrays["token_ids"] = arrays["token_ids"] * arrays["padding_mask"]
    return {tensor.name: arrays[tensor.name] for tensor in model.inputs}


def read(model: Model, windows: Windows, batch_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Start and end logits of windows, `(windows, positions)` each."""
    outputs = model.predict(feed(model, windows), batch_size=batch_size, verbose=0)
    logits = np.full((2, *windows.words.shape[:2]), MASKED, "float32")
    for place, name in enumerate(("start", "end")):
        found = outputs[name][:, : logits.shape[2]]
        logits[place, :, : found.shape[1]] = found
    return logits[0], logits[1]


def joined(parts: list[tuple[np.ndarray, ...]]) -> list[np.ndarray]:
    """Windows of several batches one after the other, filled up to the widest."""
    if len(parts) == 1:
        return list(parts[0])
    width = max(part[0].shape[1] for part in parts)
    whole = []
    for place, fill in enumerate((MASKED, MASKED, -1, None, 0)):
        arrays = [part[place] for part in parts]
        if fill is not None:
            arrays = [
                np.pad(
                    array,
                    [(0, 0), (0, width - array.shape[1]), *[(0, 0)] * (array.ndim - 2)],
                    constant_values=fill,
                )
                for array in arrays
            ]
        whole.append(np.concatenate(arrays))
    return whole
