"""Faults in our own processes that a campaign switches by files: a ledger nobody can write, time.

A file system that is read-only needs root to make; SQLite gives the same error, at the same calls,
for a connection that may only query.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Engine, event

from lifeline.torture import shifted_time

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ROOM: Final = "faults"


@dataclass(frozen=True, slots=True)
class Faults:
    """The switches of a data folder."""

    data: Path

    def _file(self, name: str) -> Path:
        folder = self.data / ROOM
        folder.mkdir(exist_ok=True)
        return folder / name

    def ledger_read_only(self, *, on: bool) -> None:
        """Let the ledger be read-only, or not."""
        if on:
            self._file("ledger").touch()
        else:
            self._file("ledger").unlink(missing_ok=True)

    def shift_clock(self, seconds: float) -> None:
        """Set the wall clock of our processes off by so much; 0 sets it right."""
        aside = self._file("clock.new")
        aside.write_text(f"{seconds:+g}", encoding="ascii")
        aside.rename(self._file("clock"))

    def arm(self) -> Callable[[], None]:
        """Let this process follow the switches; return what ends it for the ledger."""
        shifted_time.set_from(self.data / ROOM / "clock")
        switch, ledger = self.data / ROOM / "ledger", os.fspath(self.data / "ledger.sqlite")

        def obey(connection: Any) -> None:
            if connection.engine.url.database == ledger:
                connection.exec_driver_sql(f"PRAGMA query_only = {int(switch.exists())}")

        event.listen(Engine, "begin", obey)
        return lambda: event.remove(Engine, "begin", obey)
