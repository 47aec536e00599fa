"""Downloads into the cache folder, resumed after an interruption and checked by SHA-256."""

from __future__ import annotations

import hashlib
import http
import http.client
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

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
    """Downloads a file, unless `target` exists and has the right checksum.

    An interrupted download is kept beside the target as `<name>.part`. The next call resumes it,
    from any mirror.

    Args:
        urls: URLs of the same file, tried in order.
        target: Path to save the file to.
        sha256: Expected SHA-256, in hexadecimal.
        size: Expected number of bytes.

    Returns:
        `target`.

    Raises:
        ValueError: If a mirror sends a wrong file, and no mirror sends the right one.
        ConnectionError: If no mirror answers.
    """
    if target.exists():
        if _sha256(target) == sha256:
            return target
        target.unlink()
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    if part.exists() and part.stat().st_size >= size:
        if _sha256(part) == sha256:
            return part.replace(target)
        part.unlink()
    problems = []
    wrong_bytes = False
    waiting = list(urls)
    while waiting:
        url = waiting.pop(0)
        try:
            resumed = _download(url, part, size)
        except urllib.error.HTTPError as error:
            error.close()
            problems.append(f"{url} answers {error.code} {error.reason}")
            if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                part.unlink(missing_ok=True)
            continue
        except (urllib.error.URLError, http.client.HTTPException, ConnectionError) as error:
            problems.append(f"{url}: {getattr(error, 'reason', None) or error}")
            continue
        except TimeoutError:
            problems.append(f"{url} does not answer within {_TIMEOUT:.0f} seconds")
            continue
        received, length = _sha256(part), part.stat().st_size
        if received == sha256:
            return part.replace(target)
        part.unlink()
        if resumed:
            # The wrong bytes may be those of the old part: try the same mirror from the start.
            waiting.insert(0, url)
            continue
        wrong_bytes = True
        problems.append(
            f"{url} sends a wrong file (expected {size:,} with SHA-256 {sha256}, "
            f"received {length:,} with {received})"
        )
    raise (ValueError if wrong_bytes else ConnectionError)(
        f"`{target.name}` cannot be downloaded: {'; '.join(problems)}. "
        "Download it by other means, and pass its path as `path`."
    )


def _download(url: str, part: Path, size: int) -> bool:
    """Downloads the rest of the part; returns whether it resumed."""
    done = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "keras-qa"}
    if done:
        headers["Range"] = f"bytes={done}-"
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:
        # A server without support for `Range` sends the whole file.
        content_range = response.headers.get("Content-Range", "")
        resumed = bool(done) and content_range.startswith(f"bytes {done}-")
        done = done if resumed else 0
        announced = response.headers.get("Content-Length")
        expected = done + int(announced) if announced else 0
        with part.open("ab" if resumed else "wb") as file:
            # Read one byte more than `size`, so that a longer file fails the checksum.
            while done <= size and (chunk := response.read(min(_CHUNK, size + 1 - done))):
                file.write(chunk)
                done += len(chunk)
                _show(part.name.removesuffix(".part"), done, size)
    # `read` does not raise if the connection breaks. Without a length, the checksum finds it.
    if done < min(expected, size):
        raise ConnectionError(f"the connection broke off after {done:,} of {size:,} bytes")
    return resumed


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _show(name: str, done: int, size: int) -> None:
    if sys.stderr.isatty():
        end = "\n" if done >= size else ""
        sys.stderr.write(f"\r{name}: {min(done, size) / size:4.0%} of {size / 1e6:.1f} MB{end}")
        sys.stderr.flush()
