"""A small reader on an encoder, and the examples that it is trained on."""

import pathlib

import keras
from small_checkpoints import copy

from keras_qa import Example, QuestionAnswerer
from keras_qa.models import span_reader

# In letters that the tokenizer knows.
SPANS = [
    Example(f"{who} went {place}{end}", f"Where went {who}?", place, len(who) + 6)
    for who in ("Mary", "she")
    for place in ("home", "to the bathroom", "to the home")
    for end in (".", ", then she slept.")
]
WITHOUT = [
    Example(f"{who} slept{end}", f"Where went {who}?", id=f"{who}{end}")
    for who in ("Mary", "she")
    for end in (".", ", then she slept.", " at home.")
]
QUIET = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def trained_reader(folder: pathlib.Path) -> QuestionAnswerer:
    """A small reader that gives no answer to some questions."""
    keras.utils.set_random_seed(0)
    model = span_reader(backbone=copy("bert", folder / "bert", **QUIET), dropout=0.0)
    qa = QuestionAnswerer(model, max_length=48, stride=8, seed=0)
    optimizer, data = keras.optimizers.Adam(0.01), SPANS + WITHOUT
    steps = {"epochs": 1, "steps_per_epoch": 20}
    return qa.fit(data, validation_data=data, **steps, optimizer=optimizer, verbose=0)
