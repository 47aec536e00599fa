"""The classic model of Keras' own layers."""

from __future__ import annotations

import keras


def classic(vocabulary: int, answers: int, masked: bool) -> keras.Model:
    inputs, vectors = [], []
    for name, width, units in (("text", 64, 32), ("question", 32, 16)):
        ids = keras.Input((None,), dtype="int32", name=name)
        words = keras.layers.Embedding(vocabulary, width, mask_zero=masked)(ids)
        inputs.append(ids)
        vectors.append(keras.layers.LSTM(units)(words))
    head = keras.layers.Dense(answers, activation="softmax", name="answer")
    model = keras.Model(inputs, head(keras.layers.Concatenate()(vectors)))
    model.compile("rmsprop", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model
