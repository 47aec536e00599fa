"""The changes of a full fine-tuning as an adapter: matrices of a low rank."""

from __future__ import annotations

from typing import Any

import numpy as np


def freeze_small_weights(encoder: Any) -> None:
    """Makes what an adapter has no place for constant: the embeddings and the gains."""
    import keras

    from keras_qa.execution.graph import all_layers

    for layer in (encoder.tokens, encoder.positions, encoder.segments):
        layer.trainable = False
    for layer in all_layers(encoder):
        if isinstance(layer, keras.layers.LayerNormalization):
            layer.trainable = False


def copy_changes(trained: Any, model: Any) -> None:
    """Copies a model to one with LoRA on the same encoder before the training.

    The change of each matrix is replaced by the closest matrix of the rank of LoRA, by its singular
    values (Eckart and Young 1936). Biases and the head are copied.
    """
    from keras_qa.exporting.onnx_graph import dense_weights, to_array
    from keras_qa.models.pretrained import transformer_of

    encoder: Any = transformer_of(model)
    rank = encoder.lora_rank
    pairs = zip(transformer_of(trained).lora_layers, encoder.lora_layers, strict=True)
    for after, before in pairs:
        kernel, bias = dense_weights(after)
        change = kernel - dense_weights(before)[0]
        left, values, right = np.linalg.svd(change, full_matrices=False)
        roots = np.sqrt(values[:rank])
        before.lora_kernel_a.assign(left[:, :rank] * roots)
        before.lora_kernel_b.assign(roots[:, None] * right[:rank])
        if bias is not None:
            before.bias.assign(bias)
    for before, after in zip(model.layers[-1].weights, trained.layers[-1].weights, strict=True):
        before.assign(to_array(after))
