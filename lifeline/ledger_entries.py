"""The tables ``[ledger]`` and ``[alarms]`` of ``city.toml``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rules.strict_models import Strict


class AlarmsEntry(Strict):
    """When announcements are too many for a person: in ten minutes, for all outlets together."""

    flood_begins: Annotated[int, Field(ge=1, le=1_000_000)] = 10  # more than these
    flood_ends: Annotated[int, Field(ge=1, le=1_000_000)] = 5  # fewer than these


class LedgerEntry(Strict):
    """Where the ledger is kept, if not in the data folder: a PostgreSQL of your own."""

    url_file: str | None = None  # postgresql://user:password@host/database: a secret
    url_env: str | None = None
