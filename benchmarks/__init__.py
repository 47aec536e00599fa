"""Timings against plain Keras and native PyTorch. Run `python -m benchmarks`."""
