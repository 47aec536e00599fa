"""Checks a built wheel: the package and its type marker are in it, and nothing else is."""

import pathlib
import sys
import zipfile


def main(folder: str) -> None:
    (wheel,) = pathlib.Path(folder).glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    odd = [name for name in names if not name.startswith(("keras_qa/", "keras_qa-"))]
    assert not odd, f"{wheel.name} holds {odd}"
    assert not [name for name in names if "test" in name], f"{wheel.name} holds tests"
    for name in ("keras_qa/py.typed", "keras_qa/datasets/babi.py", "keras_qa/kernels/_jax.py"):
        assert name in names, f"{wheel.name} lacks {name}"
    assert any(name.endswith("licenses/LICENSE") for name in names), f"{wheel.name} has no licence"
    print(f"{wheel.name}: {len(names)} files")


if __name__ == "__main__":
    main(sys.argv[1])
