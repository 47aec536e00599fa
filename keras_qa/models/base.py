"""`QAModel`: a functional Keras model that checks its feeds."""

from __future__ import annotations

import importlib
import inspect
import os
from collections.abc import Mapping, Sequence
from typing import Any, cast

import keras
import numpy as np

from keras_qa import execution, preprocessing
from keras_qa._arguments import to_integer, to_optional_integer
from keras_qa.execution.graph import ends_early
from keras_qa.inputs.arrays import to_arrays
from keras_qa.inputs.batching import SetEpoch, SortedBatches
from keras_qa.inputs.feeds import DataSource, Feed, Labels, Weights
from keras_qa.inputs.hard_examples import HardExampleSampling
from keras_qa.inputs.labels import model_outputs, to_class_weights
from keras_qa.inputs.sources import Batch, CheckedSource, is_source, split_off
from keras_qa.kernels.masking import ending_early
from keras_qa.models.checking import CheckedModel, with_hooks
from keras_qa.models.compiling import Callbacks, Scores, portable
from keras_qa.models.predicting import predict
from keras_qa.preprocessing import Preprocessor
from keras_qa.preprocessing.ask_options import Verbose


@keras.saving.register_keras_serializable(package="keras_qa")
class QAModel(CheckedModel):
    """A functional `keras.Model` that checks every feed before the backend sees it.

    Use it like `keras.Model(inputs, outputs)`, with a list of named inputs. `fit`, `evaluate`,
    `predict`, `train_on_batch`, `test_on_batch` and `predict_on_batch` take feeds as a list, a
    tuple, a dict or a DataFrame (see `keras_qa.inputs.to_arrays`), and labels as integers or
    one-hot rows. They also take data sources of such batches: a `tf.data.Dataset`, a torch
    `DataLoader`, a `keras.utils.PyDataset` or a generator. A wrong feed raises a `TypeError` or a
    `ValueError` in one line and leaves the weights unchanged. If a later batch of a data source is
    wrong, the batches before it have been trained on. After any exception the model can be used,
    saved and trained.

    Args:
        inputs: A list of named `keras.Input`.
        outputs: A tensor, or a list or dict of tensors.
        name: Name of the model.

    Attributes:
        preprocessor: Turns strings into the model's inputs, and its outputs into answers: a
            `keras_qa.preprocessing.WordPreprocessor` or `SpanPreprocessor`, or `None`. It is saved
            with the model.

    Examples:
        >>> import keras, keras_qa
        >>> words = keras.Input((None,), dtype="int32", name="text")
        >>> vector = keras_qa.layers.SequenceEncoder(64, 8, 4)(words)
        >>> model = keras_qa.models.QAModel([words], keras_qa.layers.AnswerHead(3)(vector))
        >>> model.predict([[5, 6], [7]], verbose=0).shape
        (2, 3)
    """

    preprocessor: Preprocessor | None = None
    # The constant value of outputs at padding, if they are as wide as the first input.
    output_padding: float | None = None
    _jit_compile_given: bool | str = "auto"
    # Caches of `split_model` and `with_evidence`.
    _split: Any = None
    _evidence: Any = None

    @classmethod
    def from_preset(
        cls,
        path: str | os.PathLike[str],
        compile: bool = True,
        backbone: str | os.PathLike[str] | None = None,
    ) -> QAModel:
        """Loads a model by the name of a preset, a file or a folder, see `keras_qa.load`."""
        # Not at the top: the functions that create models import this class.
        presets = importlib.import_module("keras_qa.models.presets")
        model: QAModel = presets.open_model(path, compile, backbone)[0]
        return model

    def fit(
        self,
        x: Feed | DataSource | None = None,
        y: Labels | None = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Verbose = "auto",
        callbacks: Callbacks = None,
        validation_split: float = 0.0,
        validation_data: DataSource | tuple[Any, ...] | None = None,
        shuffle: bool = True,
        class_weight: dict[int, float] | None = None,
        sample_weight: Weights | None = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Sequence[int] = 1,
        length_buckets: bool = True,
    ) -> keras.callbacks.History:
        """Trains the model, as `keras.Model.fit` does, on checked feeds.

        If the model's layers ignore padding, batches are made of rows of similar length and trimmed
        to it. `length_buckets=False`, or `shuffle=False`, keeps every batch as wide as the feed.
        The order of the rows depends on NumPy's global seed when `fit` is called, and on the number
        of the epoch, see `initial_epoch`.
        """
        batch_size = to_optional_integer("batch_size", batch_size)
        validation_batch_size = to_optional_integer("validation_batch_size", validation_batch_size)
        steps_per_epoch = to_optional_integer("steps_per_epoch", steps_per_epoch)
        validation_steps = to_optional_integer("validation_steps", validation_steps)
        epochs = to_integer("epochs", epochs, least=0)
        initial_epoch = to_integer("initial_epoch", initial_epoch, least=0)
        if isinstance(validation_freq, (list, tuple)):
            validation_freq = [to_integer("validation_freq", epoch) for epoch in validation_freq]
        else:
            validation_freq = to_integer("validation_freq", validation_freq)
        sources: list[CheckedSource] = []
        may_end = epochs - initial_epoch == 1 and steps_per_epoch is None
        with self._guard(sources, "train_function", may_end) as hooks:
            x, y, sample_weight = self._feed(
                sources, x, y, sample_weight, steps_per_epoch, shuffle=shuffle
            )
            if validation_split and validation_data is None:
                (x, y, sample_weight), validation_data = split_off(
                    (x, y, sample_weight), validation_split
                )
            elif validation_data is not None:
                parts = (validation_data,) if is_source(validation_data) else validation_data
                val_x, val_y, val_weight = keras.utils.unpack_x_y_sample_weight(tuple(parts))
                checked = self._feed(sources, val_x, val_y, val_weight, validation_steps)
                validation_data = checked[0] if is_source(checked[0]) else checked
            if validation_steps is None and isinstance(validation_data, tuple):
                rows = validation_batch_size or batch_size or 32
                val_x, val_y, val_weight = keras.utils.unpack_x_y_sample_weight(validation_data)
                batches = self._batches(val_x, val_y, val_weight, rows, sort=length_buckets)[0]
                if isinstance(batches, SortedBatches):
                    validation_data = _as_dataset(batches)
            size = batch_size or 32
            if steps_per_epoch is None and shuffle:
                seed = int(np.random.randint(2**31))
                x, y, sample_weight = self._batches(
                    x, y, sample_weight, size, seed, sort=length_buckets
                )
                if isinstance(x, SortedBatches):
                    hooks.append(SetEpoch(x))
            for callback in keras.tree.flatten(getattr(callbacks, "callbacks", callbacks)):
                if isinstance(callback, HardExampleSampling):
                    callback.attach(self, x if length_buckets else None)
            if class_weight is not None:
                class_weight = to_class_weights(class_weight, model_outputs(self))
            return super().fit(
                _as_dataset(x),
                y,
                batch_size=batch_size,
                epochs=epochs,
                verbose=verbose,
                callbacks=with_hooks(callbacks, hooks),
                validation_data=validation_data,
                shuffle=shuffle and not is_source(x),
                class_weight=class_weight,
                sample_weight=sample_weight,
                initial_epoch=initial_epoch,
                steps_per_epoch=steps_per_epoch,
                validation_steps=validation_steps,
                validation_batch_size=validation_batch_size,
                validation_freq=validation_freq,
            )

    def evaluate(
        self,
        x: Feed | DataSource | None = None,
        y: Labels | None = None,
        batch_size: int | None = None,
        verbose: Verbose = "auto",
        sample_weight: Weights | None = None,
        steps: int | None = None,
        callbacks: Callbacks = None,
        return_dict: bool = False,
        length_buckets: bool = True,
        **kwargs: object,
    ) -> Scores:
        """Computes the loss and metrics, as `keras.Model.evaluate` does, on checked feeds.

        `length_buckets` is as in `fit`.
        """
        batch_size = to_optional_integer("batch_size", batch_size)
        steps = to_optional_integer("steps", steps)
        sources: list[CheckedSource] = []
        with self._guard(sources, "test_function", may_end=steps is None) as hooks:
            # `fit` calls this with private arguments, for validation data that is already checked.
            if not kwargs:
                x, y, sample_weight = self._feed(sources, x, y, sample_weight, steps)
                if steps is None:
                    x, y, sample_weight = self._batches(
                        x, y, sample_weight, batch_size or 32, sort=length_buckets
                    )
            return super().evaluate(
                _as_dataset(x),
                y,
                batch_size=batch_size,
                verbose=verbose,
                sample_weight=sample_weight,
                steps=steps,
                callbacks=with_hooks(callbacks, hooks[:1] if not kwargs else []),
                return_dict=return_dict,
                **kwargs,
            )

    def predict(
        self,
        x: Feed | DataSource,
        batch_size: int | None = None,
        verbose: Verbose = "auto",
        steps: int | None = None,
        callbacks: Callbacks = None,
        length_buckets: bool = True,
    ) -> Any:
        """Computes the outputs, as `keras.Model.predict` does, on checked feeds.

        `length_buckets` is as in `fit`. The outputs are in the order of the feed. Arrays are passed
        to Keras' `predict_step` batch by batch, unless `callbacks` or `steps` are given.
        """
        batch_size = to_optional_integer("batch_size", batch_size)
        steps = to_optional_integer("steps", steps)
        sources: list[CheckedSource] = []
        is_own = type(self).make_predict_function is keras.Model.make_predict_function
        if is_own and not is_source(x) and callbacks is None and steps is None:
            inputs = list(to_arrays(cast(Feed, x), self).values())
            with self._remade_if_changed("predict_function") as state:
                size = batch_size or 32
                return predict(self._predictor(), state, inputs, size, verbose, length_buckets)
        with self._guard(sources, "predict_function", may_end=steps is None) as hooks:
            x, _, _ = self._feed(sources, x, None, None, steps, labelled=False)
            return super().predict(
                x,
                batch_size=batch_size,
                verbose=verbose,
                steps=steps,
                callbacks=with_hooks(callbacks, hooks[:1]),
            )

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Computes the outputs, as `keras.Model.call` does."""
        with ending_early(ends_early(self)):
            return super().call(inputs, training=training, mask=mask)

    def train_on_batch(
        self,
        x: Feed,
        y: Labels | None = None,
        sample_weight: Weights | None = None,
        class_weight: dict[int, float] | None = None,
        return_dict: bool = False,
    ) -> Scores:
        """Trains on one batch, as `keras.Model.train_on_batch` does, on a checked feed."""
        with self._guard([], "train_function"):
            x, y, sample_weight = self._checked(x, y, sample_weight)
            if class_weight is not None:
                class_weight = to_class_weights(class_weight, model_outputs(self))
            return super().train_on_batch(
                x,
                y,
                sample_weight=sample_weight,
                class_weight=class_weight,
                return_dict=return_dict,
            )

    def test_on_batch(
        self,
        x: Feed,
        y: Labels | None = None,
        sample_weight: Weights | None = None,
        return_dict: bool = False,
    ) -> Scores:
        """Evaluates one batch, as `keras.Model.test_on_batch` does, on a checked feed."""
        with self._guard([], "test_function"):
            x, y, sample_weight = self._checked(x, y, sample_weight)
            return super().test_on_batch(x, y, sample_weight=sample_weight, return_dict=return_dict)

    def predict_on_batch(self, x: Feed) -> Any:
        """Predicts one batch, as `keras.Model.predict_on_batch` does, on a checked feed."""
        inputs = list(to_arrays(x, self).values())
        with self._remade_if_changed("predict_function"):
            return keras.tree.pack_sequence_as(self.output, self._predictor()(inputs))

    def _predictor(self) -> execution.BatchPredictor:
        if self._predict_batch is None:
            self._predict_batch = execution.BatchPredictor(self)
        return self._predict_batch

    def _batches(
        self,
        x: Any,
        y: Any,
        sample_weight: Any,
        size: int,
        seed: int | None = None,
        sort: bool = True,
    ) -> Batch:
        """Returns a checked feed as batches, and a data source unchanged."""
        others = [part for part in (y, sample_weight) if part is not None]
        # The labels of an output without a loss are `None`, which batches cannot hold.
        if is_source(x) or any(part is None for part in keras.tree.flatten(others)):
            return x, y, sample_weight
        inputs = keras.tree.flatten(x)
        return SortedBatches(inputs, tuple(others), self, size, seed, sort), None, None

    @property
    def task(self) -> Preprocessor | None:
        """The former name of `preprocessor`. Deprecated."""
        # No warning: Keras reads every attribute when it saves a model.
        return self.preprocessor

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        if self.preprocessor is not None:
            config["preprocessor"] = preprocessing.serialize(self.preprocessor)
        return config

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> QAModel:
        config = dict(config)
        preprocessor = preprocessing.pop_preprocessor(config)
        model = super().from_config(config, custom_objects=custom_objects)
        model.preprocessor = preprocessor
        return model

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Prepares for training, as `keras.Model.compile` does."""
        super().compile(*args, **kwargs)
        given = inspect.signature(super().compile).bind(*args, **kwargs).arguments
        self._jit_compile_given = given.get("jit_compile", "auto")
        if self._jit_compile_given == "auto" and not self.run_eagerly:
            names = ("loss", "metrics", "weighted_metrics")
            own = keras.tree.flatten([given.get(name) for name in names])
            if execution.jit_compile(self, own):
                self.jit_compile = True

    def get_compile_config(self) -> Any:
        config = portable(super().get_compile_config())
        if config:
            # Keras saves the value that it chose for "auto", which differs between backends.
            config["jit_compile"] = self._jit_compile_given
            config["optimizer_built"] = bool(self.optimizer is not None and self.optimizer.built)
        return config

    def compile_from_config(self, config: Any) -> None:
        # Keras' own method raises an error if `compile` is overridden.
        config = dict(portable(config))
        if "optimizer_built" not in config:
            # Earlier versions saved the value for "auto" of their backend. On PyTorch, `True` would
            # need a C++ compiler.
            config["jit_compile"] = "auto"
        # Do not build an optimizer that was not built: Keras would warn that the file lacks its
        # variables.
        is_built = config.pop("optimizer_built", True)
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.optimizer is not None and self.built and is_built:
            self.optimizer.build(self.trainable_variables)


def _as_dataset(x: Any) -> Any:
    return execution.as_dataset(x, in_memory=True) if isinstance(x, SortedBatches) else x
