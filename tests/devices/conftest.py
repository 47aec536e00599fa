"""Four virtual devices, which JAX gets by XLA_FLAGS, see tox.ini."""

import keras

DEVICES = 4

if keras.config.backend() == "tensorflow":
    import tensorflow as tf

    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0],
        [tf.config.LogicalDeviceConfiguration()] * DEVICES,
    )

collect_ignore = [
    f"test_{name}.py" for name in ("jax", "tensorflow") if name != keras.config.backend()
]
