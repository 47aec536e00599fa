"""Runs contenders that are trained on one set of questions and scored on another."""

from __future__ import annotations

import argparse
import pathlib
import subprocess
import sys
from collections.abc import Callable, Collection
from typing import Any

from benchmarks.measure import RESULTS

# Contenders without a training, of which one run is enough.
UNTRAINED = ("sliding window", "ranker")


def run_each(module: str, options: argparse.Namespace, work: Callable[[Any], None]) -> None:
    """Calls `work` for each contender and seed, each in a new process of `python -m module`."""
    if options.worker:
        work(options)
        return
    for contender in options.contenders:
        seeds = options.seeds[:1] if contender in UNTRAINED else options.seeds
        for seed in seeds:
            command = [sys.executable, "-m", module, *sys.argv[1:]]
            subprocess.run([*command, "--worker", contender, str(seed)], check=True)


def make_parser(
    module: str, doc: str | None, contenders: Collection[str], default: Collection[str], out: str
) -> argparse.ArgumentParser:
    """Makes a parser of the options that all such benchmarks have."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=doc)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--contenders", nargs="+", choices=contenders, default=list(default))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--epochs", type=int, help="default: those of the recipe")
    parser.add_argument("--half", action="store_true", help="multiply in bfloat16")
    parser.add_argument("--out", default=RESULTS / out, help="file of results")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    return parser
