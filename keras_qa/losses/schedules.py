"""Learning rate schedules."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_qa.layers.kernels.tensor_types import Tensor


@keras.saving.register_keras_serializable(package="keras_qa")
class WarmupLinearDecay(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that rises linearly from 0, then falls linearly to 0.

    The schedule of BERT's fine-tuning (Devlin et al. 2019, arXiv:1810.04805, appendix A).

    Args:
        learning_rate: Highest learning rate.
        steps: Number of steps until the rate is 0.
        warmup_steps: Number of steps in which the rate rises.
        name: Name of the schedule.

    Examples:
        >>> from keras_qa.losses import WarmupLinearDecay
        >>> rate = WarmupLinearDecay(0.1, steps=100, warmup_steps=20)
        >>> tuple(round(float(rate(step)), 3) for step in (0, 10, 20, 60, 100, 110))
        (0.0, 0.05, 0.1, 0.05, 0.0, 0.0)
    """

    def __init__(
        self, learning_rate: float, steps: int, warmup_steps: int = 0, name: str = "linear"
    ) -> None:
        super().__init__()
        self.learning_rate = learning_rate
        self.steps = steps
        self.warmup_steps = warmup_steps
        self.name = name

    def __call__(self, step: int | Tensor) -> Tensor:
        step = ops.cast(step, "float32")
        fall = (self.steps - step) / max(self.steps - self.warmup_steps, 1)
        share = ops.minimum(step / self.warmup_steps, fall) if self.warmup_steps else fall
        return self.learning_rate * ops.clip(share, 0.0, 1.0)

    def get_config(self) -> dict[str, Any]:
        return {
            "learning_rate": self.learning_rate,
            "steps": self.steps,
            "warmup_steps": self.warmup_steps,
            "name": self.name,
        }


@keras.saving.register_keras_serializable(package="keras_qa")
class AccumulatedSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule in updates instead of batches, for `gradient_accumulation_steps`.

    Keras' optimizers call their schedule with the number of batches, even if they update the
    weights only after several batches.
    """

    def __init__(
        self,
        schedule: keras.optimizers.schedules.LearningRateSchedule,
        accumulation_steps: int,
    ) -> None:
        super().__init__()
        self.schedule = schedule
        self.accumulation_steps = accumulation_steps

    def __call__(self, step: int | Tensor) -> Tensor:
        return self.schedule(ops.floor_divide(step, self.accumulation_steps))

    def get_config(self) -> dict[str, Any]:
        return {
            "schedule": keras.optimizers.schedules.serialize(self.schedule),
            "accumulation_steps": self.accumulation_steps,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> AccumulatedSchedule:
        schedule = keras.optimizers.schedules.deserialize(config["schedule"])
        return cls(schedule, config["accumulation_steps"])
