"""Calls functions of this folder on one backend: `python run.py work.save work.ask`."""

import importlib
import sys

for name in sys.argv[1:]:
    module, _, function = name.partition(".")
    getattr(importlib.import_module(module), function)()
