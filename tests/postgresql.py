"""A real PostgreSQL from Debian, started in a folder of its own and ended with the block."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from tests.lifeline.small_city import until
from tests.servers import HOST, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

USER = "postgres"


def _binaries() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    assert found, "PostgreSQL is missing: run `make test-setup`"
    return found[-1].parent


@contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """Run a server; give the address of an empty database."""
    data, port = folder / "pg", free_port()
    data.mkdir(parents=True)
    other: dict[str, object] = {}
    if os.geteuid() == 0:  # it refuses to run as root
        who = pwd.getpwnam(USER)
        shutil.chown(data, USER)
        for part in [folder, *folder.parents]:  # it must come through to its folder
            if part.stat().st_mode & 0o011 == 0 and part.owner() == "root" and part != Path("/"):
                part.chmod(part.stat().st_mode | 0o011)
        other = {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []}
    programs = _binaries()
    made = [
        programs / "initdb",
        "-D",
        data,
        "-U",
        "city",
        "--auth=trust",
        "--no-sync",
        "-E",
        "UTF8",
    ]
    subprocess.run(made, check=True, capture_output=True, cwd="/", **other)
    settings = {"listen_addresses": HOST, "port": port, "unix_socket_directories": data}
    told = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    process = subprocess.Popen(
        [programs / "postgres", "-D", data, *told],
        stdout=subprocess.DEVNULL,
        stderr=(folder / "pg.log").open("wb"),
        cwd="/",
        **other,
    )
    try:
        until(lambda: _ready(port), seconds=60)
        yield f"postgresql://city@{HOST}:{port}/postgres"
    finally:
        process.send_signal(signal.SIGINT)  # "fast": does not wait for who is still connected
        process.wait(60)


def _ready(port: int) -> bool:
    """Tell whether it takes queries: its port accepts before it does."""
    try:
        psycopg.connect(f"host={HOST} port={port} user=city dbname=postgres").close()
    except psycopg.OperationalError:
        return False
    return True
