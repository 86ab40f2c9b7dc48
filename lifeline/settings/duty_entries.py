"""The tables ``[kpi]``, ``[shifts]`` and ``[[proof_test]]`` of ``city.toml``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field, field_validator

from lifeline.duty.settings import DutySettings
from lifeline.duty.shifts import Shifts
from lifeline.kpi.figures import Aims
from rules.problems import nearest
from rules.quantities import QUANTITIES
from rules.strict_models import DurationNs, Strict

if TYPE_CHECKING:
    from lifeline.settings.config import CityConfig, CityEntry
    from lifeline.settings.toml_text import TomlDocument

Within = Annotated[DurationNs, Field(ge=10**9, le=30 * 86_400 * 10**9)]


class LevelTimesEntry(Strict):
    """A time for each level that has one."""

    blue: Within | None = None
    yellow: Within | None = None
    orange: Within | None = None
    red: Within | None = None

    @property
    def by_severity(self) -> dict[int, float]:
        """Return seconds by severity, of the levels that have a time."""
        times = (self.blue, self.yellow, self.orange, self.red)
        return {at: ns / 1e9 for at, ns in enumerate(times, start=1) if ns is not None}


class KpiEntry(Strict):
    """What the site itself wants to keep to; without a time of its own a level has no target."""

    operators: Annotated[int, Field(ge=1, le=1_000)] = 1  # at a time
    ack_within: LevelTimesEntry = Field(default_factory=LevelTimesEntry)
    close_within: LevelTimesEntry = Field(default_factory=LevelTimesEntry)

    @property
    def aims(self) -> Aims:
        """Return them as the figures take them."""
        return Aims(
            operators=self.operators,
            ack_s=self.ack_within.by_severity,
            close_s=self.close_within.by_severity,
        )


class ShiftsEntry(Strict):
    """When shifts begin, local time of the city, in the order of the day."""

    begins: Annotated[list[str], Field(min_length=1, max_length=12)] = Field(
        default=["08:00", "20:00"]
    )

    @field_validator("begins")
    @classmethod
    def _in_order(cls, begins: list[str]) -> list[str]:
        Shifts.of(begins, "UTC")
        return begins

    def of_zone(self, zone: str) -> Shifts:
        """Return the shifts in a time zone."""
        return Shifts.of(self.begins, zone)


class ProofTestEntry(Strict):
    """How often safety devices of a quantity are tested."""

    quantity: Annotated[str, Field(min_length=1, max_length=64)]
    every: Annotated[DurationNs, Field(ge=3600 * 10**9, le=3_660 * 86_400 * 10**9)]


def duty_of(entry: CityEntry) -> DutySettings:
    """Return what the page and the reports need of a checked ``city.toml``."""
    return DutySettings(
        aims=entry.kpi.aims,
        shifts=entry.shifts.of_zone(entry.site.timezone),
        test_every_ns={each.quantity: each.every for each in entry.proof_test},
    )


def check_duty(config: CityConfig, document: TomlDocument) -> None:
    """Note proof tests of a quantity that nobody knows, or that stands twice."""
    seen: set[str] = set()
    for at, each in enumerate(config.entry.proof_test):
        if each.quantity not in QUANTITIES:
            said = f'quantity: there is no quantity "{each.quantity}"'
            said += nearest(each.quantity, QUANTITIES)
            document.problem(("proof_test", at, "quantity"), said, noun="key")
        if each.quantity in seen:
            said = f'quantity: "{each.quantity}" stands twice; write one [[proof_test]] of it'
            document.problem(("proof_test", at, "quantity"), said, noun="key")
        seen.add(each.quantity)
