"""Recipes: the settings of a training, and the recipe of each model."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_qa._arguments import (
    check_choice,
    check_number,
    is_integer,
    must_be,
    to_integer,
    to_optional_integer,
)
from keras_qa.answering.building import preprocessor_class
from keras_qa.losses.schedules import AccumulatedSchedule, WarmupLinearDecay

# Weights without weight decay: biases, gains and position tables.
UNDECAYED = ["bias", "gamma", "beta", "places", "distances", "signal"]


@dataclasses.dataclass(frozen=True)
class Recipe:
    """The settings of a training.

    The optimizer is Adam, or AdamW if there is a weight decay. Its learning rate rises linearly and
    then falls as half of a cosine (Loshchilov & Hutter 2017, arXiv:1608.03983), or linearly.

    Args:
        epochs: Largest number of epochs.
        batch_size: Number of examples per step.
        learning_rate: The highest learning rate.
        warmup: Share of all steps in which the learning rate rises.
        weight_decay: Weight decay of AdamW. 0 selects Adam. Biases, gains and position tables have
            no weight decay.
        clip_norm: Largest global norm of the gradients.
        patience: Number of epochs without a higher validation accuracy before training stops. Once
            all validation answers are right, three epochs without a lower validation loss are
            enough.
        decay: How the learning rate falls: `"cosine"` or `"linear"`.
        hard_example_share: Share of the batches that an epoch trains on. Rows that are answered
            wrong are more likely to be drawn. 1 for all.
        linear_start: Share of the epochs, the first ones, in which memory hops attend without a
            softmax, see `layers.MemoryHops`. They do not count for `patience`.
        augment_to: Numbers of examples to augment to, tried in turn. The copies have similar words
            swapped, see `datasets.augmentation.swap_words`. Empty for no augmentation.
        gradient_accumulation_steps: Number of batches whose gradients are averaged for one update
            of the weights. An update may use batches of two epochs. An incomplete update at the end
            of training is dropped.
        steps_per_epoch: Number of batches in an epoch, which continues where the last one ended.
            With less than a pass over the examples, a long training has more checkpoints. `None`
            for a pass.
        keep: `"best"` keeps the weights of the epoch with the highest validation accuracy. `"last"`
            trains all epochs and keeps the weights of the last one. Choose it for readers with
            unanswerable validation examples, of which a reader that never answers has many right.

    Raises:
        ValueError: If an argument is out of its range.
    """

    epochs: int = 100
    batch_size: int = 64
    learning_rate: float = 1.5e-3
    warmup: float = 0.05
    weight_decay: float = 0.0
    clip_norm: float = 1.0
    patience: int = 25
    decay: str = "cosine"
    linear_start: float = 0.0
    augment_to: tuple[int, ...] = ()
    hard_example_share: float = 1.0
    gradient_accumulation_steps: int = 1
    steps_per_epoch: int | None = None
    keep: str = "best"

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "patience", "gradient_accumulation_steps"):
            object.__setattr__(self, name, to_integer(name, getattr(self, name)))
        steps = to_optional_integer("steps_per_epoch", self.steps_per_epoch)
        if steps is not None and self.hard_example_share != 1:
            raise ValueError("`steps_per_epoch` and `hard_example_share` exclude each other.")
        object.__setattr__(self, "steps_per_epoch", steps)
        for name in ("learning_rate", "clip_norm"):
            check_number(name, getattr(self, name), positive=True)
        for name in ("warmup", "linear_start"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(must_be(name, "at least 0 and below 1", getattr(self, name)))
        if not 0 < self.hard_example_share <= 1:
            expected = "above 0 and at most 1"
            raise ValueError(must_be("hard_example_share", expected, self.hard_example_share))
        if not self.weight_decay >= 0:
            raise ValueError(must_be("weight_decay", "at least 0", self.weight_decay))
        if not isinstance(self.augment_to, Sequence) or not all(map(is_integer, self.augment_to)):
            raise ValueError(must_be("augment_to", "a tuple of positive integers", self.augment_to))
        object.__setattr__(self, "augment_to", tuple(self.augment_to))
        check_choice("decay", self.decay, ("cosine", "linear"))
        check_choice("keep", self.keep, ("best", "last"))

    @property
    def linear_epochs(self) -> int:
        """Number of epochs in which memory hops attend without a softmax."""
        return int(self.linear_start * self.epochs)

    def copies(self, examples: int) -> list[int]:
        """Returns the numbers of copies per example that `augment_to` asks for."""
        counts = [size // max(examples, 1) - 1 for size in self.augment_to]
        return [copies for copies in dict.fromkeys(counts) if copies > 0]

    def steps(self, examples: int) -> int:
        """Returns the number of batches per epoch."""
        if self.steps_per_epoch is not None:
            return self.steps_per_epoch
        return math.ceil(self.hard_example_share * math.ceil(examples / self.batch_size))

    def schedule(self, examples: int) -> keras.optimizers.schedules.LearningRateSchedule:
        """Returns the learning rate schedule for a number of training examples.

        Examples:
            >>> from keras_qa import recipes
            >>> recipe = recipes.Recipe(epochs=10, batch_size=10, learning_rate=0.1, warmup=0.2)
            >>> rate = recipe.schedule(examples=100)
            >>> tuple(round(float(rate(step)), 3) for step in (0, 10, 20, 60, 100))
            (0.0, 0.05, 0.1, 0.05, 0.0)
        """
        batches, accumulated = self.epochs * self.steps(examples), self.gradient_accumulation_steps
        total = batches // accumulated
        if batches and not total:
            raise ValueError(
                f"`gradient_accumulation_steps` is {accumulated}, but all epochs together have "
                f"{batches} batches, and no weight would be updated. Make it or `batch_size` "
                "smaller."
            )
        rise = int(self.warmup * total)
        schedule: keras.optimizers.schedules.LearningRateSchedule
        if self.decay == "linear":
            schedule = WarmupLinearDecay(self.learning_rate, total, rise)
        else:
            schedule = keras.optimizers.schedules.CosineDecay(
                0.0 if rise else self.learning_rate,
                max(total - rise, 1),
                warmup_target=self.learning_rate if rise else None,
                warmup_steps=rise,
            )
        return schedule if accumulated == 1 else AccumulatedSchedule(schedule, accumulated)

    def optimizer(self, examples: int) -> keras.optimizers.Optimizer:
        """Returns the optimizer for a number of training examples."""
        rate: Any = self.schedule(examples)
        options: dict[str, Any] = {"global_clipnorm": self.clip_norm}
        if self.gradient_accumulation_steps > 1:
            options["gradient_accumulation_steps"] = self.gradient_accumulation_steps
        if not self.weight_decay:
            return keras.optimizers.Adam(rate, **options)
        optimizer = keras.optimizers.AdamW(rate, weight_decay=self.weight_decay, **options)
        optimizer.exclude_from_weight_decay(var_names=UNDECAYED)
        return optimizer


DEFAULT = Recipe()

# Models overfit few examples. With 900 examples, some bAbI tasks need many copies, others few.
AUGMENTED = (3_600, 9_000)

# `universal_transformer` overfits bAbI's tasks 2 and 17 without weight decay. With it, task 6 needs
# a patience of more than 35 epochs. `memory_network` does not learn with weight decay.
UNIVERSAL_TRANSFORMER = Recipe(weight_decay=0.5, patience=50, augment_to=AUGMENTED)
MEMORY_NETWORK = Recipe(linear_start=0.2, augment_to=AUGMENTED)

# `span_reader` and `multiple_choice` from scratch, and on a pretrained backbone.
SPAN_READER = Recipe(epochs=12, batch_size=32, learning_rate=2e-3, clip_norm=5.0, patience=3)
FINE_TUNING = Recipe(
    epochs=2,
    batch_size=16,
    learning_rate=1e-4,
    warmup=0.1,
    weight_decay=0.01,
    patience=2,
    decay="linear",
)
# The weights of LoRA start at zero and need ten times the learning rate.
LORA = dataclasses.replace(FINE_TUNING, learning_rate=1e-3)

# A trained reader forgets at higher rates. Few examples need several epochs.
CONTINUED = dataclasses.replace(FINE_TUNING, epochs=4, learning_rate=3e-5)
CONTINUED_LORA = dataclasses.replace(CONTINUED, learning_rate=3e-4)


def recipe_for(model: str, model_options: Mapping[str, Any] | None = None) -> Recipe:
    """Returns the default `Recipe` of a factory's name. Raises a `ValueError` if there is none."""
    preprocessor_class(model)
    if model in ("span_reader", "multiple_choice"):
        options = model_options or {}
        if options.get("backbone") is None:
            return SPAN_READER
        return FINE_TUNING if options.get("lora_rank") is None else LORA
    recipes = {"universal_transformer": UNIVERSAL_TRANSFORMER, "memory_network": MEMORY_NETWORK}
    return recipes.get(model, DEFAULT)


def recipe_to_continue(lora_rank: int | None = None) -> Recipe:
    """Returns the default `Recipe` to train a trained reader further, see `train`."""
    return CONTINUED if lora_rank is None else CONTINUED_LORA
