"""Windows to model inputs, and to the logits of a span reader."""

from __future__ import annotations

import numpy as np

from keras_qa.decoding import SpanDecoder
from keras_qa.decoding.window_words import MASKED
from keras_qa.preprocessing.ask_options import Model
from keras_qa.text import Windows


def answer_places(windows: Windows, decoder: SpanDecoder) -> tuple[np.ndarray, np.ndarray]:
    """Returns where answers may start and end, and the size of each such place in words."""
    if decoder.whole_words:
        return windows.words, windows.word_sizes
    return windows.offsets, np.ones_like(windows.word_sizes)


def make_feed(model: Model, windows: Windows) -> dict[str, np.ndarray]:
    """Returns the inputs of a model for windows."""
    arrays = dict(windows.feed)
    if "padding_mask" in arrays:
        # Padding is id 0 in every model, whatever id the tokenizer uses for it. The padding mask
        # excludes it either way, and batches can be trimmed.
        arrays["token_ids"] = arrays["token_ids"] * arrays["padding_mask"]
    return {tensor.name: arrays[tensor.name] for tensor in model.inputs}


def read_windows(model: Model, windows: Windows, batch_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns start and end logits of windows, `(windows, positions)` each."""
    outputs = model.predict(make_feed(model, windows), batch_size=batch_size, verbose=0)
    logits = np.full((2, *windows.words.shape[:2]), MASKED, "float32")
    for place, name in enumerate(("start", "end")):
        found = outputs[name][:, : logits.shape[2]]
        logits[place, :, : found.shape[1]] = found
    return logits[0], logits[1]


def join_windows(parts: list[tuple[np.ndarray, ...]]) -> list[np.ndarray]:
    """Concatenates the windows of several batches, padded to the widest."""
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
