"""`tests/count_lines.py`, the script that counts the lines of code and of docstrings."""

import pathlib
import runpy
import subprocess
import sys

import pytest

SCRIPT = pathlib.Path(__file__).parents[1] / "count_lines.py"
SOURCE = '''"""A module.

With two lines and a blank one.
"""

# A comment.
import os  # and one behind code


class Example:
    """A class."""

    text = """
    A string is code,

    its blank line is not.
    """

    def length(
        self,
    ) -> int:
        """One line."""
        # A comment.
        return len(self.text)


async def remove() -> None:
    "A docstring."
    os.remove("a")
    "No docstring."
'''
# import, class, 4 of the string, 3 of the head of a function, return, 3 of `remove`.
CODE = 1 + 1 + 4 + 3 + 1 + 3
DOCSTRINGS = 3 + 1 + 1 + 1


@pytest.mark.parametrize(
    ("source", "counts"),
    [(SOURCE, (CODE, DOCSTRINGS)), ("", (0, 0)), ("# A comment.\n\n", (0, 0)), ("1", (1, 0))],
)
def test_code_and_docstrings_are_counted(source, counts) -> None:
    assert runpy.run_path(str(SCRIPT))["count"](source) == counts


def test_the_script_counts_the_files_of_a_folder(tmp_path) -> None:
    (tmp_path / "room").mkdir()
    for name in ("a.py", "room/b.py"):
        (tmp_path / name).write_text(SOURCE, encoding="utf-8")
    (tmp_path / "c.txt").write_text(SOURCE, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, SCRIPT, tmp_path], capture_output=True, text=True, check=True
    )
    assert done.stdout == "26 lines of code, 12 of docstrings, in 2 files\n"
