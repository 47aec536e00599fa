"""Python's SQLite, also where another is loaded already.

TensorFlow brings one without FTS5, under the same names of functions, and what is loaded after it
takes those, unless it is told to look for its own first.
"""

from __future__ import annotations

import os
import sys

if hasattr(os, "RTLD_DEEPBIND"):
    _before = sys.getdlopenflags()
    sys.setdlopenflags(_before | os.RTLD_DEEPBIND)
    try:
        import sqlite3
    finally:
        sys.setdlopenflags(_before)
else:
    import sqlite3

__all__ = ["sqlite3"]
