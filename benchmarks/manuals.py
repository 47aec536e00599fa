"""`python -m benchmarks.manuals OUT`: software manuals that nothing here was chosen or fitted on.

Writes `docs/` and `questions.jsonl` to the folder OUT, for `python -m benchmarks.documents OUT`:
the manuals of Cargo, CMake and Debian from packages of Debian, which `apt-get` downloads, and that
of Django from its source package. The questions were written before the answers were looked at.
"""

from __future__ import annotations

import argparse
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile

QUESTIONS = pathlib.Path(__file__).with_name("manuals.jsonl")
# The folders of documents in Debian's packages, and the files of which are read.
DEBIAN = {
    "cargo-doc": ("cargo", "usr/share/doc/cargo/book", "*.html"),
    "cmake-data": ("cmake", "usr/share/cmake-*/Help", "*.rst"),
    "debian-policy": ("debian", "usr/share/doc/debian-policy/policy.html", "*.html"),
    "debian-history": ("debian", "usr/share/doc/debian-history/docs", "*.en.html"),
    "debian-faq": ("debian", "usr/share/doc/debian/FAQ", "*.en.html"),
}
DJANGO = "django==5.1.4"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.manuals", description=__doc__)
    parser.add_argument("out", type=pathlib.Path)
    out = parser.parse_args().out
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        subprocess.run(["apt-get", "download", *DEBIAN], cwd=folder, check=True)
        for package, (project, documents, pattern) in DEBIAN.items():
            (archive,) = folder.glob(f"{package}_*.deb")
            subprocess.run(["dpkg-deb", "-x", archive, folder / package], check=True)
            (source,) = (folder / package).glob(documents)
            copy(source, out / "docs" / project / package, pattern)
        options = ["--no-deps", "--no-binary", "django"]
        pip = [sys.executable, "-m", "pip", "download", *options, "--dest", str(folder), DJANGO]
        subprocess.run(pip, check=True)
        (archive,) = folder.glob("*.tar.gz")
        with tarfile.open(archive) as files:
            files.extractall(folder / "django", filter="data")
        (source,) = (folder / "django").glob("*/docs")
        copy(source, out / "docs" / "django", "*.txt")
    shutil.copy(QUESTIONS, out / "questions.jsonl")


def copy(source: pathlib.Path, target: pathlib.Path, pattern: str) -> None:
    """Copies the files of a folder whose names fit a pattern."""
    for path in sorted(source.rglob(pattern)):
        copied = target / path.relative_to(source)
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copied)


if __name__ == "__main__":
    main()
