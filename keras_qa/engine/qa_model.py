"""`QAModel`: a functional Keras model that checks its feeds."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any, ClassVar, cast

import keras
import numpy as np

from keras_qa._arguments import is_number, to_integer, to_optional_integer
from keras_qa.engine import execution
from keras_qa.engine.arrays import DataSource, Feed, Labels, Weights, form_of, is_source, to_arrays
from keras_qa.engine.batching import SortedBatches
from keras_qa.engine.compiling import Callbacks, CompiledModel, Scores, flat_callbacks, with_hooks
from keras_qa.engine.copies import SplitModel, split_model, with_evidence
from keras_qa.engine.graph import classifies_positions, ends_early, text_position
from keras_qa.engine.hard_examples import HardExampleSampling
from keras_qa.engine.labels import SUPPORT, model_outputs, to_class_weights, to_labels, to_weights
from keras_qa.engine.predicting import predict
from keras_qa.engine.sources import Batch, CheckedSource, RaiseErrors, split_off, unpack, unpacked
from keras_qa.layers import TransformerEncoder
from keras_qa.layers.classification_head import task_of, transformer_of
from keras_qa.layers.kernels.masking import ending_early
from keras_qa.layers.pretrained import PretrainedEncoder
from keras_qa.preprocessing.preprocessor import Preprocessor, Verbose, deserialize, serialize


@keras.saving.register_keras_serializable(package="keras_qa")
class QAModel(CompiledModel):
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
    # The kind of answers, for a model without a preprocessor. `None` for that of the outputs.
    preprocessor_name: ClassVar[str | None] = None
    # The constant value of outputs at padding, if they are as wide as the first input. `None` for
    # that of the last layer.
    output_padding: float | None = None

    @property
    def task(self) -> str | None:
        """The task of its head by its name in `transformers`, of a published classifier."""
        return task_of(self)

    @property
    def encoder(self) -> keras.layers.Layer | None:
        """Its published encoder."""
        kinds = (TransformerEncoder, PretrainedEncoder)
        return next((item for item in self.layers if isinstance(item, kinds)), None)

    @property
    def width(self) -> int | None:
        """The size of the last axis of its first output."""
        width: int | None = self.outputs[0].shape[-1]
        return width

    @property
    def config(self) -> dict[str, Any]:
        """The `config.json` of its published encoder."""
        encoder = transformer_of(self)
        return (encoder.settings["checkpoint"] if encoder else None) or {}

    def weights_checksum(self) -> str:
        """Returns a checksum of the weights and the name of the backend."""
        digest = hashlib.sha256(keras.backend.backend().encode())
        for weights in self.get_weights():
            digest.update(weights.tobytes())
        return digest.hexdigest()

    def with_evidence(self) -> QAModel:
        """Returns a copy that also returns which sentences support its answers, if it can."""
        model: QAModel = with_evidence(self)
        return model

    def split(self, name: str) -> SplitModel | None:
        """Returns a copy that is split after what depends on one input only, or `None`."""
        return split_model(self, name)

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
    ) -> keras.callbacks.History:
        """Trains the model, as `keras.Model.fit` does, on checked feeds.

        If the model's layers ignore padding, batches are made of rows of similar length and trimmed
        to it. `shuffle=False` keeps the rows in order, and every batch as wide as the feed.
        Otherwise the order of the rows depends on NumPy's global seed when `fit` is called, and on
        the number of the epoch, see `initial_epoch`. An epoch of `steps_per_epoch` batches
        continues where the last one ended.
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
        may_end = epochs - initial_epoch == 1 and steps_per_epoch is None
        with self._guard("train_function", may_end) as hooks:
            data = self._feed(
                "train_function", hooks, x, y, sample_weight, steps_per_epoch, shuffle
            )
            self._choose_compilation(data[0])
            splits = not (is_number(validation_split) and validation_split == 0)
            if validation_data is not None:
                parts = (validation_data,) if is_source(validation_data) else validation_data
                val_x, val_y, val_weight = unpack(parts, "`validation_data`")
                validation_data = self._feed(
                    "test_function", hooks, val_x, val_y, val_weight, validation_steps
                )
            elif splits:
                data, validation_data = split_off(data, validation_split)
                self._follow_form("test_function", form_of(validation_data[1:]))
            if validation_data is not None and validation_steps is None:
                rows = validation_batch_size or batch_size or 32
                validation_data = self._batched(validation_data, rows)
            batches = None
            if shuffle:
                seed = int(np.random.randint(2**31))
                batches = self._batches(data, batch_size or 32, seed, steps_per_epoch)
            for callback in flat_callbacks(callbacks):
                if isinstance(callback, HardExampleSampling):
                    callback.attach(self, batches)
            if batches is not None:
                hooks.append(batches.epoch_callback())
                steps_per_epoch = None
                data = execution.as_dataset(batches, True), None, None
            if class_weight is not None:
                class_weight = to_class_weights(class_weight, model_outputs(self))
            return super().fit(
                data[0],
                data[1],
                batch_size=batch_size,
                epochs=epochs,
                verbose=verbose if execution.is_first_process() else 0,
                callbacks=with_hooks(callbacks, hooks),
                validation_data=validation_data,
                shuffle=shuffle and not is_source(data[0]),
                class_weight=class_weight,
                sample_weight=data[2],
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
        **kwargs: object,
    ) -> Scores:
        """Computes the loss and metrics, as `keras.Model.evaluate` does, on checked feeds."""
        batch_size = to_optional_integer("batch_size", batch_size)
        steps = to_optional_integer("steps", steps)
        with self._guard("test_function", may_end=steps is None) as hooks:
            # `fit` calls this with private arguments, for validation data that is already checked.
            if not kwargs:
                data = self._feed("test_function", hooks, x, y, sample_weight, steps)
                if steps is None:
                    data = self._batched(data, batch_size or 32)
                x, y, sample_weight = data
                callbacks = with_hooks(callbacks, hooks)
            return super().evaluate(
                x,
                y,
                batch_size=batch_size,
                verbose=verbose,
                sample_weight=sample_weight,
                steps=steps,
                callbacks=callbacks,
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
    ) -> Any:
        """Computes the outputs, as `keras.Model.predict` does, on checked feeds.

        The outputs are in the order of the feed. Arrays are passed to Keras' `predict_step` batch
        by batch, unless `callbacks` or `steps` are given.
        """
        batch_size = to_optional_integer("batch_size", batch_size)
        steps = to_optional_integer("steps", steps)
        is_own = type(self).make_predict_function is keras.Model.make_predict_function
        if is_own and callbacks is None and steps is None and not is_source(x):
            inputs = list(to_arrays(cast(Feed, x), self).values())
            with self._remade_if_changed("predict_function") as state:
                return predict(self._predictor(), state, inputs, batch_size or 32, verbose)
        with self._guard("predict_function", may_end=steps is None) as hooks:
            x, _, _ = self._feed("predict_function", hooks, x, None, None, steps)
            return super().predict(
                x,
                batch_size=batch_size,
                verbose=verbose,
                steps=steps,
                callbacks=with_hooks(callbacks, hooks),
            )

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Computes the outputs, as `keras.Model.call` does."""
        with ending_early() if self.jit_compile and ends_early(self) else nullcontext():
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
        with self._guard("train_function"):
            x, y, sample_weight = self._arrays("train_function", x, y, sample_weight)
            self._choose_compilation(None)
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
        with self._guard("test_function"):
            x, y, sample_weight = self._arrays("test_function", x, y, sample_weight)
            return super().test_on_batch(x, y, sample_weight=sample_weight, return_dict=return_dict)

    def predict_on_batch(self, x: Feed) -> Any:
        """Predicts one batch, as `keras.Model.predict_on_batch` does, on a checked feed."""
        inputs = list(to_arrays(x, self).values())
        with self._remade_if_changed("predict_function"):
            return keras.tree.pack_sequence_as(self.output, self._predictor()(inputs))

    def num_positions(self, inputs: list[np.ndarray]) -> int | None:
        """Returns the width of outputs that depends on these inputs, or `None`."""
        has_support = any(item.loss == SUPPORT for item in model_outputs(self))
        is_wide = has_support or classifies_positions(self)
        return inputs[text_position(self)].shape[1] if is_wide else None

    def check_labels(self, inputs: list[np.ndarray], labels: Any) -> None:
        """Raises a `ValueError` for checked labels that do not suit these inputs."""

    def _feed(
        self,
        function: str,
        hooks: list[Any],
        x: Any,
        y: Any,
        sample_weight: Any,
        steps: int | None,
        shuffle: bool = False,
    ) -> Batch:
        """Checks arrays at once, and a data source batch by batch."""
        if not is_source(x):
            return self._arrays(function, x, y, sample_weight)
        for argument, value in (("y", y), ("sample_weight", sample_weight)):
            if value is not None:
                raise ValueError(
                    f"`{argument}` must be `None` if `x` is a data source. Yield it with each "
                    "batch: `(inputs, labels, sample_weight)`."
                )

        def check(batch: Any) -> Batch:
            return self._checked(function, *unpacked(batch, len(self.inputs)))

        source = CheckedSource(x, check, steps, shuffle)
        hooks.append(RaiseErrors(source))
        if source.form is not None:
            self._follow_form(function, source.form)
        return source.data, None, None

    def _arrays(self, function: str, x: Any, y: Any, sample_weight: Any) -> Batch:
        """Checks arrays, and recreates a compiled function for labels of other ranks."""
        checked = self._checked(function, x, y, sample_weight)
        self._follow_form(function, form_of(checked[1:]))
        return checked

    def _checked(self, function: str, x: Any, y: Any, sample_weight: Any) -> Batch:
        inputs = list(to_arrays(x, self).values())
        packed = keras.tree.pack_sequence_as(self.input, inputs)
        if function == "predict_function":
            return packed, None, None
        batch_size = len(inputs[0])
        if y is not None:
            y = to_labels(y, self, batch_size, self.num_positions(inputs))
            self.check_labels(inputs, y)
        elif self.loss is not None:
            raise ValueError(
                "`y` is missing: training and evaluation need a label for each example."
            )
        if sample_weight is not None:
            sample_weight = to_weights(sample_weight, self, batch_size)
        return packed, y, sample_weight

    def _batches(
        self, data: Batch, size: int, seed: int | None = None, steps: int | None = None
    ) -> SortedBatches | None:
        """Returns batches of a checked feed, or `None` for a data source."""
        others = tuple(part for part in data[1:] if part is not None)
        # The labels of an output without a loss are `None`, which batches cannot hold.
        if is_source(data[0]) or any(part is None for part in keras.tree.flatten(others)):
            return None
        return SortedBatches(keras.tree.flatten(data[0]), others, self, size, seed, steps)

    def _batched(self, data: Batch, size: int) -> Batch:
        """Returns a checked feed in batches, and a data source unchanged."""
        batches = self._batches(data, size)
        return data if batches is None else (execution.as_dataset(batches, True), None, None)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        if self.preprocessor is not None:
            config["preprocessor"] = serialize(self.preprocessor)
        return config

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> QAModel:
        config = dict(config)
        saved = config.pop("preprocessor", None)
        preprocessor = None if saved is None else deserialize(saved)
        model = super().from_config(config, custom_objects=custom_objects)
        model.preprocessor = preprocessor
        return model
