"""Without a backend what is NumPy works, and a name that needs one says what to install."""

import pytest
from interpreters import BACKENDS, last_line, python

NEEDED = (
    "ImportError: keras-qa needs a backend and none is installed. Install one: "
    'pip install "keras-qa[tensorflow]", pip install "keras-qa[torch]", '
    'pip install "keras-qa[jax]".'
)
NUMPY = """
import sys, keras_qa
from keras_qa.text import Vectorizer
example = keras_qa.datasets.babi.simulate(task=1, examples=1, seed=0)[0]
assert isinstance(example, keras_qa.Example)
feed = Vectorizer().adapt([example])([example])
print(feed["text"].shape[0], keras_qa.preprocessing.SpanDecoder().threshold,
    keras_qa.metrics.exact_match("The home", ["home"]), keras_qa.Answer("home", 0.5).text,
    "keras" in sys.modules)
"""


@pytest.mark.parametrize("chosen", ["", "jax", "theano"])
def test_what_is_numpy_works_without_keras(chosen: str, tmp_path) -> None:
    done = python(NUMPY, hidden=BACKENDS, KERAS_BACKEND=chosen, KERAS_HOME=str(tmp_path))
    assert done.stdout.split("\n")[0] == "1 0.5 1.0 home False", done.stderr


NEEDS = (
    "keras_qa.layers",
    "keras_qa.load('babi')",
    "keras_qa.pipeline('question-answering')",
    "keras_qa.QuestionAnswerer().fit([])",
    "keras_qa.answering.TextEmbedder('minilm')",
    "from keras_qa.layers import LSTM",
    "import keras_qa.models",
    "from keras_qa.integrations.ray import KerasQAPredictor; KerasQAPredictor('minilm-squad')",
)
CATCH = """
import sys, keras_qa
for line in sys.argv[1:]:
    try:
        exec(line)
    except ImportError as error:
        print(f"{line}: {type(error).__name__}: {error}")
"""


@pytest.mark.parametrize("lines", [NEEDS, NEEDS[::-1]])
def test_what_needs_a_backend_names_the_extras(lines, tmp_path) -> None:
    done = python(CATCH, *lines, hidden=BACKENDS, KERAS_HOME=str(tmp_path))
    assert done.stdout.splitlines() == [f"{line}: {NEEDED}" for line in lines], done.stderr


def test_answering_imports_no_keras(tmp_path) -> None:
    code = """
import sys, keras_qa.answering
qa = keras_qa.QuestionAnswerer(seed=0)
print(qa, keras_qa.load.__name__, keras_qa.answering.EncodedText.__name__, "keras" in sys.modules)
try:
    qa.answer("Mary went home.", "Where is Mary?")
except ValueError as error:
    print(error, {"keras", "torch", "jax", "tensorflow"} & set(sys.modules))
"""
    done = python(code, hidden=BACKENDS, KERAS_HOME=str(tmp_path))
    first, second = done.stdout.splitlines()
    assert first == "QuestionAnswerer(seed=0) load EncodedText False", done.stderr
    assert second.startswith("This answerer is not fitted.")
    assert second.endswith("set()")


def test_a_name_that_is_not_there_is_no_question_of_backends(tmp_path) -> None:
    done = python("import keras_qa; keras_qa.nothing", hidden=BACKENDS, KERAS_HOME=str(tmp_path))
    assert last_line(done) == "AttributeError: module 'keras_qa' has no attribute 'nothing'"


def test_command_without_a_backend_ends_in_one_line(tmp_path) -> None:
    code = "import sys; from keras_qa.cli import main; sys.exit(main(['quickstart']))"
    done = python(code, hidden=BACKENDS, KERAS_HOME=str(tmp_path))
    assert NEEDED.removeprefix("ImportError: ") in last_line(done)


def test_the_server_names_its_extra(tmp_path) -> None:
    code = "import keras_qa.serving"
    done = python(code, hidden=(*BACKENDS, "starlette"), KERAS_HOME=str(tmp_path))
    line = last_line(done)
    assert line.startswith("ImportError: `keras_qa.serving` needs starlette, uvicorn and")
    assert line.endswith('Install them: `pip install "keras-qa[serve]"`.')
