"""What every test process has in common."""

from __future__ import annotations

import faulthandler
import sys

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish() -> None:
    # A process that does not end when its tests have would hold up what comes after it, and not
    # say where it stands.
    faulthandler.dump_traceback_later(300, exit=True, file=sys.__stderr__)
