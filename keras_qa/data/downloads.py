"""Downloads into the cache folder, checked by SHA-256."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from keras_qa.data.files import replace_atomically

_CHUNK = 1 << 16
_TIMEOUT = 30.0


def cache_folder() -> Path:
    """The folder for downloads: `KERAS_QA_HOME`, else `keras-qa` in the user's cache."""
    home = os.environ.get("KERAS_QA_HOME")
    if home:
        return Path(home).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "keras-qa"


def fetch(urls: Sequence[str], target: Path, sha256: str, size: int) -> Path:
    """Downloads a file, unless `target` exists and has the right checksum."""
    if target.exists() and _sha256(target) == sha256:
        return target
    # Not at the top: they take 25 ms, and most commands download nothing.
    import http.client
    import urllib.error

    target.unlink(missing_ok=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    problems = []
    for url in urls:
        try:
            with replace_atomically(target) as part:
                _download(url, part, target.name, size)
                received, length = _sha256(part), part.stat().st_size
                if received != sha256:
                    raise ConnectionError(
                        f"sends a wrong file (expected {size:,} bytes with SHA-256 {sha256}, "
                        f"received {length:,} with {received})"
                    )
            return target
        except urllib.error.HTTPError as error:
            error.close()
            problems.append(f"{url} answers {error.code} {error.reason}")
        except TimeoutError:
            problems.append(f"{url} does not answer within {_TIMEOUT:.0f} seconds")
        except (urllib.error.URLError, http.client.HTTPException, ConnectionError) as error:
            problems.append(f"{url} {getattr(error, 'reason', None) or error}")
    raise ConnectionError(
        f"`{target.name}` cannot be downloaded: {'; '.join(problems)}. "
        "Download it by other means, and pass its path as `path`."
    )


def _download(url: str, part: Path, name: str, size: int) -> None:
    import urllib.request

    request = urllib.request.Request(url, headers={"User-Agent": "keras-qa"})
    done = 0
    with urllib.request.urlopen(request, timeout=_TIMEOUT) as response, part.open("wb") as file:
        # Read one byte more than `size`, so that a longer file fails the checksum.
        while done <= size and (chunk := response.read(min(_CHUNK, size + 1 - done))):
            file.write(chunk)
            done += len(chunk)
            _show(name, done, size)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _show(name: str, done: int, size: int) -> None:
    if sys.stderr.isatty():
        end = "\n" if done >= size else ""
        sys.stderr.write(f"\r{name}: {min(done, size) / size:4.0%} of {size / 1e6:.1f} MB{end}")
        sys.stderr.flush()
