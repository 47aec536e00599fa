"""Settings of every test process, and the table of environments."""

from __future__ import annotations

import faulthandler
import gc
import pathlib
import sys
from collections.abc import Iterator

import pytest

TESTS = pathlib.Path(__file__).parent

# Where the tests of a folder or file run:
# - `host`: without a backend, which these tests must not import.
# - `backend`: on each backend, because their results can differ between backends.
# - `once`: on one backend, PyTorch, because their results are the same on each.
# - `named`: only if the command names their folder.
# The longest entry applies to a file.
ENVIRONMENTS = {
    "answering": "once",
    "answering/test_answer_features.py": "host",
    "answering/test_claim_features.py": "host",
    "answering/test_reranker_training.py": "backend",
    "answering/test_verification.py": "host",
    "browser": "named",
    "cli": "once",
    "cli/test_completion.py": "host",
    "cli/test_data.py": "host",
    "cli/test_indexing.py": "host",
    "cli/test_interrupts.py": "host",
    "cli/test_parsing.py": "host",
    "cli/test_verify.py": "host",
    "clients": "named",
    "data": "host",
    "data/test_files.py": "once",
    "detectors": "named",
    "devices": "named",
    "devices_torch": "named",
    "documents": "host",
    "drop": "named",
    "engine": "backend",
    "engine/test_arrays.py": "once",
    "engine/test_graph.py": "once",
    "engine/test_hard_examples.py": "once",
    "engine/test_labels.py": "once",
    "engine/test_predicting.py": "once",
    "engine/test_sorted_batches.py": "once",
    "integrations": "named",
    "layers": "backend",
    "layers/test_initial_weights.py": "once",
    "layers/test_layer_arguments.py": "once",
    "layers/test_layer_files.py": "once",
    "layers/test_recurrent_settings.py": "once",
    "losses": "backend",
    "metrics": "host",
    "models": "backend",
    "models/pretrained": "once",
    "models/pretrained/test_checkpoint.py": "backend",
    "models/test_adapters.py": "once",
    "models/test_answer_type_readers.py": "once",
    "models/test_classifier_config.py": "once",
    "models/test_model_files.py": "once",
    # Rankers train one on each backend.
    "models/test_multiple_choice.py": "once",
    "models/test_presets.py": "once",
    "models/test_reader_models.py": "once",
    "models/test_story_accuracy.py": "once",
    "models/test_text_classifier_files.py": "once",
    "node": "named",
    "onnx": "once",
    "onnx/test_runtime.py": "host",
    "openapi": "named",
    "parity": "named",
    "pipeline": "named",
    "preprocessing": "host",
    "preprocessing/test_choice_preprocessor.py": "once",
    "preprocessing/test_register.py": "once",
    "preprocessing/test_span_preprocessor.py": "once",
    "preprocessing/test_token_preprocessor.py": "once",
    "preprocessing/test_word_preprocessor.py": "once",
    "report": "once",
    "repository": "host",
    "repository/test_arithmetic.py": "once",
    "repository/test_docs.py": "once",
    "repository/test_examples.py": "once",
    "repository/test_layer_recipe.py": "backend",
    "repository/test_model_cards.py": "once",
    "repository/test_notebooks.py": "once",
    "repository/test_public_names.py": "once",
    "repository/test_walks.py": "once",
    "rivals": "named",
    "serving": "once",
    "shells": "named",
    "test_arguments.py": "host",
    "test_backend.py": "host",
    "test_example.py": "host",
    "test_import.py": "once",
    "test_lazy_import.py": "host",
    "test_numbers.py": "host",
    "test_terminal.py": "host",
    "text": "host",
    "text/test_tokenizer_files.py": "once",
    "training": "once",
    "training/test_resumed.py": "backend",
    "wheels": "named",
}
# The most telling tests, for less than a minute on one backend: `--environment quick`.
QUICK = (
    "answering/test_document_answers.py",
    "cli/test_interrupts.py",
    "data/test_babi.py",
    "data/test_files.py",
    "data/test_squad.py",
    "data/test_tables.py",
    "documents/test_storage.py",
    "engine/test_arrays.py",
    "engine/test_compiling.py",
    "engine/test_qa_model.py",
    "engine/test_taken_as_keras.py",
    "engine/test_trains_as_keras.py",
    "layers/kernels",
    "layers/test_layers.py",
    "metrics/test_answers.py",
    "models/test_classifier.py",
    "models/test_reader.py",
    "preprocessing/test_all_spans.py",
    "preprocessing/test_decoder.py",
    "preprocessing/test_preprocessor.py",
    "preprocessing/test_selective.py",
    "preprocessing/test_span_answers.py",
    "preprocessing/test_span_preprocessor.py",
    "preprocessing/test_token_runs.py",
    "repository/test_rooms.py",
    "test_arguments.py",
    "test_backend.py",
    "test_example.py",
    "test_terminal.py",
    "text/test_pieces.py",
    "text/test_subwords.py",
    "text/test_vectorizer.py",
)

# Tracing makes millions of objects, of which few are garbage.
gc.set_threshold(50_000, 20, 50)


def longest_entry(path: pathlib.Path, entries: object) -> str | None:
    """Returns the entry for a file or folder: itself or the nearest folder around it."""
    name = path.relative_to(TESTS)
    around = [part.as_posix() for part in (name, *name.parents)]
    return next((part for part in around if part in entries), None)


def is_selected(path: pathlib.Path, environment: str | None) -> bool:
    """Whether a test file belongs to the environment of the command; without one, to any."""
    if environment == "quick":
        return longest_entry(path, QUICK) is not None
    entry = longest_entry(path, ENVIRONMENTS)
    if entry is None or environment is None:
        return True
    groups = ("backend", "once") if environment == "torch" else (environment,)
    return ENVIRONMENTS[entry] in groups


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--environment",
        choices=("host", "backend", "once", "torch", "quick"),
        help="run the tests of this environment, by the table in tests/conftest.py; `torch`: of "
        "`backend` and `once`",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.pluginmanager.hasplugin("hypothesispytest"):
        from hypothesis import settings

        # Each run draws other examples. A release draws many, by `--hypothesis-profile full`, which
        # the plugin loads after this.
        settings.register_profile("full", max_examples=300, deadline=None)
        settings.register_profile("short", max_examples=30, deadline=None)
        settings.load_profile("short")
    missing = [name for name in (*ENVIRONMENTS, *QUICK) if not (TESTS / name).exists()]
    if missing:
        raise pytest.UsageError(f"tests/conftest.py lists {missing[0]}, which does not exist.")


def pytest_ignore_collect(collection_path: pathlib.Path, config: pytest.Config) -> bool | None:
    # pytest does not ask about files and folders that the command names.
    if collection_path.is_dir():
        return ENVIRONMENTS.get(collection_path.relative_to(TESTS).as_posix()) == "named" or None
    return not is_selected(collection_path, config.getoption("environment")) or None


def pytest_collectstart(collector: pytest.Collector) -> None:
    if not isinstance(collector, pytest.Module):
        return
    name, environment = collector.path.relative_to(TESTS), collector.config.getoption("environment")
    entry = longest_entry(collector.path, ENVIRONMENTS)
    if entry is None:
        raise pytest.UsageError(
            f"tests/{name} has no environment: add it or its folder to `ENVIRONMENTS` in "
            "tests/conftest.py."
        )
    if not is_selected(collector.path, environment):
        raise pytest.UsageError(
            f"tests/{name} is not in the environment `{environment}`, but in "
            f"`{ENVIRONMENTS[entry]}`. Run it without `--environment`."
        )
    if ENVIRONMENTS[entry] in ("backend", "once"):
        # Import Keras only here, since host tests must run without it.
        from keras_qa import _backend

        problem = _backend.problem()
        if problem:
            raise pytest.UsageError(f"tests/{name} needs a backend. {problem}")
        collector.config.pluginmanager.import_plugin("backend_fixtures")
        collector.add_marker(pytest.mark.usefixtures("seeded_once", "seeded"))


def pytest_report_collectionfinish(config: pytest.Config, items: list[pytest.Item]) -> str:
    environment = config.getoption("environment")
    if environment and not items:
        return f"No test of the environment `{environment}` in {', '.join(config.args)}."
    return ""


@pytest.fixture(scope="module", autouse=True)
def collected() -> Iterator[None]:
    """Excludes the objects of a test file from later garbage collections.

    Compiled programs hold gigabytes of objects, and Keras collects garbage often.
    """
    yield
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish() -> None:
    # If the process hangs after its tests, print where and exit.
    faulthandler.dump_traceback_later(300, exit=True, file=sys.__stderr__)
