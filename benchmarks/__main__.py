"""`python -m benchmarks` runs the cases on the backends, each case in a new process."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
from typing import Any

from benchmarks.cases import CASES
from benchmarks.measure import RESULTS, circumstances

BACKENDS = ("tensorflow", "torch", "jax")
NO_GPU, ABSENT = 3, 4


def main() -> int:
    options = _parser().parse_args()
    if options.worker:
        return _work(options)
    installed = [name for name in BACKENDS if importlib.util.find_spec(name) is not None]
    if importlib.util.find_spec("torch") is None:
        print("The rival needs PyTorch: pip install torch.", file=sys.stderr)
        return 2
    cases = [c for c in CASES if not options.cases or any(word in c for word in options.cases)]
    here = circumstances()
    for backend in options.backends or installed:
        environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
        # Hide the GPU from backends that would use it by default.
        if options.device == "cpu":
            environment |= {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
        print(f"\n{backend} on {options.device}: median (least to most) of {options.rounds} rounds")
        results: dict[str, Any] = {}
        for case in cases:
            # A new process for each case, so that none depends on those before it.
            command = [sys.executable, "-m", "benchmarks", "--worker", case, *sys.argv[1:]]
            done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
            if done.returncode == NO_GPU:
                print(f"{backend}: no GPU was found, so nothing was measured.")
                break
            if done.returncode == ABSENT:
                continue
            if done.returncode != 0:
                return done.returncode
            # Each case has its own circumstances: a file may hold cases of several days.
            results[case] = {
                **json.loads(done.stdout.splitlines()[-1]),
                "rounds": options.rounds,
                **here,
            }
            _show(case, results[case])
        if results and not (options.no_save or options.quick):
            path = RESULTS / f"{backend}-{options.device}.json"
            kept = json.loads(path.read_text())["cases"] if options.cases and path.exists() else {}
            report = {"device": options.device, "cases": {**kept, **results}}
            path.write_text(json.dumps(report, indent=1) + "\n")
            print(f"Saved {path}.")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--backends", nargs="+", choices=BACKENDS, help="default: all installed")
    parser.add_argument("--cases", nargs="+", metavar="WORD", help="cases whose name contains WORD")
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--no-save", action="store_true", help="write nothing to results/")
    parser.add_argument(
        "--quick", action="store_true", help="tiny sizes and one round, to check that the cases run"
    )
    parser.add_argument("--worker", metavar="CASE", help=argparse.SUPPRESS)
    return parser


def _has_gpu(backend: str) -> bool:
    if backend == "torch":
        import torch

        return torch.cuda.is_available()
    if backend == "jax":
        import jax

        return jax.default_backend() == "gpu"
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


def _work(options: argparse.Namespace) -> int:
    """Times one case in this process. The last line of the output is the result."""
    import keras

    from benchmarks import measure
    from benchmarks.measure import alternate

    if options.device == "gpu" and not _has_gpu(keras.config.backend()):
        return NO_GPU
    measure.quick = options.quick
    try:
        contenders, samples = CASES[options.worker]("cuda" if options.device == "gpu" else "cpu")
    except measure.AbsentError as error:
        print(f"{options.worker}: {error}", file=sys.stderr)
        return ABSENT
    times = alternate(contenders, 1 if options.quick else options.rounds)
    print(json.dumps({"samples": samples, "seconds": times}))
    return 0


def _show(name: str, result: dict[str, Any]) -> None:
    times, samples = result["seconds"], result["samples"]
    base = list(times)[-1]
    print(name)
    for contender, values in times.items():
        ratio = times[base]["median"] / values["median"]
        spread = f"({1e3 * values['least']:.1f} to {1e3 * values['most']:.1f})"
        print(
            f"  {contender:20} {1e3 * values['median']:9.1f} ms {spread:20} "
            f"{samples / values['median']:11,.0f} a second  {ratio:5.2f} × {base}"
            f"  first call {values['first']:.1f} s"
        )
        if "p50" in values:
            waits = ", ".join(
                f"{part} {1e3 * values[part]:.1f} ms" for part in ("p50", "p95", "p99")
            )
            print(f"  {'':20} one question: {waits}")


if __name__ == "__main__":
    sys.exit(main())
