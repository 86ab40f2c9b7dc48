"""Passwords: argon2id by argon2-cffi, with OWASP's parameters; the one place that knows it.

19 MiB, two passes, one lane: the second choice of OWASP's Password Storage Cheat Sheet (Argon2id,
m=19456, t=2, p=1), for a machine that judges alarms at the same time. At most `AT_ONCE` are hashed
together, so that logins cannot take memory and cores from the city.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from ingest.secret_words import noted
from lifeline.ledger import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

LEAST: Final = 12  # characters
MOST: Final = 256  # a longer one costs time before it is wrong
AT_ONCE: Final = 2
WAIT_S: Final = 5.0
_HASHER: Final = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
_GATE: Final = threading.BoundedSemaphore(AT_ONCE)


class Busy(Exception):  # noqa: N818 - reads as what it says
    """More logins at once than are taken; nothing was looked at."""


def check_new(password: str, *, login: str) -> None:
    """Refuse a password that is short, endless, or says the login.

    Raises
    ------
    Refused
        With what to do; the message does not repeat it.
    """
    if not LEAST <= len(password) <= MOST:
        said = f"the password has {len(password)} characters"
        raise Refused(said, remedy=f"take {LEAST} to {MOST}: several words do 请用 {LEAST} 位以上")
    if login.casefold() in password.casefold() or len(set(password)) < 5:
        said = "the password holds the login, or too few different characters"
        raise Refused(said, remedy="take several words that have nothing to do with it 请另选密码")


def hashed(password: str) -> str:
    """Return the text to keep of a password."""
    with _turn():
        return _HASHER.hash(noted(password))


def fits(kept: str, password: str) -> bool:
    """Tell whether a password is the one; "" as kept takes as long and never fits.

    Raises
    ------
    Busy
    """
    with _turn():
        try:
            return _HASHER.verify(kept or _nobody(), password) and bool(kept)
        except (VerificationError, InvalidHashError):
            return False  # another password, or what is kept is damaged: nobody comes in by it


def is_old(kept: str) -> bool:
    """Tell whether it was hashed with other parameters than today's."""
    return _HASHER.check_needs_rehash(kept)


@cache
def _nobody() -> str:
    return _HASHER.hash("no account has this password")


@contextmanager
def _turn() -> Iterator[None]:
    if not _GATE.acquire(timeout=WAIT_S):
        raise Busy(f"more than {AT_ONCE} logins at once for {WAIT_S:g} s")
    try:
        yield
    finally:
        _GATE.release()
