"""The faults a city has by itself: drawn from rates, fixed by a seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from simulators.faults import FAULTS, make
from simulators.faults.truth import SECOND_NS, Break
from simulators.noise import key_of, normal, uniform

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rules.registry import Registry
    from simulators.faults.truth import Fault

YEAR_S: Final = 365.25 * 86_400
HOUR: Final = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How often a kind befalls one of ``of``, and how long it lasts (median, spread of its log)."""

    kind: str
    of: str  # sensor | detector (of methane) | gateway | module
    a_year: float
    median_s: float
    spread: float = 0.8
    options: tuple[tuple[str, float, float], ...] = ()  # (name, lowest, highest)


USUAL_RATES: Final = (
    Rate(kind="drift", of="sensor", a_year=0.1, median_s=20 * 86_400,
         options=(("range_day", -0.002, 0.002),)),
    Rate(kind="bias", of="sensor", a_year=0.1, median_s=5 * 86_400,
         options=(("range", -0.05, 0.05),)),
    Rate(kind="stuck", of="sensor", a_year=0.2, median_s=12 * HOUR),
    Rate(kind="noise", of="sensor", a_year=0.05, median_s=24 * HOUR,
         options=(("steps", 5, 40),)),
    Rate(kind="dropout", of="sensor", a_year=0.2, median_s=6 * HOUR,
         options=(("share", 0.1, 0.9), ("code", 0, 1))),
    Rate(kind="saturation", of="sensor", a_year=0.005, median_s=2 * HOUR),
    Rate(kind="calibration", of="detector", a_year=0.5, median_s=180, spread=0.3),
    Rate(kind="gateway_loss", of="gateway", a_year=2.0, median_s=HOUR, spread=1.2,
         options=(("stored", 1, 1),)),
    Rate(kind="psm_batches", of="module", a_year=0.3, median_s=3 * 86_400),
    Rate(kind="lossy", of="module", a_year=0.1, median_s=5 * 86_400,
         options=(("share", 0.05, 0.2),)),
    Rate(kind="clock_skew", of="module", a_year=0.2, median_s=10 * 86_400,
         options=(("offset_s", -90, 90), ("ppm", -50, 50))),
    Rate(kind="clock_unset", of="module", a_year=0.02, median_s=HOUR),
    Rate(kind="reboot", of="gateway", a_year=2.0, median_s=60),
    Rate(kind="reboot", of="module", a_year=0.5, median_s=60),
)  # fmt: skip
"""Estimates for a city that is looked after; a site's own records are better."""


def usual_faults(
    registry: Registry,
    *,
    seed: int,
    begin_ns: int,
    end_ns: int,
    rates: tuple[Rate, ...] = USUAL_RATES,
    background: bool = True,
) -> list[Fault]:
    """Return the faults of a span of time; ``background``: ageing, single spikes and gaps too.

    Each thing's faults follow from the seed, the kind and its name alone: adding one sensor to the
    city changes no other's.
    """
    held: list[Fault] = []
    if background:
        for kind in ("ageing", "sprinkled"):
            told = Break(id=f"{kind}-{seed}", kind=kind, place="*", begin_ns=begin_ns,
                         lasts_s=(end_ns - begin_ns) / SECOND_NS)  # fmt: skip
            held.append(FAULTS[kind](registry, told))
    things = {of: _things(registry, of) for of in sorted({rate.of for rate in rates})}
    held += [
        make(registry, told)
        for rate in rates
        for told in _drawn(rate, things[rate.of], seed, begin_ns, end_ns)
    ]
    # boots are counted in order of time
    return sorted(held, key=lambda fault: (fault.begin_ns, fault.id))


def _drawn(rate: Rate, names: list[str], seed: int, begin_ns: int, end_ns: int) -> Iterator[Break]:
    """Yield what befalls each thing: exponential waits, lognormal lengths."""
    span_s = (end_ns - begin_ns) / SECOND_NS
    mean_s = YEAR_S / rate.a_year
    keys = np.array([key_of(seed, rate.kind, name) for name in names], np.int64)
    first_s = -mean_s * np.log(uniform(keys, 0))
    for place in np.flatnonzero(first_s < span_s).tolist():
        name, key, at_s, count = names[place], int(keys[place]), float(first_s[place]), 0
        while at_s < span_s:
            count += 1
            # counters of one thing's stream: sixteen an event, the first of each is its wait
            length = float(normal(key, 16 * count + 1))
            lasts = rate.median_s * float(np.exp(rate.spread * length))
            yield Break(
                id=f"{rate.kind}-{name}-{count}",
                kind=rate.kind,
                place=name,
                begin_ns=begin_ns + int(at_s * 1000) * 1_000_000,
                lasts_s=min(lasts, span_s - at_s),
                options=_options(rate, key, 16 * count + 2),
            )
            at_s += lasts - mean_s * float(np.log(uniform(key, 16 * count)))


def _options(rate: Rate, key: int, counter: int) -> dict[str, float]:
    held = {
        name: low + (high - low) * float(uniform(key, counter + i))
        for i, (name, low, high) in enumerate(rate.options)
    }
    return {n: round(x) if n in ("stored", "code") else x for n, x in held.items()}


def _things(registry: Registry, of: str) -> list[str]:
    c, d = registry.channels, registry.devices
    if of in ("gateway", "module"):
        return [i for i, k in zip(d.id, d.kind, strict=True) if k == of]
    wanted = {"ch4"} if of == "detector" else None
    skipped = {"battery", "rssi", "heartbeat", "state"}
    return list(
        dict.fromkeys(
            i.rsplit("/", 1)[0]
            for i, q, alive in zip(c.id, c.quantity, c.alive, strict=True)
            if alive and (q in wanted if wanted else q not in skipped)
        )
    )
