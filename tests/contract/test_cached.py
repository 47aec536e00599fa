"""Compiled programs that stay from process to process."""

import os
import pathlib
import subprocess
import sys

import keras
import pytest
from as_keras import assert_predicts_as_keras, small

import keras_qa
from keras_qa.cli import main
from keras_qa.execution import cached

# The other backends have no public interface for it, or compile nothing.
KEEPS = keras.config.backend() == "jax"

CODE = """
import jax, keras_qa, numpy as np, sys
found = []
assert keras_qa.cache_programs(sys.argv[1])
jax.monitoring.register_event_listener(lambda event, **_: found.append(event))
model = keras_qa.models.answer_classifier(50, 40, 7, 64, 32)
feed = [np.ones((8, 9), "int32"), np.ones((8, 4), "int32")]
total = float(model.predict(feed, verbose=0).sum())
print(total, sum(event.endswith("cache_hits") for event in found))
"""


def run(folder: pathlib.Path) -> tuple[float, int]:
    left_out = ("JAX_COMPILATION_CACHE_DIR", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS")
    environment = {name: value for name, value in os.environ.items() if name not in left_out}
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(folder)], capture_output=True, text=True, env=environment
    )
    total, hits = done.stdout.split() or pytest.fail(done.stderr)
    return float(total), int(hits)


def test_nothing_is_kept_where_the_environment_says_so(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("KERAS_QA_CACHE", "0")
    assert not keras_qa.cache_programs(tmp_path / "programs")
    assert not (tmp_path / "programs").exists()


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    if KEEPS:
        with pytest.raises(OSError, match="file"):
            keras_qa.cache_programs(tmp_path / "file")
    else:
        assert not keras_qa.cache_programs(tmp_path / "file")


def test_what_was_used_long_ago_goes_first(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(cached, "MOST_BYTES", 25)
    for age, name in enumerate("abc"):
        (tmp_path / name).write_bytes(bytes(10))
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    cached._cut_back(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


if KEEPS:

    def test_a_second_process_finds_what_the_first_has_compiled(tmp_path) -> None:
        total, hits = run(tmp_path)
        assert hits == 0
        again, hits = run(tmp_path)
        assert hits > 0
        assert again == pytest.approx(total)
        assert any(path.is_file() for path in tmp_path.rglob("*"))

    def test_the_command_leaves_a_folder_that_the_user_has_named(tmp_path, monkeypatch) -> None:
        import jax

        before = jax.config.jax_compilation_cache_dir
        monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path))
        jax.config.update("jax_compilation_cache_dir", str(tmp_path))
        try:
            asked = ["--text", "Mary went to the garden.", "--question", "Where is Mary?"]
            assert main(["answer", "babi", *asked]) == 0
            assert jax.config.jax_compilation_cache_dir == str(tmp_path)
        finally:
            jax.config.update("jax_compilation_cache_dir", before)

else:

    def test_where_nothing_can_be_kept_nothing_is(tmp_path) -> None:
        assert not keras_qa.cache_programs(tmp_path)
        assert_predicts_as_keras(small())
        assert not any(tmp_path.rglob("*"))
