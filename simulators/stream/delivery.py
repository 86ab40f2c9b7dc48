"""How samples reach the receiver: in which report, when, what is lost and what comes twice.

A message is a device's samples since its last report. Everything follows from (registry, seed,
samples), so any window of receipt is a slice of a longer one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from rules.readings import QC_GOOD, QC_MISSING, Readings
from simulators.noise import key_of, uniform

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from simulators.stream.laid import LinkFault
    from simulators.stream.schedule import Schedule

    Rows = NDArray[np.int32]
    Times = NDArray[np.int64]
    Floats = NDArray[np.float64]

MQTT_NS: Final = 50_000_000
COAP_NS: Final = 400_000_000
JITTER_NS: Final = 8_000_000_000  # of CoAP: retries and the network's own waits
AGAIN_NS: Final = 2_500_000_000  # a duplicate comes so much later


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """Shares of messages, by transport (MQTT, CoAP): lost for good, sent twice, overtaken."""

    lost: tuple[float, float] = (0.0, 0.0)
    duplicate: tuple[float, float] = (0.0, 0.0)
    out_of_order: tuple[float, float] = (0.0, 0.0)


USUAL: Final = Links(lost=(0.001, 0.015), duplicate=(0.005, 0.01), out_of_order=(0.0, 0.015))
"""What links of a city do on a usual day (estimates: NB-IoT 1–3 % loss, 0.5–2 % duplicates)."""


@dataclass(slots=True)
class Rowwise:
    """Samples on their way: columns of one length, any order."""

    rows: Rows
    t_ns: Times
    value: Floats  # canonical; NaN = missing
    usable: NDArray[np.bool_]
    report_ns: Times = field(default_factory=lambda: np.zeros(0, np.int64))

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.rows)

    def take(self, at: NDArray[np.int64] | NDArray[np.bool_]) -> Rowwise:
        """Return the chosen samples."""
        return Rowwise(
            self.rows[at], self.t_ns[at], self.value[at], self.usable[at], self.report_ns[at]
        )


@dataclass(slots=True)
class Messages:
    """One row a message; link faults change these columns in place."""

    device: NDArray[np.int32]
    report_ns: Times
    receive_ns: Times
    boot: NDArray[np.int64]
    sequence: NDArray[np.int64]
    stamp_ns: Times  # added to the time stamps of its samples
    lost: NDArray[np.bool_]
    twice: NDArray[np.bool_]


def assign(schedule: Schedule, held: Rowwise) -> None:
    """Give each sample the report that carries it: the regular one, or an earlier alarmed one."""
    held.report_ns = schedule.reports_at(held.rows, held.t_ns)
    woke = np.flatnonzero(schedule.woken(held.rows, held.value))
    if not len(woke):
        return
    device = schedule.device[held.rows]
    struck = np.flatnonzero(np.isin(device, np.unique(device[woke])))
    base = int(held.t_ns[struck].min())
    key = _device_time(device[struck], held.t_ns[struck], base)
    alarms = np.unique(_device_time(device[woke], held.t_ns[woke], base))
    at = np.searchsorted(alarms, key)
    known = at < len(alarms)
    soon = alarms[np.minimum(at, len(alarms) - 1)]
    mine = known & (soon >> _TIME_BITS == device[struck])
    when = (soon & _TIME_MASK) * 1_000_000 + base // 1_000_000 * 1_000_000
    # alarmed instants are whole milliseconds, as all samples are
    held.report_ns[struck] = np.where(
        mine, np.minimum(held.report_ns[struck], when), held.report_ns[struck]
    )


_TIME_BITS: Final = 44
_TIME_MASK: Final = (1 << _TIME_BITS) - 1


def _device_time(device: NDArray[np.int32], t_ns: Times, base_ns: int) -> Times:
    """Return device and milliseconds since a base as one number that sorts by both."""
    ms: Times = t_ns // 1_000_000 - base_ns // 1_000_000
    return (device.astype(np.int64) << _TIME_BITS) | ms


def sent(
    schedule: Schedule,
    held: Rowwise,
    *,
    seed: int,
    links: Links,
    faults: Sequence[LinkFault] = (),
) -> Readings:
    """Return what the receiver gets of these samples, in order of receipt."""
    if not len(held):
        return Readings.empty()
    device = schedule.device[held.rows]
    order = np.lexsort((held.rows, held.t_ns, held.report_ns, device))
    held, device = held.take(order), device[order]
    new = np.append(True, (device[1:] != device[:-1]) | (held.report_ns[1:] != held.report_ns[:-1]))
    begins = np.flatnonzero(new)
    of = np.cumsum(new) - 1
    messages = _messages(schedule, device[begins], held.report_ns[begins], seed, links)
    for fault in faults:
        fault.apply(messages, schedule)
    return _readings(held, device, begins, of, messages)


def _messages(
    schedule: Schedule, device: NDArray[np.int32], report_ns: Times, seed: int, links: Links
) -> Messages:
    unit = schedule.unit_ns[device]
    sequence = report_ns // unit
    coap = schedule.coap[device]
    # one stream of numbers a device and purpose, counted by its messages
    key = device.astype(np.int64) * 8 + key_of(seed, "links") % (1 << 40)
    kind = coap.astype(np.int64)
    wait = np.minimum(JITTER_NS, unit // 3) * uniform(key, sequence) ** 4
    latency = np.where(coap, COAP_NS + wait.astype(np.int64), MQTT_NS)
    share = np.array(links.lost)[kind]
    before = sequence - schedule.report_ns[device] // unit
    # what did not come is followed by one that does: a link of this quality is not a dead device
    lost = (uniform(key + 1, sequence) < share) & (uniform(key + 1, before) >= share)
    twice = uniform(key + 2, sequence) < np.array(links.duplicate)[kind]
    overtaken = uniform(key + 3, sequence) < np.array(links.out_of_order)[kind]
    overtaken &= uniform(key + 1, before) >= share
    late = schedule.report_ns[device] + COAP_NS + JITTER_NS  # after the next regular one
    return Messages(
        device=device,
        report_ns=report_ns,
        receive_ns=report_ns + latency + np.where(overtaken, late, 0),
        boot=np.ones(len(device), np.int64),
        sequence=sequence,
        stamp_ns=np.zeros(len(device), np.int64),
        lost=lost,
        twice=twice,
    )


def _readings(
    held: Rowwise,
    device: NDArray[np.int32],
    begins: NDArray[np.int64],
    of: NDArray[np.int64],
    m: Messages,
) -> Readings:
    """Lay messages out as rows in order of receipt, duplicates and losses done."""
    event = held.t_ns + m.stamp_ns[of]
    newest = np.maximum.reduceat(event, begins)
    shift = np.maximum(0, newest - m.receive_ns)
    index = (np.arange(len(held)) - begins[of]).astype(np.int32)
    columns = {
        "channel": held.rows,
        "device": device,
        "event_ns": event,
        "judged_ns": event - shift[of],
        "receive_ns": m.receive_ns[of],
        "value": held.value,
        "qc_flag": np.where(np.isnan(held.value), QC_MISSING, QC_GOOD),
        "usable": held.usable,
        "boot": m.boot[of],
        "sequence": m.sequence[of],
        "index": index,
    }
    once = Readings.of(columns).take(~m.lost[of])
    again = m.twice & ~m.lost
    if again.any():
        second = columns | {"receive_ns": m.receive_ns[of] + AGAIN_NS}
        once = Readings.concatenate((once, Readings.of(second).take(again[of])))
    order = np.lexsort((once.index, once.sequence, once.device, once.receive_ns))
    return once.take(order)
