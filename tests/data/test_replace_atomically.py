"""Files that are replaced at once."""

import os

import pytest

from keras_qa.data.files import replace_atomically


def test_two_writers_of_one_path_have_partial_files_of_their_own(tmp_path) -> None:
    path = tmp_path / "qa.keras"
    with replace_atomically(path) as first:
        first.write_text("first")
        with replace_atomically(path) as second:
            assert first != second
            assert {first.suffix, second.suffix} == {".keras"}
            second.write_text("second")
        assert path.read_text() == "second"
        assert first.read_text() == "first"
    assert path.read_text() == "first"
    assert os.listdir(tmp_path) == ["qa.keras"]


def test_an_error_keeps_the_old_file_and_leaves_no_other(tmp_path) -> None:
    path = tmp_path / ("a" * 250)
    path.write_text("old")

    def write() -> None:
        with replace_atomically(path) as partial:
            partial.write_text("half")
            raise KeyError

    with pytest.raises(KeyError):
        write()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == [path.name]
