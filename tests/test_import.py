"""Importing has no side effects, and uses the installed backend."""

import keras
import pytest
from interpreters import BACKENDS, HELPERS_OF_KERAS, last_line, python
from small_examples import EXAMPLES

import keras_qa

OTHERS = tuple(name for name in BACKENDS if name != keras.config.backend())
HIDDEN = (*OTHERS, *HELPERS_OF_KERAS)

COMMAND = """
import gc
from keras_qa import cli

phases = []
gc.callbacks.append(lambda phase, info: phases.append(phase))
cli._import_backend()
print(len(phases), gc.isenabled(), gc.get_freeze_count() > 50_000, "keras" in sys.modules)
import keras
# The command has imported one room, and Keras knows the classes of all.
print(type(keras.saving.load_model(sys.argv[1])).__name__)
code = cli.main(["answer", *sys.argv[1:]])
import keras_qa
keras_qa.load(sys.argv[1])
print("backend", keras.config.backend(), code)
"""


def test_command_takes_the_one_backend_that_is_installed_without_garbage(tmp_path) -> None:
    # Its optimizer names a schedule of ours, which nothing but the file asks for.
    recipe = keras_qa.recipes.Recipe(epochs=1, decay="linear")
    path, text = tmp_path / "qa.keras", tmp_path / "text.txt"
    text.write_text(EXAMPLES[0].text)
    keras_qa.recipes.train(EXAMPLES, None, "answer_classifier", None, recipe, out=path, verbose=0)
    done = python(
        COMMAND,
        str(path),
        f"--text={text}",
        f"--question={EXAMPLES[0].question}",
        hidden=HIDDEN,
        KERAS_HOME=str(tmp_path),
    )
    first, loaded, *_, last = done.stdout.strip().splitlines()
    assert first == "0 True True True", done.stderr
    assert loaded == "QAModel", done.stderr
    assert last == f"backend {keras.config.backend()} 0", done.stderr


# The backend takes most of the time of both imports.
SIDE_EFFECTS = """
import importlib, os, sys, logging, warnings
importlib.import_module(sys.argv[2])
if os.fork() == 0:
    import keras_qa
    print("keras" in sys.modules)
    import keras
    print(type(keras.saving.load_model(sys.argv[1])).__name__)
    sys.exit()
os.wait()
import keras

def settings():
    home = os.listdir(os.environ["HOME"])
    handlers, filters = list(logging.root.handlers), list(warnings.filters)
    return dict(os.environ), handlers, filters, keras.config.floatx(), home

before, modules = settings(), set(sys.modules)
import keras_qa
optional = {"haystack", "langchain_core", "matplotlib", "pandas", "pyarrow"}
print(settings() == before, sorted(optional & (set(sys.modules) - modules)))
print(type(keras.saving.load_model(sys.argv[1])).__name__)
"""


def test_import_before_and_after_keras_has_no_side_effects_but_its_classes(
    tmp_path, classifier_file
) -> None:
    environment = {"KERAS_BACKEND": keras.config.backend(), "HOME": str(tmp_path)}
    backend = {"torch": "torch._dynamo"}.get(keras.config.backend(), keras.config.backend())
    done = python(SIDE_EFFECTS, classifier_file, backend, hidden=HIDDEN, **environment)
    assert done.stdout == "False\nQAModel\nTrue []\nQAModel\n", done.stderr


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
