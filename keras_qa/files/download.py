"""Downloads into the cache folder: mirrors in turn, resumed, checked, renamed when whole."""

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

CHUNK = 1 << 16
TIMEOUT = 30.0


def cache_folder() -> Path:
    """The folder for downloads: `KERAS_QA_HOME`, else `keras-qa` in the user's cache."""
    home = os.environ.get("KERAS_QA_HOME")
    if home:
        return Path(home).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "keras-qa"


def fetch(urls: Sequence[str], target: Path, sha256: str, size: int) -> Path:
    """Downloads a file once.

    An interrupted download stays beside the target as `<name>.part` and goes
    on from there, whichever mirror answers next.

    Args:
        urls: Mirrors of the same bytes, tried in turn.
        target: Where the file ends up.
        sha256: The expected checksum, in hexadecimal.
        size: The expected number of bytes. No more than that is ever written.

    Returns:
        `target`, whose checksum is right.

    Raises:
        ValueError: If a mirror answers with other bytes and no mirror gives
            the right ones.
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
            problems.append(f"{url} does not answer within {TIMEOUT:.0f} seconds")
            continue
        received, length = _sha256(part), part.stat().st_size
        if received == sha256:
            return part.replace(target)
        part.unlink()
        if resumed:
            # The part may have been the bad half: the same mirror gets a second, clean try.
            waiting.insert(0, url)
            continue
        wrong_bytes = True
        problems.append(
            f"{url} gives other bytes (expected {size:,} with SHA-256 {sha256}, "
            f"received {length:,} with {received})"
        )
    raise (ValueError if wrong_bytes else ConnectionError)(
        f"`{target.name}` cannot be downloaded: {'; '.join(problems)}. "
        "Fetch it by other means and pass `path=` with where it is."
    )


def _download(url: str, part: Path, size: int) -> bool:
    """Appends what is missing to the part. Returns whether the part's start was kept."""
    done = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "keras-qa"}
    if done:
        headers["Range"] = f"bytes={done}-"
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
        # A server that does not know `Range` sends the whole file from its start.
        content_range = response.headers.get("Content-Range", "")
        resumed = bool(done) and content_range.startswith(f"bytes {done}-")
        done = done if resumed else 0
        announced = response.headers.get("Content-Length")
        expected = done + int(announced) if announced else 0
        with part.open("ab" if resumed else "wb") as file:
            # One byte past the size is kept, so that the check sees a file too long.
            while done <= size and (chunk := response.read(min(CHUNK, size + 1 - done))):
                file.write(chunk)
                done += len(chunk)
                _show(part.name.removesuffix(".part"), done, size)
    # `read` does not raise when a connection breaks off: only the announced length tells.
    # Without one, the checksum decides.
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
