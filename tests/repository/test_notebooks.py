"""The notebooks in `examples/` run and print what is committed. Their cells assert more."""

from __future__ import annotations

import json
import pathlib

import keras
import pytest

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"
# Assertions after the last cell, about outputs that depend on the backend's random numbers.
CLAIMS = {
    "walkthrough": "",
    "documents": """
assert before.exact_match > 50 and before.recall[5] == 1000 / 11
right = [one.text in item.answers for item, one in zip(questions, sure) if one.text]
assert len(right) >= 3 and sum(right) > 0.8 * len(right)
assert with_vectors.recall[1] == 100 > after.recall[1]
""",
    "fine_tuning": """
assert before["exact_match"] < 50 < 75 <= after["exact_match"]
""",
}
PICTURES = {"walkthrough": 0, "documents": 3, "fine_tuning": 0}


def read(name: str) -> dict:
    return json.loads((EXAMPLES / f"{name}.ipynb").read_text("utf-8"))


def code_cells(notebook: dict) -> list[dict]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def printed(notebook: dict) -> list[str]:
    """The text of each cell without the tag `varies`."""
    return [
        "".join("".join(part["text"]) for part in cell["outputs"] if part.get("name") == "stdout")
        for cell in code_cells(notebook)
        if "varies" not in cell["metadata"].get("tags", ())
    ]


def count_pictures(notebook: dict) -> int:
    outputs = [part for cell in code_cells(notebook) for part in cell["outputs"]]
    return sum("image/png" in part.get("data", ()) for part in outputs)


def executed(name: str, folder: pathlib.Path) -> dict:
    # Only the environment `full` has these packages.
    import nbformat
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient

    notebook = nbformat.read(EXAMPLES / f"{name}.ipynb", as_version=4)
    for cell in code_cells(notebook):
        cell.outputs, cell.execution_count = [], None
    claims = f"import keras\nprint(keras.config.backend())\n{CLAIMS[name]}"
    notebook.cells.append(nbformat.v4.new_code_cell(claims))
    with pytest.MonkeyPatch.context() as patch:
        # The kernel runs on the interpreter of the tests and writes nothing to the home folder.
        patch.setenv("IPYTHONDIR", str(folder / "ipython"))
        patch.setenv("JUPYTER_RUNTIME_DIR", str(folder / "runtime"))
        patch.setenv("KERAS_BACKEND", keras.config.backend())
        # On a busy machine, several PyTorch threads are slower than one.
        patch.setenv("OMP_NUM_THREADS", "1")
        manager = AsyncKernelManager(kernel_spec_manager=KernelSpecManager(kernel_dirs=[]))
        # The notebook on fine-tuning reads a checkpoint of the tests by a relative path.
        resources = {"metadata": {"path": str(EXAMPLES)}}
        client = NotebookClient(notebook, km=manager, timeout=300, resources=resources)
        client.execute(cleanup_kc=True)
    return notebook


@pytest.mark.parametrize("name", CLAIMS)
def test_committed_notebooks_were_run_in_order_without_warnings_and_paths(name: str) -> None:
    cells = code_cells(read(name))
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [part for cell in cells for part in cell["outputs"]]
    streams = [part for part in outputs if part["output_type"] == "stream"]
    assert count_pictures(read(name)) == PICTURES[name] == len(outputs) - len(streams)
    assert {part["name"] for part in streams} == {"stdout"}
    texts = ["".join(part["text"]) for part in streams]
    assert not [text for text in texts if "arning" in text or "/" in text]


# The functions of the other notebooks have tests of their own.
def test_the_walkthrough_prints_what_is_committed(capsys) -> None:
    names: dict[str, object] = {}
    for cell in code_cells(read("walkthrough")):
        exec("".join(cell["source"]), names)
        expected = "".join("".join(part["text"]) for part in cell["outputs"])
        assert capsys.readouterr().out == expected or "varies" in cell["metadata"].get("tags", ())


@pytest.mark.full
@pytest.mark.parametrize("name", CLAIMS)
def test_notebooks_print_what_is_committed(name: str, tmp_path) -> None:
    again = executed(name, tmp_path)
    assert printed(again) == [*printed(read(name)), f"{keras.config.backend()}\n"]
    assert count_pictures(again) == PICTURES[name]
