"""Files: atomic replacement, downloads, rows of tables, JSON, checks of `.keras` files."""

from __future__ import annotations

import contextlib
import os
import pathlib
import secrets
from collections.abc import Iterator


@contextlib.contextmanager
def replace_atomically(path: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
    """Yields a temporary path to write to, which replaces `path` if the block raises no error.

    Examples:
        >>> import os, tempfile
        >>> from keras_qa.files import replace_atomically
        >>> path = os.path.join(tempfile.mkdtemp(), "notes.txt")
        >>> with replace_atomically(path) as partial:
        ...     _ = partial.write_text("done")
        >>> os.listdir(os.path.dirname(path))
        ['notes.txt']
    """
    path = pathlib.Path(path)
    # Keep the suffix: writers choose the format by it. The random part separates processes that
    # write to one path.
    name = f".{path.stem[:40]}.{secrets.token_hex(4)}.partial{path.suffix}"
    partial = path.with_name(name)
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
