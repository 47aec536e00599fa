"""Files that are replaced at once or not at all."""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Iterator


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
    """Gives a file to write beside `path`, and puts it there once the block ends without error.

    Examples:
        >>> import os, tempfile
        >>> from keras_qa.files.atomic import replacing
        >>> path = os.path.join(tempfile.mkdtemp(), "notes.txt")
        >>> with replacing(path) as partial:
        ...     _ = partial.write_text("done")
        >>> os.listdir(os.path.dirname(path))
        ['notes.txt']
    """
    path = pathlib.Path(path)
    # The ending stays: it says what to write.
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
