"""Runs an empty local PostgreSQL server while a block runs."""

from __future__ import annotations

import contextlib
import os
import pathlib
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator

import psycopg

WAIT = 60.0
DEBIAN = pathlib.Path("/usr/lib/postgresql")


def programs() -> pathlib.Path:
    """The folder of `initdb` and `postgres`. Debian has a folder for each version."""
    folders = [*DEBIAN.glob("*/bin")]
    folders.sort(key=lambda path: int(path.parent.name), reverse=True)
    found = shutil.which("postgres")
    if found is not None:
        folders.insert(0, pathlib.Path(found).resolve().parent)
    for folder in folders:
        if (folder / "postgres").exists() and (folder / "initdb").exists():
            return folder
    raise RuntimeError(
        "These tests start PostgreSQL, which is not installed: `postgres` and `initdb` are neither "
        "in PATH nor in /usr/lib/postgresql. Install it: `apt install postgresql`."
    )


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """Starts a server, yields its connection string for psycopg, and stops the server."""
    bin_folder = programs()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="keras-qa-postgres-"))
    # PostgreSQL refuses to run as root.
    user = _unprivileged() if os.getuid() == 0 else None
    owner = {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    password = secrets.token_hex(16)
    (folder / "password").write_text(password)
    if user is not None:
        for path in (folder, folder / "password"):
            os.chown(path, user.pw_uid, user.pw_gid)
    common = {"cwd": folder, "env": {"LC_ALL": "C", "PATH": os.defpath}, **owner}
    server = None
    try:
        options = ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"]
        names = ["--username=qa", f"--pwfile={folder / 'password'}", f"--pgdata={folder / 'data'}"]
        made = subprocess.run(
            [bin_folder / "initdb", *options, *names], capture_output=True, text=True, **common
        )
        assert made.returncode == 0, made.stderr
        port = _free_port()
        log = (folder / "log").open("w")
        server = subprocess.Popen(
            [bin_folder / "postgres", "-D", folder / "data", "-p", str(port), "-F"]
            + ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="],
            stdout=log,
            stderr=log,
            **common,
        )
        log.close()
        address = f"host=127.0.0.1 port={port} user=qa password={password} dbname=postgres"
        _wait(server, address, folder / "log")
        yield address
    finally:
        if server is not None:
            _stop(server)
        shutil.rmtree(folder)


def _unprivileged() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise RuntimeError("PostgreSQL refuses to run as root, and there is no user `nobody`.")


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def _wait(server: subprocess.Popen, address: str, log: pathlib.Path) -> None:
    end = time.monotonic() + WAIT
    while True:
        try:
            psycopg.connect(address, connect_timeout=5).close()
            return
        except psycopg.OperationalError as error:
            if server.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"PostgreSQL did not start: {log.read_text()}") from error
        time.sleep(0.1)


def _stop(server: subprocess.Popen) -> None:
    # SIGINT closes connections without a checkpoint.
    server.send_signal(signal.SIGINT)
    try:
        server.wait(WAIT)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
