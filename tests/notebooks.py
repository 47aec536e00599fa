"""Runs the notebooks of `examples/` and compares their outputs."""

from __future__ import annotations

import pathlib

import keras
import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient


def code_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def printed(cell: nbformat.NotebookNode) -> str:
    return "".join(part.text for part in cell.outputs if part.get("name") == "stdout")


def pngs(notebook: nbformat.NotebookNode) -> list[str]:
    """The pictures that cells return, as PNG in base64."""
    return [
        part.data["image/png"]
        for cell in code_cells(notebook)
        for part in cell.outputs
        if part.output_type == "execute_result" and "image/png" in part.data
    ]


def executed(
    committed: nbformat.NotebookNode, claims: str, folder: pathlib.Path, where: pathlib.Path
) -> nbformat.NotebookNode:
    """Runs a notebook in the folder `where`, with a last cell of assertions, `claims`."""
    notebook = nbformat.from_dict(committed)
    for cell in code_cells(notebook):
        cell.outputs, cell.execution_count = [], None
    notebook.cells.append(nbformat.v4.new_code_cell(claims))
    with pytest.MonkeyPatch.context() as patch:
        # The kernel runs on the interpreter of the tests and writes nothing to the home folder.
        patch.setenv("IPYTHONDIR", str(folder / "ipython"))
        patch.setenv("JUPYTER_RUNTIME_DIR", str(folder / "runtime"))
        patch.setenv("KERAS_BACKEND", keras.config.backend())
        # On a busy machine, several PyTorch threads are slower than one.
        patch.setenv("OMP_NUM_THREADS", "1")
        manager = AsyncKernelManager(kernel_spec_manager=KernelSpecManager(kernel_dirs=[]))
        client = NotebookClient(
            notebook, km=manager, timeout=300, resources={"metadata": {"path": str(where)}}
        )
        client.execute(cleanup_kc=True)
    return notebook


def pairs(committed: nbformat.NotebookNode, again: nbformat.NotebookNode) -> list[tuple[str, str]]:
    """The committed and the new output of each cell, except of cells with the tag `varies`.

    The output of those depends on the random numbers of the backend.
    """
    return [
        (printed(old), printed(new))
        for old, new in zip(code_cells(committed), code_cells(again)[:-1], strict=True)
        if "varies" not in old.metadata.get("tags", ())
    ]


def assert_clean(committed: nbformat.NotebookNode, pictures: int = 0) -> None:
    """Asserts that a committed notebook was run in order and shows no paths and no warnings.

    Its only outputs are printed text and the given number of pictures.
    """
    assert [cell.execution_count for cell in code_cells(committed)] == list(
        range(1, len(code_cells(committed)) + 1)
    )
    outputs = [part for cell in code_cells(committed) for part in cell.outputs]
    streams = [part for part in outputs if part.output_type == "stream"]
    assert len(pngs(committed)) == pictures == len(outputs) - len(streams)
    assert {part.name for part in streams} == {"stdout"}
    assert not [part.text for part in streams if "arning" in part.text or "/" in part.text]
