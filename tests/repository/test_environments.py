"""The table of environments in `tests/conftest.py`: what is collected, and errors."""

import os
import pathlib
import runpy
import shutil
import subprocess
import sys

import pytest

CONFTEST = pathlib.Path(__file__).parents[1] / "conftest.py"
TABLE = runpy.run_path(str(CONFTEST))


@pytest.fixture(scope="module")
def tests(tmp_path_factory) -> pathlib.Path:
    """A folder with the entries of the table, and one test of `host`."""
    tests = tmp_path_factory.mktemp("project") / "tests"
    for name in (*TABLE["ENVIRONMENTS"], *TABLE["QUICK"]):
        path = tests / name
        folder = path.parent if path.suffix else path
        folder.mkdir(parents=True, exist_ok=True)
        path.suffix and path.touch()
    (tests / "text" / "test_a.py").write_text("def test_a() -> None: ...")
    (tests / "parity" / "test_b.py").write_text("def test_b() -> None: ...")
    shutil.copy(CONFTEST, tests)
    (tests.parent / "pytest.ini").write_text("[pytest]\ntestpaths = tests\n")
    return tests


def collected(tests: pathlib.Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, *arguments],
        cwd=tests.parent,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
    )
    return done.stdout + done.stderr


def test_an_environment_has_its_own_tests(tests) -> None:
    # Not that of `parity`, which no command names.
    assert "1 test collected" in collected(tests, "--environment", "host")
    assert "No test of the environment `once` in tests/text." in collected(
        tests, "--environment", "once", "tests/text"
    )
    assert (
        "tests/text/test_a.py is not in the environment `once`, but in `host`. Run it without "
        "`--environment`."
    ) in collected(tests, "--environment", "once", "tests/text/test_a.py")


def test_some_folders_are_collected_by_name(tests) -> None:
    assert "tests/parity/test_b.py::test_b" in collected(tests, "tests/parity")


def test_a_file_without_an_environment_and_an_entry_without_a_file_are_errors(tests) -> None:
    new = tests / "test_new.py"
    new.touch()
    assert (
        "ERROR: tests/test_new.py has no environment: add it or its folder to `ENVIRONMENTS` in "
        "tests/conftest.py."
    ) in collected(tests, "--environment", "host")
    new.unlink()
    (tests / "rivals").rmdir()
    assert "tests/conftest.py lists rivals, which does not exist." in collected(tests)
