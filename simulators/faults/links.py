"""Faults of devices and links: what becomes of messages. One function a kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from simulators.faults.sensors import ChannelFault
from simulators.faults.truth import (
    FOREVER_NS,
    SECOND_NS,
    Break,
    Fault,
    channels_at,
    device_at,
    places_of,
)
from simulators.noise import key_of, uniform

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from rules.registry import Registry
    from simulators.faults.truth import Floats, Rows
    from simulators.stream.delivery import Messages
    from simulators.stream.schedule import Schedule

NO_CHANNELS = np.zeros(0, np.int32)
APART_NS = 50_000_000  # between messages that were stored, once they are sent
BOOTED_AT_NS = 0  # 1970: a clock that nobody has set
WARM_UP_S = 90.0


@dataclass(slots=True, kw_only=True)
class DeviceFault:
    """Changes messages of devices, in place, whose report lies in its time (stream.laid.LinkFault).

    ``late_ns`` is by how much it delays at most.
    """

    devices: Rows
    begin_ns: int
    end_ns: int
    change: Callable[[Messages, NDArray[np.int64], Schedule], None]
    late_ns: int = 0
    on: Literal["link"] = "link"

    def delay_ns(self, schedule: Schedule) -> int:
        """Return the longest time from a sample of its devices to its receipt."""
        return int(2 * schedule.report_ns[self.devices].max()) + self.late_ns

    def apply(self, messages: Messages, schedule: Schedule) -> None:
        """Change messages in place; they lie device by device."""
        at, _ = places_of(messages.device, self.devices)
        report = messages.report_ns[at]
        at = at[(report >= self.begin_ns) & (report < self.end_ns)]
        if len(at):
            self.change(messages, at, schedule)


def _fault(told: Break, device: int, *parts: DeviceFault | ChannelFault) -> Fault:
    return Fault(
        id=told.id, kind=told.kind, place=told.place, begin_ns=told.begin_ns, end_ns=told.end_ns,
        channels=NO_CHANNELS, devices=np.array([device], np.int32), parts=parts,
    )  # fmt: skip


def _part(
    told: Break,
    device: int,
    change: Callable[[Messages, NDArray[np.int64], Schedule], None],
    *,
    late_ns: int = 0,
    end_ns: int | None = None,
) -> DeviceFault:
    return DeviceFault(
        devices=np.array([device], np.int32), begin_ns=told.begin_ns,
        end_ns=told.end_ns if end_ns is None else end_ns, change=change, late_ns=late_ns,
    )  # fmt: skip


def silence(devices: Rows, begin_ns: int, end_ns: int) -> tuple[DeviceFault, DeviceFault]:
    """Return what a loss of power does: nothing is sampled or sent, then a new boot."""

    def drop(m: Messages, at: NDArray[np.int64], _schedule: Schedule) -> None:
        m.lost[at] = True

    def anew(m: Messages, at: NDArray[np.int64], schedule: Schedule) -> None:
        unit = schedule.unit_ns[m.device[at]]
        m.boot[at] += 1
        m.sequence[at] = m.report_ns[at] // unit - end_ns // unit

    return (
        DeviceFault(devices=devices, begin_ns=begin_ns, end_ns=end_ns, change=drop),
        DeviceFault(devices=devices, begin_ns=end_ns, end_ns=FOREVER_NS, change=anew),
    )


def gateway_loss(registry: Registry, told: Break) -> Fault:
    """Cut a gateway's link; with ``stored`` 1 (usual) it keeps all and sends it afterwards.

    Without ``stored`` it had no power: nothing was sampled, and it starts with a new boot.
    """
    device = device_at(registry, told.place)
    if not told.option("stored", 1.0):
        return _fault(told, device, *silence(np.array([device], np.int32), told.begin_ns,
                                             told.end_ns))  # fmt: skip
    return _fault(told, device, _part(told, device, _stored_until(told.begin_ns, told.end_ns),
                                      late_ns=told.end_ns - told.begin_ns))  # fmt: skip


def _stored_until(
    begin_ns: int, end_ns: int
) -> Callable[[Messages, NDArray[np.int64], Schedule], None]:
    def change(m: Messages, at: NDArray[np.int64], schedule: Schedule) -> None:
        turn = (m.report_ns[at] - begin_ns) // schedule.unit_ns[m.device[at]]
        m.receive_ns[at] = end_ns + APART_NS * (1 + turn)
        m.lost[at] = False  # what is stored is repeated until it is taken

    return change


def psm_batches(registry: Registry, told: Break) -> Fault:
    """Let a module sleep longer than it reports: ``of_s`` 3 h in each ``every_s`` 4 h.

    What it kept comes when it wakes, in the order it was kept.
    """
    device = device_at(registry, told.place)
    of_ns = int(told.option("of_s", 3 * 3600) * SECOND_NS)
    every_ns = int(told.option("every_s", 4 * 3600) * SECOND_NS)

    def change(m: Messages, at: NDArray[np.int64], schedule: Schedule) -> None:
        since = m.report_ns[at] - told.begin_ns
        into = since % every_ns
        asleep = into < of_ns
        wakes = m.report_ns[at] - into + of_ns
        turn = into // schedule.unit_ns[m.device[at]]
        m.receive_ns[at] = np.where(asleep, wakes + APART_NS * (1 + turn), m.receive_ns[at])
        m.lost[at] &= ~asleep

    return _fault(told, device, _part(told, device, change, late_ns=of_ns))


def _shares(
    told: Break, name: str, default: float
) -> Callable[[Messages, NDArray[np.int64]], NDArray[np.bool_]]:
    share, key = told.option(name, default), key_of(0, "link fault", told.id)

    def drawn(m: Messages, at: NDArray[np.int64]) -> NDArray[np.bool_]:
        held: NDArray[np.bool_] = uniform(key, m.report_ns[at] // SECOND_NS) < share
        return held

    return drawn


def lossy(registry: Registry, told: Break) -> Fault:
    """Spoil the antenna: messages are lost for good. Options: ``share`` 0.1."""
    device = device_at(registry, told.place)
    drawn = _shares(told, "share", 0.1)

    def change(m: Messages, at: NDArray[np.int64], _schedule: Schedule) -> None:
        m.lost[at] |= drawn(m, at)

    return _fault(told, device, _part(told, device, change))


def duplicates(registry: Registry, told: Break) -> Fault:
    """Answers that do not come back: messages are sent twice. Options: ``share`` 0.3."""
    device = device_at(registry, told.place)
    drawn = _shares(told, "share", 0.3)

    def change(m: Messages, at: NDArray[np.int64], _schedule: Schedule) -> None:
        m.twice[at] |= drawn(m, at)

    return _fault(told, device, _part(told, device, change))


def reordering(registry: Registry, told: Break) -> Fault:
    """Messages overtake each other. Options: ``share`` 0.2, ``by`` 1 report later."""
    device = device_at(registry, told.place)
    drawn = _shares(told, "share", 0.2)
    reports = told.option("by", 1.0)

    def change(m: Messages, at: NDArray[np.int64], schedule: Schedule) -> None:
        late = (reports * schedule.report_ns[m.device[at]]).astype(np.int64) + 9 * SECOND_NS
        m.receive_ns[at] += np.where(drawn(m, at), late, 0)

    late_ns = int(reports * registry.devices.interval_ns[device]) + 20 * SECOND_NS
    return _fault(told, device, _part(told, device, change, late_ns=2 * late_ns))


def clock_skew(registry: Registry, told: Break) -> Fault:
    """Put the clock wrong. Options: ``offset_s`` 0, ``ppm`` 50 (its error grows from the begin)."""
    device = device_at(registry, told.place)
    offset_ns = int(told.option("offset_s", 0.0) * SECOND_NS)
    ppm = told.option("ppm", 50.0)

    def change(m: Messages, at: NDArray[np.int64], _schedule: Schedule) -> None:
        run = ((m.report_ns[at] - told.begin_ns) * (ppm / 1e6)).astype(np.int64)
        m.stamp_ns[at] += offset_ns + run // 1_000_000 * 1_000_000

    return _fault(told, device, _part(told, device, change))


def clock_unset(registry: Registry, told: Break) -> Fault:
    """After a reboot the clock counts from 1970 until somebody sets it."""
    device = device_at(registry, told.place)

    def change(m: Messages, at: NDArray[np.int64], _schedule: Schedule) -> None:
        m.stamp_ns[at] += BOOTED_AT_NS - told.begin_ns

    return _fault(told, device, _part(told, device, change))


def reboot(registry: Registry, told: Break) -> Fault:
    """Start anew: a new boot, sequences from nothing; cells show nothing for 90 s."""
    device = device_at(registry, told.place)
    rows = channels_at(registry, registry.devices.id[device])
    _, anew = silence(np.array([device], np.int32), told.begin_ns, told.begin_ns)

    def cold(_i: NDArray[np.int64], _s: Floats, value: Floats, _: NDArray[np.bool_]) -> None:
        value[:] = 0.0

    warming = ChannelFault(
        rows=rows, begin_ns=told.begin_ns, end_ns=told.begin_ns + int(WARM_UP_S * SECOND_NS),
        hit=cold,
    )  # fmt: skip
    return _fault(told, device, anew, warming)


KINDS: dict[str, Callable[[Registry, Break], Fault]] = {
    "gateway_loss": gateway_loss,
    "psm_batches": psm_batches,
    "lossy": lossy,
    "duplicates": duplicates,
    "reordering": reordering,
    "clock_skew": clock_skew,
    "clock_unset": clock_unset,
    "reboot": reboot,
}
