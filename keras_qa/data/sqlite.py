"""Python's own `sqlite3`, even if TensorFlow is loaded.

TensorFlow exports the symbols of an SQLite without FTS5. Modules loaded after it would use them
instead of their own; `RTLD_DEEPBIND` makes `sqlite3` prefer its own.
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
