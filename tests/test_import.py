"""Importing has no side effects, and uses the installed backend."""

import keras
import pytest
from interpreters import BACKENDS, last_line, python
from small_examples import EXAMPLES

import keras_qa

ALL_BUT_ONE = tuple(name for name in BACKENDS if name != keras.config.backend())


def test_command_looks_for_no_garbage_while_it_imports() -> None:
    done = python(
        "import gc\n"
        "from keras_qa import cli\n"
        "found = []\n"
        "gc.callbacks.append(lambda phase, info: found.append(phase))\n"
        "cli._import_backend()\n"
        "count = len(found)\n"
        "import keras\n"
        "print(count, gc.isenabled(), gc.get_freeze_count() > 50_000, 'keras' in sys.modules)",
        KERAS_BACKEND=keras.config.backend(),
    )
    assert done.stdout.strip().splitlines()[-1] == "0 True True True", done.stderr


def test_command_takes_the_one_backend_that_is_installed(tmp_path) -> None:
    # Its optimizer names a schedule of ours, which nothing but the file asks for.
    recipe = keras_qa.recipes.Recipe(epochs=1, decay="linear")
    path, text = tmp_path / "qa.keras", tmp_path / "text.txt"
    text.write_text(EXAMPLES[0].text)
    keras_qa.recipes.train(EXAMPLES, None, "answer_classifier", None, recipe, out=path, verbose=0)
    done = python(
        "from keras_qa.cli import main\n"
        "done = main(['answer', *sys.argv[1:]])\n"
        "import keras, keras_qa; keras_qa.load(sys.argv[1])\n"
        "print('backend', keras.config.backend(), done)",
        str(path),
        f"--text={text}",
        f"--question={EXAMPLES[0].question}",
        hidden=ALL_BUT_ONE,
        KERAS_HOME=str(tmp_path),
    )
    assert done.stdout.strip().splitlines()[-1] == f"backend {keras.config.backend()} 0", (
        done.stderr
    )


def test_import_has_no_side_effects(tmp_path) -> None:
    code = (
        "import keras, os, sys, logging, warnings\n"
        "home = os.environ['HOME']\n"
        "before = (dict(os.environ), list(logging.root.handlers), list(warnings.filters),"
        " keras.config.floatx(), os.listdir(home))\n"
        "modules = set(sys.modules)\n"
        "import keras_qa\n"
        "after = (dict(os.environ), list(logging.root.handlers), list(warnings.filters),"
        " keras.config.floatx(), os.listdir(home))\n"
        "new = set(sys.modules) - modules\n"
        "optional = {'haystack', 'langchain_core', 'matplotlib', 'pandas', 'pyarrow'}\n"
        "print(before == after, sorted(optional & new))"
    )
    environment = {"KERAS_BACKEND": keras.config.backend(), "HOME": str(tmp_path)}
    done = python(code, **environment)
    assert done.stdout.strip() == "True []", done.stderr


@pytest.mark.parametrize(
    ("module", "package", "hidden", "name"),
    [
        ("haystack", "haystack-ai", "haystack", "KerasReader"),
        ("langchain", "langchain-core", "langchain_core", "KerasQARetriever"),
        ("llama_index", "llama-index-core", "llama_index", "KerasQARetriever"),
    ],
)
def test_a_framework_that_is_missing_is_named(module, package, hidden, name) -> None:
    code = f"""
import keras_qa
try:
    keras_qa.integrations.{module}
except ImportError as error:
    print(error)
from keras_qa.integrations.{module} import {name}
"""
    done = python(code, hidden=(hidden,), KERAS_BACKEND=keras.config.backend())
    extra = module.replace("_", "-")
    needs = (
        f"`keras_qa.integrations.{module}` needs {package}, which cannot be imported ({hidden}). "
        f'Install it: `pip install "keras-qa[{extra}]"`.'
    )
    assert done.stdout.strip() == needs
    assert last_line(done) == f"ImportError: {needs}"


def test_the_engine_names_its_extra() -> None:
    code = "from keras_qa.integrations.ray import answer_files; answer_files('a', 'b', 'c')"
    done = python(code, hidden=("ray",), KERAS_BACKEND=keras.config.backend())
    assert last_line(done) == (
        "ImportError: `keras_qa.integrations.ray` needs ray, which cannot be imported (ray). "
        'Install it: `pip install "keras-qa[ray]"`.'
    )


def test_an_unknown_integration_raises() -> None:
    with pytest.raises(AttributeError, match=r"^module 'keras_qa.integrations' has no attribute"):
        keras_qa.integrations.nothing  # noqa: B018


LOAD = """
import importlib, sys
path, *names = sys.argv[1:]
for name in names:
    importlib.import_module(name)
    print(name, "keras" in sys.modules)
import keras
print(type(keras.saving.load_model(path)).__name__)
"""


@pytest.mark.parametrize(
    ("names", "loaded"),
    [
        (["keras_qa"], [False]),
        (["keras", "keras_qa"], [True, True]),
        (["keras_qa.layers.kernels"], [True]),
    ],
)
def test_keras_knows_all_classes_after_it_is_imported(names, loaded, classifier_file) -> None:
    backend = keras.config.backend()
    done = python(LOAD, classifier_file, *names, hidden=ALL_BUT_ONE, KERAS_BACKEND=backend)
    lines = [f"{name} {there}" for name, there in zip(names, loaded, strict=True)]
    assert done.stdout.splitlines() == [*lines, "QAModel"], done.stderr
