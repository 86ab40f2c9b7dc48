"""How many clients a process may be: each needs a socket, and some files besides."""

from __future__ import annotations

import resource
from typing import Final

from rules.problems import Invalid, Problem

BESIDE: Final = 200  # files and sockets of the process itself
EACH: Final = 3  # a client's socket, and what a library opens beside it for a moment


def room_for(clients: int) -> None:
    """Raise the process's own limit of open files as far as it may, where clients need more.

    Raises
    ------
    Invalid
        The machine allows fewer.
    """
    wanted = BESIDE + EACH * clients
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        if hard != resource.RLIM_INFINITY and hard < wanted:
            said = f"need {wanted} open files, this machine allows {hard}: raise `ulimit -Hn`"
            raise Invalid([Problem(f"{clients} clients", 0, 0, "", said)])
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
