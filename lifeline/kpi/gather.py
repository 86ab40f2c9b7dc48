"""The figures of a city's ledger, for page, report and command line alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from lifeline.duty.settings import DutySettings
from lifeline.kpi.figures import Kpis, kpis
from lifeline.kpi.past import Line, Span, read_past
from lifeline.kpi.protected import protected
from rules.flood import FloodLimits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifeline.console.sight import Sight
    from lifeline.ledger import Ledger
    from lifeline.site import Site

EVERY: Final = 1_000_000
USUAL_FLOOD: Final = FloodLimits()


@dataclass(frozen=True, slots=True, kw_only=True)
class City:
    """What figures and reports are made of; ``today``: the Clock's local day, ISO."""

    ledger: Ledger
    site: Site | None
    today: str
    zone: str
    simulation: bool
    duty: DutySettings = field(default_factory=DutySettings)
    flood: FloodLimits = USUAL_FLOOD
    sight: Sight | None = None  # None: the whole city

    def sees(self, subject: str) -> bool:
        """Tell whether a subject is in what is asked for."""
        return self.sight is None or self.sight.whole or self.sight.subject(subject)

    def sees_asset(self, row: int) -> bool:
        """Tell whether an asset's row is in what is asked for."""
        return self.sight is None or self.sight.asset(row)

    def span(self, from_ns: int, to_ns: int) -> Span:
        """Return a span with the site's number of operators."""
        return Span(from_ns=from_ns, to_ns=to_ns, operators=self.duty.aims.operators)

    def lines(self, span: Span) -> list[Line]:
        """Return the events that a span needs."""
        return read_past(self.ledger, span, simulation=self.simulation, seen=self.sees)

    def figures(self, span: Span, lines: Sequence[Line] | None = None) -> Kpis:
        """Return the figures of a span; who is protected, as it is now."""
        held = self.lines(span) if lines is None else lines
        protection = None
        if self.site is not None:
            standing = self.ledger.open_alarms(limit=EVERY)
            protection = protected(self.site, standing, today=self.today, seen=self.sees_asset)
        return kpis(held, span, self.duty.aims, flood=self.flood, protection=protection)
