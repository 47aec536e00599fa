"""Checks that a built wheel contains the package and its data files, and nothing else."""

import pathlib
import sys
import zipfile


def main(folder: str) -> None:
    (wheel,) = pathlib.Path(folder).glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    odd = [name for name in names if not name.startswith(("keras_qa/", "keras_qa-"))]
    assert not odd, f"{wheel.name} holds {odd}"
    tests = [name for name in names if "tests" in name or "/test_" in name or "conftest" in name]
    assert not tests, f"{wheel.name} holds {tests}"
    for name in ("py.typed", "datasets/babi.py", "kernels/jax.py", "report/page.css"):
        assert f"keras_qa/{name}" in names, f"{wheel.name} lacks {name}"
    assert any(name.endswith("licenses/LICENSE") for name in names), f"{wheel.name} has no licence"
    print(f"{wheel.name}: {len(names)} files")


if __name__ == "__main__":
    main(sys.argv[1])
