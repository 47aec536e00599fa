"""The backend that `import keras_qa` chooses."""

import importlib.util
import json
import os
import sys

import pytest
from interpreters import BACKENDS, python

from keras_qa import _backend

# Makes JAX look installed.
FAKE_JAX = """
seen = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: True if name == "jax" else seen(name, *rest)
"""


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


def test_without_a_choice_the_message_says_what_to_set(environment) -> None:
    environment(("torch", "jax"), None)
    _backend.choose()
    extras = ", ".join(f'pip install "keras-qa[{name}]"' for name in BACKENDS)
    with pytest.raises(ImportError) as caught:
        _backend.require()
    assert str(caught.value) == (
        "KERAS_BACKEND is not set, so Keras would use tensorflow, which is not installed. Set "
        f"KERAS_BACKEND=torch or KERAS_BACKEND=jax, or install one: {extras}."
    )


def test_a_choice_of_the_user_stays(environment, monkeypatch) -> None:
    environment(("jax",), None)
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    _backend.choose()
    assert os.environ["KERAS_BACKEND"] == "torch"


def test_nothing_is_set_if_keras_is_imported(environment, monkeypatch) -> None:
    environment(("jax",), None)
    monkeypatch.setitem(sys.modules, "keras", object())
    _backend.choose()
    assert "KERAS_BACKEND" not in os.environ


def test_the_import_sets_the_backend_and_nothing_else(tmp_path) -> None:
    # The command imports Keras later, so that this test needs no backend.
    code = FAKE_JAX + (
        "import os\n"
        "sys.argv = ['/bin/keras-qa']\n"
        "before = dict(os.environ)\n"
        "import keras_qa\n"
        "print(set(os.environ.items()) - set(before.items()), 'keras' in sys.modules)"
    )
    done = python(code, hidden=("tensorflow", "torch"), KERAS_HOME=str(tmp_path))
    assert done.stdout.strip() == "{('KERAS_BACKEND', 'jax')} False", done.stderr
