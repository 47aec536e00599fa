"""`keras-qa serve`: serves models over HTTP."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import pathlib
import re
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from keras_qa.answering.opening import (
    DEFAULT_CHECKER,
    DEFAULT_RANKER,
    DEFAULT_READER,
    check_names,
    default_verifiers,
)
from keras_qa.cli.indexing import check_index, open_index, read_encoder_name
from keras_qa.cli.output import Results, say
from keras_qa.cli.parsing import (
    READER_HELP,
    Option,
    Options,
    add_options,
    amount,
    given_options,
    positive,
    yes_or_no,
)

if TYPE_CHECKING:
    from starlette.applications import Starlette

# The environment variable with the token.
TOKEN = "KERAS_QA_TOKEN"

MODELS = ("reader", "ranker", "embed", "checker")
HAS_RESULTS = False
HELP = "serve a reader, ranker or embedder over HTTP: a page for people, and routes for programs"
USAGE = "%(prog)s MODEL [options]"
EPILOG = f"""\
examples:
  keras-qa serve {DEFAULT_READER}
  keras-qa serve reader.keras --index handbook.index --port 8080
  keras-qa serve minilm-embed --ranker {DEFAULT_RANKER}
  KERAS_QA_TOKEN=secret keras-qa serve {DEFAULT_READER} --host 0.0.0.0
Open http://127.0.0.1:8000 in a browser; /docs describes the routes. Ctrl-C ends the server.
Everyone who reaches the address can ask, unless {TOKEN} or --token-file sets a token.
"""

# Seconds to wait while another process writes the index. Meanwhile the model answers nobody.
_INDEX_TIMEOUT = 2.0

DOCUMENTS: Options = {
    "index": Option(
        "FILE.index", "answer from its documents, too; repeat it for several", action="append"
    ),
    "embed": Option("ENCODER", "an encoder for /embed and /v1/embeddings, and for the index"),
    "ranker": Option(
        "RANKER",
        "a ranker for /rerank and /v2/rerank, and for documents; or none, so that documents are "
        "asked without the default one of the reader",
    ),
    "checker": Option(
        "CHECKER", f"the model of /verify (default: {DEFAULT_CHECKER}, without Keras none); or none"
    ),
    "verify": Option("yes|no", "whether a reader serves /verify (default: yes)", yes_or_no, True),
    "name": Option("NAME", "the name of the model in the routes (default: that of its file)"),
}
# Fields of `serving.limits.Limits`, which needs the extra `serve` and has the defaults.
LIMITS: Options = {
    "max_batch": Option("N", "questions that the model reads at once (default: 32)", positive),
    "max_queue": Option("N", "questions that wait; with more: 503 (default: 256)", positive),
    "max_body": Option("N", "bytes of a request (default: 1048576)", positive),
    "max_text": Option("N", "characters of a text (default: 100000)", positive),
    "max_questions": Option("N", "questions of a request (default: 64)", positive),
    "max_wait_ms": Option("MS", "longest wait for more questions (default: 5)", amount),
    "timeout": Option("S", "seconds until a request fails without answer (default: 30)", amount),
}

_LOCAL = ("localhost", "127.0.0.1", "[::1]")


def _port(value: str) -> int:
    if value.isdecimal() and int(value) < 65_536:
        return int(value)
    raise argparse.ArgumentTypeError(f"must be from 0 to 65535. Received: {value!r}")


ADDRESS: Options = {
    "host": Option("HOST", "the address; 0.0.0.0 for all (default: %(default)s)", str, "127.0.0.1"),
    "port": Option("PORT", "0 for a free one (default: %(default)s)", _port, 8000),
    "token_file": Option("FILE", f"the token that requests must send (default: ${TOKEN})"),
    "allow_host": Option(
        "NAME",
        "a host name that clients may use; repeat it for several (default: those of this machine "
        "if it listens there alone, otherwise all)",
        action="append",
    ),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    parser.add_argument(
        "reader",
        metavar="MODEL",
        help=f"{READER_HELP}; or a ranker, an encoder such as minilm-embed",
    )
    add_options(parser, DOCUMENTS)
    add_options(parser.add_argument_group("address"), ADDRESS)
    add_options(parser.add_argument_group("limits"), LIMITS)


def check(options: argparse.Namespace) -> None:
    """Checks the indexes, the models and the token."""
    for path in options.index or []:
        check_index(path)
    check_names(options.reader, options.ranker, options.embed, options.checker)
    read_token(options.token_file)


def run(options: argparse.Namespace, results: Results) -> None:
    """Serves the models until a signal."""
    from keras_qa import serving
    from keras_qa.serving.limits import Limits

    limits = given_options(options, LIMITS)
    timeout = Limits(**limits).timeout
    token = read_token(options.token_file)
    with contextlib.ExitStack() as stack:
        # Each thread that runs PyTorch has workers of its own. With those of a second thread there
        # are more than cores, and they sleep after each operation, which costs 10 % of the speed.
        thread = stack.enter_context(ThreadPoolExecutor(1))
        models = thread.submit(_load_models, options).result()
        if options.index is not None:
            # An index without vectors has no encoder.
            encoder = models["embedder"] if read_encoder_name(options.index[0]) else None
            opened = thread.submit(open_index, options.index, encoder, timeout=_INDEX_TIMEOUT)
            models["index"] = stack.enter_context(opened.result())
        app = serving.create_app(
            **models,
            name=options.name or model_name(options.reader),
            token=token,
            allowed_hosts=allowed_hosts(options),
            thread=thread,
            **limits,
        )
        run_app(app, options, timeout, options.reader)


def run_app(
    app: Starlette, options: argparse.Namespace, timeout: float, name: str, path: str = ""
) -> None:
    """Serves an application with `name` at the address of the options until a signal."""
    from keras_qa.serving import run

    def ready(url: str) -> None:
        say(f"Serving {name} at {url}{path}. Ctrl-C ends it.")

    with _log_to_stderr():
        run(app, options.host, options.port, timeout, ready)


def _load_models(options: argparse.Namespace) -> dict[str, Any]:
    """Returns the models of the options by the arguments of `create_app`."""
    from keras_qa.answering import Reranker, TextEmbedder
    from keras_qa.answering.document_answers import open_ranker
    from keras_qa.answering.loading import load

    model: Any = load(options.reader, compile=False)
    models = {
        "ranker": open_ranker(None if options.ranker == "none" else options.ranker),
        "embedder": options.embed and TextEmbedder(options.embed),
    }
    kinds = {Reranker: "ranker", TextEmbedder: "embedder"}
    kind = kinds.get(type(model), "qa")
    if models.get(kind) is not None:
        option = "--ranker" if kind == "ranker" else "--embed"
        raise ValueError(
            f"`{options.reader[-100:]}` is served for the same routes as {option}. Leave {option} "
            "out, or name a reader as MODEL."
        )
    models[kind] = model
    if kind == "qa":
        if options.ranker == "none":
            model.ranker_ = None
        if options.verify:
            models["verify"] = _load_verifier(options, model, models["ranker"])
    return models


def _load_verifier(options: argparse.Namespace, qa: Any, ranker: Any) -> dict[str, Any] | None:
    """Returns the arguments of `verify`, or `None` if the reader cannot verify answers."""
    from keras_qa.answering.document_answers import open_ranker
    from keras_qa.answering.verification import open_classifier

    if not qa.model_.preprocessor.compares_passages:
        model = open_classifier(options.reader, qa)
        return None if model is None else {"reader": model}
    other_ranker, checker = default_verifiers(options.reader)
    checker = options.checker or checker
    return {
        "reader": qa,
        "ranker": ranker or open_ranker(other_ranker),
        "checker": open_ranker(None if checker == "none" else checker, "checker"),
    }


def model_name(reader: str) -> str:
    """Returns the name of a reader in routes: of `hf://owner/name` these, otherwise its file's.

    Examples:
        >>> from keras_qa.cli.serve import model_name
        >>> model_name("hf://deepset/tinyroberta-squad2@main"), model_name("models/qa.keras")
        ('deepset/tinyroberta-squad2', 'qa')
    """
    if reader.startswith("hf://"):
        return reader.removeprefix("hf://").partition("@")[0]
    path = pathlib.Path(reader).resolve()
    return path.stem if path.suffix == ".keras" else path.name


def allowed_hosts(options: argparse.Namespace) -> set[str] | None:
    """Returns the host names that requests may be for, or `None` for all."""
    is_local = options.host == "localhost" or re.match(r"127\.|::1$", options.host)
    if not is_local and options.allow_host is None:
        return None
    allowed = options.allow_host or []
    own = f"[{options.host}]" if ":" in options.host else options.host
    return {name.lower() for name in (own, *allowed, *(_LOCAL if is_local else ()))}


def read_token(path: str | None) -> str | None:
    """Returns the token in a file, or without a path that of the environment, if there is one."""
    if path is None:
        return os.environ.get(TOKEN)
    return pathlib.Path(path).expanduser().read_text(encoding="utf-8").strip()


@contextlib.contextmanager
def _log_to_stderr() -> Iterator[None]:
    """Writes the log of requests, and warnings of uvicorn, to standard error in the block."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    requests, others = logging.getLogger("keras_qa.serving"), logging.getLogger("uvicorn")
    level = requests.level
    requests.setLevel(logging.INFO)
    for logger in (requests, others):
        logger.addHandler(handler)
    try:
        yield
    finally:
        requests.setLevel(level)
        for logger in (requests, others):
            logger.removeHandler(handler)
