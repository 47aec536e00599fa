"""Memory is kept between steps while a model trains, and given back afterwards."""

import os
import pathlib
import platform
import resource
import subprocess
import sys

import pytest

import keras_qa

BLOCK = 48 * 2**20
# The other modules of its room need a backend.
MODULE = pathlib.Path(keras_qa.__file__).parent / "execution" / "memory.py"
# Pages of memory that were handed out anew for a block taken, written to and freed a second time.
FAULTS = f"""
import ctypes, os, resource, runpy
kept = runpy.run_path({str(MODULE)!r})["kept"]

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]

def take():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = libc.malloc({BLOCK})
    ctypes.memset(block, 1, {BLOCK})
    libc.free(block)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * {resource.getpagesize()}

take()
outside = take()
before = resident()
with kept():
    with kept():
        take()
        inside = take()
    still = take()
    held = resident() - before
print(outside, inside, still, held, resident() - before, take())
"""
PAGES = BLOCK // resource.getpagesize()


def faults(**environment: str) -> list[int]:
    run = subprocess.run(
        [sys.executable, "-c", FAULTS],
        env={**os.environ, **environment},
        check=True,
        capture_output=True,
        text=True,
    )
    return [int(word) for word in run.stdout.split()]


def test_memory_is_kept_inside_and_given_back_outside() -> None:
    outside, inside, still, held, left, after = faults()
    assert outside >= PAGES
    if platform.libc_ver()[0] == "glibc":
        assert inside < PAGES / 100
        # The inner block has ended, the outer one has not.
        assert still < PAGES / 100
        assert held >= 0.9 * BLOCK
    assert left < BLOCK / 8
    assert after >= PAGES


@pytest.mark.parametrize("setting", [{"MALLOC_ARENA_MAX": "2"}, {"KERAS_QA_KEEP_MEMORY": "0"}])
def test_settings_of_the_environment_stand(setting: dict[str, str]) -> None:
    _, inside, still, held, _, _ = faults(**setting)
    assert min(inside, still) >= PAGES
    assert held < BLOCK / 8
