"""The tables ``[ledger]``, ``[alarms]`` and ``[incidents]`` of ``city.toml``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field

from rules.durations import format_duration
from rules.strict_models import DurationNs, Strict

if TYPE_CHECKING:
    from lifeline.settings.toml_text import TomlDocument
    from rules.incidents.flow import Targets

COLOURS: Final = {"blue": 1, "yellow": 2, "orange": 3, "red": 4}
_STAGES: Final = {
    "acknowledge": "acknowledged", "verify": "verified", "on_site": "on_site", "close": "closed",
}  # fmt: skip
Limit = Annotated[DurationNs, Field(ge=10**9, le=90 * 86_400 * 10**9)]


class AlarmsEntry(Strict):
    """When announcements are too many for a person: in ten minutes, for all outlets together."""

    flood_begins: Annotated[int, Field(ge=1, le=1_000_000)] = 10  # more than these
    flood_ends: Annotated[int, Field(ge=1, le=1_000_000)] = 5  # fewer than these


class LedgerEntry(Strict):
    """Where the ledger is kept, if not in the data folder: a PostgreSQL of your own."""

    url_file: str | None = None  # postgresql://user:password@host/database: a secret
    url_env: str | None = None


class TargetEntry(Strict):
    """Within what time of being raised, by level; a level left out has no limit."""

    blue: Limit | None = None
    yellow: Limit | None = None
    orange: Limit | None = None
    red: Limit | None = None


class IncidentsEntry(Strict):
    """The site's own time limits for handling incidents; there are none but those it sets."""

    acknowledge: TargetEntry = TargetEntry()
    verify: TargetEntry = TargetEntry()
    on_site: TargetEntry = TargetEntry()
    close: TargetEntry = TargetEntry()

    def targets(self) -> Targets:
        """Return stage → severity → ns."""
        return {
            stage: {
                severity: limit
                for colour, severity in COLOURS.items()
                if (limit := getattr(getattr(self, key), colour)) is not None
            }
            for key, stage in _STAGES.items()
        }


def check_incidents(entry: IncidentsEntry, document: TomlDocument) -> None:
    """Refuse a later step that would be due before an earlier one of the same level."""
    for colour in COLOURS:
        before, least = "", 0
        for key in _STAGES:
            limit = getattr(getattr(entry, key), colour)
            if limit is None:
                continue
            if limit < least:
                said = (
                    f"{colour}: {format_duration(limit)} for {key} is less than "
                    f"{format_duration(least)} for {before}, which comes first; all times count "
                    f"from when the incident was raised: write {format_duration(least)} or more"
                )
                document.problem(("incidents", key, colour), said, noun="key")
            before, least = key, max(limit, least)
