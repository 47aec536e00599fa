"""The one room that asks which backend is on: same names, same arguments, a file each."""

import keras

if keras.config.backend() == "tensorflow":
    from keras_qa.kernels._tensorflow import as_dataset, compiled, keep_weights
elif keras.config.backend() == "torch":
    from keras_qa.kernels._torch import as_dataset, compiled, keep_weights
else:
    from keras_qa.kernels._jax import as_dataset, compiled, keep_weights

__all__ = ["as_dataset", "compiled", "keep_weights"]
