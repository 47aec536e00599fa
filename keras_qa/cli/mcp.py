"""`keras-qa mcp`: serves documents to language models by the Model Context Protocol."""

from __future__ import annotations

import argparse
import contextlib
import functools
import pathlib
from concurrent.futures import ThreadPoolExecutor

from keras_qa.answering.opening import check_names, default_verifiers
from keras_qa.cli import ask
from keras_qa.cli.indexing import FOLDER, open_folder, open_index
from keras_qa.cli.output import Results, say_warnings
from keras_qa.cli.parsing import CommandParser, Options, add_options, given_options
from keras_qa.cli.serve import ADDRESS, allowed_hosts, read_token, run_app

HELP = "serve documents to language models by the Model Context Protocol"
USAGE = "%(prog)s FOLDER|FILE... [options]"
EPILOG = """\
examples:
  keras-qa mcp handbook/
  keras-qa mcp handbook.index --http --port 8000
A client starts the command and speaks to it by standard input and output, or with --http by
http://127.0.0.1:8000/mcp. docs/mcp.md shows the configuration of clients.
"""

MODELS = ask.MODELS
HAS_RESULTS = False

OPTIONS: Options = {name: ask.OPTIONS[name] for name in ("reader", "ranker", "embed", *ask.LEAST)}


def add_arguments(parser: CommandParser) -> None:
    """Adds the options of the command."""
    ask.add_documents(parser)
    add_options(parser, OPTIONS)
    add_options(parser.add_argument_group("the index of a folder"), {"index": ask.INDEX, **FOLDER})
    http = parser.add_argument_group("streamable HTTP")
    http.add_argument("--http", action="store_true", help="serve at /mcp of an address")
    add_options(http, ADDRESS)


def check(options: argparse.Namespace) -> None:
    """Checks the documents and the models."""
    ask.check_documents(options)
    check_names(options.reader, options.ranker, options.embed)
    read_token(options.token_file)


def run(options: argparse.Namespace, results: Results) -> None:
    """Serves the documents until standard input ends, or with `--http` until a signal."""
    try:
        from keras_qa.serving import mcp_server
    except ImportError as error:
        raise ImportError(
            f"`keras-qa mcp` needs the package mcp 2.3 or later ({error}). Install it: "
            '`pip install "keras-qa[mcp]"`.'
        ) from None
    import asyncio

    from keras_qa.answering.answerer import QuestionAnswerer
    from keras_qa.serving.limits import Limits

    limits = Limits(timeout=60.0, max_text=20_000)
    verifiers = dict(zip(("ranker", "checker"), default_verifiers(options.reader), strict=True))
    with contextlib.ExitStack() as stack:
        stack.enter_context(say_warnings())
        # As in `serve`, PyTorch is faster if the thread that runs the models also loads them.
        thread = stack.enter_context(ThreadPoolExecutor(1))
        loaded = thread.submit(QuestionAnswerer.from_preset, options.reader, compile=False)
        reader = loaded.result()
        ranker = thread.submit(ask.load_ranker, options.ranker).result()
        # The folder is read while the server runs, and reports its progress.
        source = (options.documents[0], options.index, options, None)
        open_documents: mcp_server.OpenIndex = functools.partial(open_folder, *source)
        if ask.is_index(options):
            index = thread.submit(open_index, options.documents, options.embed).result()
            open_documents = lambda progress: index  # noqa: E731
        settings = {"ranker": ranker, **given_options(options, ask.LEAST)}
        paths = [pathlib.Path(path).expanduser().resolve() for path in options.documents]
        name = ", ".join(path.name for path in paths)
        service = mcp_server.McpService(
            reader, open_documents, name, limits, thread, settings, verifiers
        )
        if not options.http:
            asyncio.run(mcp_server.run_stdio(service))
            return
        token, hosts = read_token(options.token_file), allowed_hosts(options)
        app = mcp_server.create_mcp_app(service, token, hosts)
        run_app(app, options, limits.timeout, " ".join(options.documents), "/mcp")
