"""What alarms are asked to reach: how early methane is forecast, how small a burst is found, where.

Each aim has scenarios of its own (``reach/``), drawn by seed. A case counts only if it is of the
size the aim speaks of; all others are told by size beside it, so that one sees where it ends.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib import resources
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from lifeline.scenarios.files import Scenario, scenarios_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from lifeline.scenarios.judge import Verdict

    Floats = NDArray[np.float64]

HALF_LEL_VOL: Final = 2.5
SLOW_S: Final = 3600.0  # build-ups slower than this are to be forecast
LEAD_S: Final = 900.0
BURST_S: Final = 900.0
LEAST_BURST: Final = 0.05  # of the inflow at its onset
DAY_S: Final = 86_400.0
NIGHTS_S: Final = 3 * DAY_S
LEAST_LEAK: Final = 0.1  # of the least inflow of the day
FORECAST: Final = "gas-ch4-forecast"
NIGHT_FLOW: Final = "water-night-flow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One run: its size in the aim's measure, and whether it was reached."""

    scenario: str
    seed: int
    size: float
    counts: bool  # it is of the size the aim speaks of
    reached: bool
    value: float | None  # lead or delay, s; None: never


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """A figure that is asked for, and what it came to."""

    name: str
    wanted: float  # share of the cases that count
    measure: str  # what `size` and the bounds are
    bounds: tuple[float, ...]  # sizes between which cases are told apart
    cases: tuple[Case, ...]

    @property
    def counted(self) -> tuple[Case, ...]:
        """Return the cases the aim speaks of."""
        return tuple(case for case in self.cases if case.counts)

    @property
    def share(self) -> float | None:
        """Return the share reached, None without cases."""
        held = self.counted
        return sum(case.reached for case in held) / len(held) if held else None

    def by_size(self) -> list[tuple[str, int, int]]:
        """Return (sizes, cases, reached) between the bounds; empty ones are left out."""
        edges = (-np.inf, *self.bounds, np.inf)
        told = []
        for low, high in pairwise(edges):
            held = [case for case in self.cases if low <= case.size < high]
            if held:
                name = f"{low:g} … {high:g}"
                if low == -np.inf:
                    name = f"below {high:g}"
                elif high == np.inf:
                    name = f"from {low:g}"
                told.append((name, len(held), sum(case.reached for case in held)))
        return told

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self) | {"share": self.share, "counted": len(self.counted)}


def reach_scenarios() -> list[Scenario]:
    """Return the scenarios the aims are measured by."""
    file = resources.files("lifeline") / "scenarios" / "reach" / "reach.yaml"
    return scenarios_of(file.name, file.read_text(encoding="utf-8"))


def aims(verdicts: Sequence[Verdict]) -> list[Aim]:
    """Return every aim with its cases."""

    def cases(name: str, of: Callable[[Verdict], Case | None]) -> tuple[Case, ...]:
        held = (of(v) for v in verdicts if v.variant.name.startswith(name))
        return tuple(case for case in held if case is not None)

    return [
        Aim(
            name="methane forecast 15 min before 50 %LEL, of build-ups slower than an hour",
            wanted=0.9, measure="h from onset to 50 %LEL", bounds=(1, 1.5, 2, 3),
            cases=cases("methane-builds-up", _forecast),
        ),
        Aim(
            name="bursts of 5 % of the inflow and more found within 15 min",
            wanted=0.95, measure="share of the inflow", bounds=(0.05, 0.1, 0.15, 0.2, 0.5),
            cases=cases("burst-of-a-main", _burst),
        ),
        Aim(
            name="of the bursts that are found: first told of the right metered area",
            wanted=0.9, measure="share of the inflow", bounds=(0.05, 0.1, 0.15, 0.2, 0.5),
            cases=cases("burst-of-a-main", _area),
        ),
        Aim(
            name="slow leaks of 10 % of the night's inflow and more told within three nights",
            wanted=0.95, measure="share of the least inflow of the day",
            bounds=(0.02, 0.05, 0.1, 0.2), cases=cases("leak-of-weeks", _night_flow),
        ),
    ]  # fmt: skip


def _case(verdict: Verdict, size: float, value: float | None, **told: bool) -> Case:
    v = verdict.variant
    return Case(scenario=v.name, seed=v.seed, size=size, value=value, **told)


def _forecast(verdict: Verdict) -> Case | None:
    """Return how long before 50 %LEL it was forecast, on the channel that reached it first."""
    variant = verdict.variant
    incident, channels = variant.incidents[0], variant.registry.channels
    first: tuple[int, str] | None = None
    for row in incident.channels.tolist():
        shown = variant.city.samples(incident.begin_ns, incident.end_ns, np.array([row], np.int32))
        over = shown.t_ns[shown.usable & (shown.value >= HALF_LEL_VOL)]
        if len(over) and (first is None or int(over.min()) < first[0]):
            first = int(over.min()), channels.id[row]
    if first is None or first[0] > variant.end_ns:
        return None  # it never came so far
    told = [
        a.episode.raised_ns
        for a in verdict.alarms
        if (a.episode.rule, a.episode.subject) == (FORECAST, first[1])
        and a.episode.raised_ns >= incident.begin_ns
    ]
    lead = (first[0] - min(told)) / 1e9 if told else None
    took_s = (first[0] - incident.begin_ns) / 1e9
    return _case(
        verdict, took_s / 3600, lead,
        counts=took_s > SLOW_S, reached=lead is not None and lead >= LEAD_S,
    )  # fmt: skip


def _flow(verdict: Verdict, from_s: float, to_s: float) -> tuple[Floats, Floats]:
    """Return the inflow of the incident's area with and without it, seconds after its onset."""
    variant = verdict.variant
    incident, reg = variant.incidents[0], variant.registry
    place = reg.assets.id.index(incident.place)
    rows = [
        row
        for row in incident.channels.tolist()
        if reg.channels.quantity[row] == "flow" and reg.channels.asset[row] == place
    ]
    ends = (incident.begin_ns + int(s * 1e9) for s in (from_s, to_s))
    first, last = ends
    with_it, without = (
        city.samples(first, last, np.array(rows, np.int32)).value
        for city in (variant.city, variant.city.under())
    )
    return with_it, without


def _burst_case(verdict: Verdict) -> tuple[float, float | None, bool]:
    """Return (share of the inflow, delay in s, was the first alarm of the right area)."""
    variant = verdict.variant
    incident, reg = variant.incidents[0], variant.registry
    _, before = _flow(verdict, -300.0, 0.0)
    with_it, without = _flow(verdict, 300.0, 600.0)
    share = float(np.median(with_it - without) / np.median(before))
    told = sorted(
        (a.episode.raised_ns, a.episode.subject)
        for a in verdict.alarms
        if a.by_incident and a.klass == "safety" and a.episode.raised_ns >= incident.begin_ns
    )
    if not told:
        return share, None, False
    at = reg.channel_row.get(told[0][1])
    zone = told[0][1] if at is None else reg.assets.zone[int(reg.channels.asset[at])]
    right = zone == reg.assets.zone[reg.assets.id.index(incident.place)]
    return share, (told[0][0] - incident.begin_ns) / 1e9, right


def _burst(verdict: Verdict) -> Case:
    share, delay, _ = _burst_case(verdict)
    in_time = delay is not None and delay <= BURST_S
    return _case(verdict, share, delay, counts=share >= LEAST_BURST, reached=in_time)


def _area(verdict: Verdict) -> Case | None:
    share, delay, right = _burst_case(verdict)
    if delay is None:
        return None
    return _case(verdict, share, delay, counts=share >= LEAST_BURST, reached=right)


def _night_flow(verdict: Verdict) -> Case:
    """Return how large a leak is against the least inflow of the day before, and its delay."""
    incident = verdict.variant.incidents[0]
    _, before = _flow(verdict, -DAY_S, 0.0)
    with_it, without = _flow(verdict, 2 * DAY_S, 2 * DAY_S + 3600)
    share = float(np.median(with_it - without) / np.quantile(before, 0.02))
    told = [
        a.episode.raised_ns
        for a in verdict.alarms
        if a.episode.rule == NIGHT_FLOW and a.by_incident
        and a.episode.raised_ns >= incident.begin_ns
    ]  # fmt: skip
    delay = (min(told) - incident.begin_ns) / 1e9 if told else None
    in_time = delay is not None and delay <= NIGHTS_S
    return _case(verdict, share, delay, counts=share >= LEAST_LEAK, reached=in_time)
