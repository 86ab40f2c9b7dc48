"""Where a ledger is kept: the address of a database, as people write it and as we need it."""

from __future__ import annotations

from typing import Final

_SCHEMES: Final = ("postgresql://", "postgres://", "postgresql+psycopg://")


def server_url(written: str) -> str:
    """Return a PostgreSQL address with the driver we bring; "" stays "".

    Raises
    ------
    ValueError
        It is another database; the message does not quote it, for it holds a password.
    """
    if not written:
        return ""
    for scheme in _SCHEMES:
        if written.startswith(scheme):
            return f"postgresql+psycopg://{written.removeprefix(scheme)}"
    raise ValueError(
        "the ledger's address is no postgresql://user:password@host/database; "
        "write one, or leave [ledger] out: then it is ledger.sqlite in the data folder"
    )
