"""Checks the wheel that tox has built: it contains the package and its data files, nothing else."""

import os
import pathlib
import zipfile

READY = "keras_qa/models/ready/"
FILES = (
    *("py.typed", "data/babi.py", "layers/kernels/jax.py", "report/page.css"),
    "serving/page.html",
)
ENCODER = tuple(
    f"models/ready/minilm/{name}" for name in ("config.json", "model.int8.npz", "tokenizer.json")
)
# Bytes.
MOST = 30_000_000


def main() -> None:
    wheel = pathlib.Path(os.environ["TOX_PACKAGE"])
    archive = zipfile.ZipFile(wheel)
    names = archive.namelist()
    odd = [name for name in names if not name.startswith(("keras_qa/", "keras_qa-"))]
    assert not odd, f"{wheel.name} holds {odd}"
    tests = [name for name in names if "tests" in name or "/test_" in name or "conftest" in name]
    assert not tests, f"{wheel.name} holds {tests}"
    for name in (*FILES, *ENCODER):
        assert f"keras_qa/{name}" in names, f"{wheel.name} lacks {name}"
    licences = {name.rpartition("licenses/")[2]: name for name in names if "licenses/" in name}
    assert licences.keys() == {"LICENSE", "NOTICE", "DATA-LICENCES.md"}, (
        f"{wheel.name} has {list(licences)}"
    )
    notice = archive.read(licences["NOTICE"]).decode()
    weights = {name.removeprefix(READY).partition("/")[0] for name in names if READY in name}
    missing = [name for name in sorted(weights) if f"{READY}{name}\n" not in notice]
    assert not missing, f"NOTICE does not say where {missing} come from"
    size = wheel.stat().st_size
    assert size <= MOST, f"{wheel.name} has {size / 1e6:.1f} MB, expected at most {MOST / 1e6:.0f}"
    print(f"{wheel.name}: {len(names)} files, {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
