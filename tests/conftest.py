"""Settings of every test process."""

from __future__ import annotations

import faulthandler
import gc
import sys
from collections.abc import Iterator

import pytest

# Tracing makes millions of objects, of which few are garbage.
gc.set_threshold(50_000, 20, 50)


@pytest.fixture(scope="module", autouse=True)
def collected() -> Iterator[None]:
    """Excludes the objects of a test file from later garbage collections.

    Compiled programs hold gigabytes of objects, and Keras collects garbage often.
    """
    yield
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish() -> None:
    # If the process hangs after its tests, print where and exit.
    faulthandler.dump_traceback_later(300, exit=True, file=sys.__stderr__)
