"""Who is told of which alarm: routes by domain, level, district and class; departments; calls.

An outlet that no route names is told of everything from its own level on. What nobody at all would
hear, though it is orange or red or about ourselves, goes to every outlet: a route that was
forgotten must not be a silence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lifeline.ledger.book import everyone
from lifeline.settings.outlet_checks import SYSTEM

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lifeline.ledger import Outlet
    from lifeline.settings.config import CityEntry
    from lifeline.site import Site, SiteKeeper
    from rules.alarms import Alarm

LOUD: Final = 3  # orange
USUAL_LEVELS: Final = {"blue": 1, "yellow": 2, "orange": 3, "red": 4}


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One rule of who is told; an empty set fits all."""

    outlets: frozenset[str]
    domains: frozenset[str] = frozenset()
    levels: frozenset[str] = frozenset()
    districts: frozenset[str] = frozenset()
    classes: frozenset[str] = frozenset()

    def fits(self, subject: Subject) -> bool:
        """Tell whether an alarm goes this way."""
        return all(
            not wanted or given in wanted
            for wanted, given in (
                (self.domains, subject.domain),
                (self.levels, subject.level),
                (self.districts, subject.district),
                (self.classes, subject.klass),
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What routes look at."""

    domain: str
    level: str
    district: str
    klass: str


class Routing:
    """Chooses outlets for the ledger, by the site as it is when the alarm speaks."""

    def __init__(
        self,
        routes: Sequence[Route],
        departments: Mapping[str, frozenset[str]],
        keeper: SiteKeeper,
    ) -> None:
        self._routes, self._departments, self._keeper = tuple(routes), dict(departments), keeper
        self._routed = frozenset(name for route in routes for name in route.outlets)

    def __call__(
        self, outlets: tuple[Outlet, ...], alarm: Alarm, worst: int, *, to: Sequence[str] = ()
    ) -> tuple[Outlet, ...]:
        """Return who is told; ``to`` = whom a step of an escalation calls."""
        # Who was told of red is told that it falls and ends, too.
        height = max(worst, alarm.max_severity)
        subject = subject_of(alarm, height, self._keeper.site)
        ways = {n for route in self._routes if route.fits(subject) for n in route.outlets}
        open_to = tuple(o for o in outlets if o.name in ways or o.name not in self._routed)
        told = everyone(open_to, alarm, height)
        if to:
            named = self.named(to)
            return tuple(o for o in outlets if o.name in named or (o.calls and o in told))
        if not told and (height >= LOUD or subject.domain == SYSTEM):
            return everyone(outlets, alarm, height)
        return told

    def named(self, targets: Iterable[str]) -> frozenset[str]:
        """Return the outlets that targets mean: an outlet's own name, or a department's."""
        return frozenset(
            name
            for target in targets
            for name in self._departments.get(target, frozenset({target}))
        )


def subject_of(alarm: Alarm, severity: int, site: Site | None) -> Subject:
    """Return what routes look at; an alarm about no asset of the site is of the system's."""
    names = {level.severity: level.name for level in site.plan.levels} if site is not None else {}
    usual = next((name for name, s in USUAL_LEVELS.items() if s == severity), "")
    domain, district = SYSTEM, ""
    if site is not None:
        domain = site.domain_of(alarm.subject) or SYSTEM
        row = site.asset_of(alarm.subject)
        district = site.registry.assets.district[row] if row >= 0 else ""
    level = names.get(severity, usual)
    return Subject(domain=domain, level=level, district=district, klass=alarm.klass)


def departments_of(entry: CityEntry) -> dict[str, frozenset[str]]:
    """Return the outlets of each department, by the name that routes and steps call it."""
    return {
        f"department:{name}": frozenset(each.outlets) for name, each in entry.department.items()
    }


def routes_of(entry: CityEntry) -> list[Route]:
    """Return the routes of a checked ``city.toml``."""
    offices = departments_of(entry)
    return [
        Route(
            outlets=frozenset(n for to in route.to for n in offices.get(to, frozenset({to}))),
            domains=frozenset(route.domain or ()),
            levels=frozenset(route.level or ()),
            districts=frozenset(route.district or ()),
            classes=frozenset(route.klass or ()),
        )
        for route in entry.route
    ]


def routing_of(entry: CityEntry, keeper: SiteKeeper) -> Routing:
    """Return the routing that a checked ``city.toml`` says."""
    return Routing(routes_of(entry), departments_of(entry), keeper)
