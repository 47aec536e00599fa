"""What every test process has in common."""

from __future__ import annotations

import faulthandler
import gc
import sys
from collections.abc import Iterator

import pytest

# Programs that are traced make objects by the million, hardly any of which is garbage.
gc.set_threshold(50_000, 20, 50)


@pytest.fixture(scope="module", autouse=True)
def collected() -> Iterator[None]:
    """What a file of tests leaves is not looked through again by each later collection.

    Compiled programs hold gigabytes of objects, and Keras collects garbage often.
    """
    yield
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish() -> None:
    # A process that does not end when its tests have would hold up what comes after it, and not
    # say where it stands.
    faulthandler.dump_traceback_later(300, exit=True, file=sys.__stderr__)
