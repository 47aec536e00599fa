"""The backend that `import keras_qa` chooses."""

import importlib.util
import json
import os
import re
import sys

import pytest
from interpreters import BACKENDS, last_line, python

from keras_qa import _backend

NONE = (
    "keras-qa needs a backend and none is installed. Install one: "
    'pip install "keras-qa[tensorflow]", pip install "keras-qa[torch]", '
    'pip install "keras-qa[jax]".'
)


@pytest.fixture
def environment(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.delitem(sys.modules, "keras", raising=False)

    def set_up(found: tuple[str, ...], config: dict | str | None) -> None:
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name: object() if name in found else None
        )
        if config is not None:
            text = config if isinstance(config, str) else json.dumps(config)
            (tmp_path / "keras.json").write_text(text)

    return set_up


@pytest.mark.parametrize(
    ("found", "config", "expected"),
    [
        (("jax",), None, "jax"),
        (("torch",), {"backend": "tensorflow"}, "torch"),
        (("jax",), {"floatx": "float32"}, "jax"),
        (("jax",), "{no JSON", "jax"),
        (("tensorflow",), {"backend": "jax"}, "tensorflow"),
        # Keras uses these without our help.
        (("tensorflow",), None, None),
        (("jax",), {"backend": "jax"}, None),
        # The user has to choose, or to install one.
        (("torch", "jax"), None, None),
        (BACKENDS, {"backend": "jax"}, None),
        ((), None, None),
    ],
)
def test_the_only_backend_is_chosen(environment, found, config, expected) -> None:
    environment(found, config)
    _backend.choose()
    assert os.environ.get("KERAS_BACKEND") == expected


@pytest.mark.parametrize(
    ("found", "chosen", "message"),
    [
        ((), "", NONE),
        (("torch", "jax"), "", "KERAS_BACKEND is not set, so Keras would use tensorflow, which is"),
        (("jax",), "torch", "KERAS_BACKEND=torch, but torch is not installed. Set KERAS_BACKEND=j"),
        (("jax",), "theano", "runs on tensorflow, torch and jax. Received: KERAS_BACKEND=theano."),
    ],
)
def test_a_backend_that_cannot_be_used_raises(
    environment, monkeypatch, found, chosen: str, message: str
) -> None:
    environment(found, None)
    monkeypatch.setenv("KERAS_BACKEND", chosen)
    with pytest.raises(ImportError, match=re.escape(message)):
        _backend.require()


def test_a_choice_of_the_user_and_an_imported_keras_stay(environment, monkeypatch) -> None:
    environment(("jax",), None)
    monkeypatch.setitem(sys.modules, "keras", object())
    _backend.choose()
    assert "KERAS_BACKEND" not in os.environ
    monkeypatch.delitem(sys.modules, "keras")
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    _backend.choose()
    assert os.environ["KERAS_BACKEND"] == "torch"


def test_a_worker_chooses_its_backend_before_keras_is_imported() -> None:
    code = """
import os, types, keras_qa
from keras_qa import _backend
_backend.use("jax")
print(os.environ["KERAS_BACKEND"], "keras" in sys.modules)
sys.modules["keras"] = types.ModuleType("keras")
_backend.use("jax")
_backend.use("torch")
"""
    done = python(code, KERAS_BACKEND="torch")
    assert done.stdout.strip() == "jax False"
    assert last_line(done) == (
        "ValueError: Keras already uses jax. Received: backend='torch'. Set `backend` in a process "
        "that has not imported Keras."
    )
