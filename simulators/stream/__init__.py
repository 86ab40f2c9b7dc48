"""A whole city as readings: any window of time, without the time before it.

>>> from simulators.stream import City
>>> city = City("bozhou", seed=1)
>>> city.registry                                  # rules.registry.Registry
>>> city.window(begin_ns, end_ns)                  # rules.readings.Readings received in it
>>> for batch in city.records(begin_ns, end_ns):   # straight into an engine
...     engine.fold(batch)

Incidents and faults are laid over it by ``city.under(incidents=…, faults=…)``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from rules.readings import Readings, Record, Tick
from simulators.city import registry_of_city
from simulators.faults.links import silence
from simulators.incidents import Incident
from simulators.signals import Signals
from simulators.stream.delivery import USUAL, Links, Rowwise, assign, sent
from simulators.stream.laid import of_link, of_sensor
from simulators.stream.schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from rules.registry import Registry
    from simulators.faults import Fault
    from simulators.signals import Change

    Rows = NDArray[np.int32]
    Times = NDArray[np.int64]

__all__ = ["USUAL", "City", "Links"]

MINUTE_NS: Final = 60_000_000_000
TICK_NS: Final = 10_000_000_000
SLACK_NS: Final = 60_000_000_000  # over a report: jitter, duplicates


class City:
    """A city of a profile and a seed; equal arguments, equal readings, bit for bit."""

    def __init__(
        self,
        profile: str = "demo",
        seed: int = 1,
        *,
        registry: Registry | None = None,
        incidents: Sequence[Change] = (),
        faults: Sequence[Fault] = (),
        links: Links = USUAL,
    ) -> None:
        self.profile = profile
        self.seed = seed
        self.registry = registry_of_city(profile, seed) if registry is None else registry
        self.signals = Signals(self.registry, seed=seed)
        self.schedule = Schedule(self.registry, seed)
        self.links = links
        self.incidents: tuple[Change, ...] = ()
        self.faults: tuple[Fault, ...] = ()
        self._lay(incidents, faults)

    def under(
        self,
        *,
        incidents: Sequence[Change] = (),
        faults: Sequence[Fault] = (),
        links: Links | None = None,
    ) -> City:
        """Return the same city with incidents and faults laid over it; this one stays as it is."""
        other = object.__new__(City)
        other.__dict__.update(self.__dict__)
        other.links = self.links if links is None else links
        other._lay(incidents, faults)
        return other

    def _lay(self, incidents: Sequence[Change], faults: Sequence[Fault]) -> None:
        self.incidents, self.faults = tuple(incidents), tuple(faults)
        self.signals = self.signals.under(self.incidents)
        parts = [part for fault in faults for part in fault.parts]
        for incident in incidents:  # one that silences devices is a loss of power too
            if isinstance(incident, Incident) and len(incident.silenced):
                parts += silence(incident.silenced, incident.begin_ns, incident.end_ns)
        self._sensor_faults = [part for part in parts if of_sensor(part)]
        self._link_faults = [part for part in parts if of_link(part)]
        d = self.schedule
        reach = d.report_ns.copy()
        if any(self.links.out_of_order):
            reach *= 2
        for fault in self._link_faults:
            reach[fault.devices] += fault.delay_ns(d)
        self._reach = reach + SLACK_NS
        # channels by how far back their samples may still be on their way, so that one device that
        # sends a day late does not make all others be drawn for a day
        mine = self._reach[d.device[d.sampled]]
        bounds = sorted({int(np.exp2(np.ceil(np.log2(r)))) for r in np.unique(mine)})
        self._groups: list[tuple[int, Rows]] = []
        below = 0
        for bound in bounds:
            self._groups.append((bound, d.sampled[(mine > below) & (mine <= bound)]))
            below = bound

    def samples(self, begin_ns: int, end_ns: int, channels: Rows | None = None) -> Rowwise:
        """Return what sensors show in [begin, end) of their own true time, faults in.

        Regular samples come channel by channel, then those of alarmed modules. ``channels`` rise.
        """
        held = self._shown(*self.schedule.due(begin_ns, end_ns, channels))
        more = self._alarmed(begin_ns, end_ns, channels)
        return held if more is None else _joined((held, self._shown(*more)))

    def _shown(self, rows: Rows, t_ns: Times) -> Rowwise:
        """Return what sensors show at instants, faults in; ``rows`` rise."""
        value, usable = self.signals.sample(rows, t_ns), np.ones(len(rows), np.bool_)
        if len(rows) and self._sensor_faults:
            begin_ns, end_ns = int(t_ns.min()), int(t_ns.max())
            for fault in self._sensor_faults:
                if fault.end_ns > begin_ns and fault.begin_ns <= end_ns:
                    fault.apply(self, rows, t_ns, value, usable)
        return Rowwise(rows, t_ns, value, usable)

    def _alarmed(
        self, begin_ns: int, end_ns: int, channels: Rows | None
    ) -> tuple[Rows, Times] | None:
        """Return the extra samples in [begin, end) of modules that found something."""
        d = self.schedule
        usual = d.sampled if channels is None else channels
        can = usual[np.isfinite(d.wake[1][usual]) & (d.every_ns[usual] > MINUTE_NS)]
        if not len(can):
            return None
        back = int(d.every_ns[can].max())
        early, at_ns = d.due(begin_ns - back, end_ns, can)
        woke = np.flatnonzero(d.woken(early, self.signals.sample(early, at_ns)))
        more, more_ns = d.closer(early[woke], at_ns[woke])
        inside = (more_ns >= begin_ns) & (more_ns < end_ns)
        return (more[inside], more_ns[inside]) if inside.any() else None

    def window(self, begin_ns: int, end_ns: int) -> Readings:
        """Return the readings received in [begin, end), in order of receipt.

        It is the slice of any longer window, byte for byte.
        """
        parts = []
        for reach_ns, channels in self._groups:
            held = self.samples(begin_ns - reach_ns, end_ns, channels)
            assign(self.schedule, held)
            parts.append(held.take(held.report_ns < end_ns))
        whole = _joined(parts)
        said = sent(
            self.schedule, whole, seed=self.seed, links=self.links, faults=self._link_faults
        )
        first, last = np.searchsorted(said.receive_ns, (begin_ns, end_ns))
        return said.take(slice(int(first), int(last)))

    def records(
        self, begin_ns: int, end_ns: int, *, step_ns: int = 10 * MINUTE_NS, offset: int = 0
    ) -> Iterator[list[Record]]:
        """Yield batches for an engine: readings and a tick each 10 s, in journal order.

        No message stands in two records. ``offset`` is that of the first record.
        """
        for begin in range(begin_ns, end_ns, step_ns):
            end = min(begin + step_ns, end_ns)
            said = self.window(begin, end)
            ticks = np.arange(-(-begin // TICK_NS) * TICK_NS, end, TICK_NS)
            cuts = np.searchsorted(said.receive_ns, ticks).tolist()
            batch: list[Record] = []
            at = 0
            for tick, cut in zip([*ticks.tolist(), None], [*cuts, len(said)], strict=True):
                if cut > at:
                    batch.append(Record(offset, said.take(slice(at, cut))))
                    offset, at = offset + 1, cut
                if tick is not None:
                    batch.append(Record(offset, Tick(tick)))
                    offset += 1
            yield batch


def _joined(parts: Sequence[Rowwise]) -> Rowwise:
    if len(parts) == 1:
        return parts[0]
    return Rowwise(
        *(
            np.concatenate([getattr(p, name) for p in parts])
            for name in ("rows", "t_ns", "value", "usable", "report_ns")
        )
    )
