"""A recording made into another: cut in time and channels, or with incidents laid over it.

What is admitted is changed, not frames as they came: a changed recording has no raw frames. Times
of a cut are of receipt, begin included and end not.
"""

from __future__ import annotations

import fnmatch
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from rules.problems import nearest
from rules.readings import HEARD_ONLY, Block, Readings
from rules.registry_codec import hashed
from simulators.recording.folder import open_recording, refuse, write_recording
from simulators.recording.steps import step_time_ns

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from rules.readings import Body
    from rules.registry import Registry
    from simulators.incidents import Incident
    from simulators.scenario import Scenario

    Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """What is kept: receive times in [begin, end) and channels by patterns; () keeps all."""

    begin_ns: int = 0
    end_ns: int = (1 << 63) - 1
    channels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.begin_ns >= self.end_ns:
            raise refuse("cut", "begins when it has ended: give a --to after --from")


def cut(source: Path, out: Path, kept: Cut) -> dict[str, Any]:
    """Write the part of a recording; return its meta.

    Channels that are left out, devices that then say nothing and assets that then have nothing
    become tombstones of the registry: rows keep their numbers, and nobody is silent who was cut.

    Raises
    ------
    rules.problems.Invalid
        ``source`` is no recording, a pattern fits no channel, nothing is left, ``out`` exists.
    """
    with open_recording(source) as recording:
        keep = _chosen(recording.registry, kept.channels)
        registry = _without(recording.registry, keep)
        steps = _cut(recording.admitted(), kept, keep, registry.devices.alive)
        meta = {"cut_from": source.name} | _truth_left(recording.meta, kept, out)
        done = write_recording(out, registry, steps, meta)
    if not done["readings"]:
        said = f"no reading is left: {source.name} has those from {recording.meta.get('begin_ns')}"
        raise refuse(out, f"{said} to {recording.meta.get('end_ns')} (Unix ns)")
    return done


def _truth_left(meta: dict[str, Any], kept: Cut, _out: Path) -> dict[str, Any]:
    """Keep the ground truth of incidents that begin in the part, where a recording has one."""
    if "incidents" not in meta:
        return {}
    inside = [i for i in meta["incidents"] if kept.begin_ns <= i["begin_ns"] < kept.end_ns]
    return {"incidents": inside}


def _chosen(registry: Registry, patterns: Sequence[str]) -> Flags:
    ids = registry.channels.id
    if not patterns:
        return registry.channels.alive.copy()
    keep = np.zeros(len(ids), np.bool_)
    for pattern in patterns:
        fits = np.array([fnmatch.fnmatchcase(name, pattern) for name in ids])
        if not fits.any():
            said = f"fits no channel{nearest(pattern, ids)}; write * for any text"
            raise refuse(f"--channel {pattern}", said)
        keep |= fits
    return keep & registry.channels.alive


def _without(registry: Registry, keep: Flags) -> Registry:
    """Return the registry with all but the kept channels retired; rows stay where they are."""
    c, d, a = registry.channels, registry.devices, registry.assets
    speaks = np.zeros(len(d.id), np.bool_)
    speaks[c.device[keep]] = True
    used = np.zeros(len(a.id), np.bool_)
    used[c.asset[keep]] = True
    used[d.asset[speaks]] = True
    return hashed(
        replace(
            registry,
            channels=replace(c, alive=c.alive & keep),
            devices=replace(d, alive=d.alive & speaks),
            assets=replace(a, alive=a.alive & used),
        )
    )


def _cut(steps: Iterable[Body], kept: Cut, keep: Flags, speaks: Flags) -> Iterator[Body]:
    for body in steps:
        if isinstance(body, Readings):
            inside = (body.receive_ns >= kept.begin_ns) & (body.receive_ns < kept.end_ns)
            heard = (body.channel == HEARD_ONLY) & speaks[body.device]
            part = body.take(inside & (heard | _of(keep, body.channel)))
            if len(part):
                yield part
            continue
        at_ns = step_time_ns(body)
        if at_ns >= kept.end_ns:
            return
        if at_ns < kept.begin_ns and at_ns:  # a command has no time of its own: it stays
            continue
        if not isinstance(body, Block):
            yield body
        elif (rows := _of(keep, body.channel)).any():
            yield replace(body, channel=body.channel[rows], samples=body.samples[rows])


def _of(keep: Flags, channel: NDArray[np.int32]) -> Flags:
    flags: Flags = keep[np.maximum(channel, 0)] & (channel >= 0)
    return flags


def spice(source: Path, out: Path, scenario: Scenario) -> dict[str, Any]:
    """Lay a scenario's incidents over a recording: what if this had happened then; return meta.

    ``at`` of an incident counts from the recording's first receive time. Recorded values of the
    channels it touches are changed as the simulated city's are, at the time they were measured,
    then rounded to the sensor's resolution and cut at its range; what a silenced device said is
    left out. Waveforms stay as they were.

    Raises
    ------
    rules.problems.Invalid
        ``source`` is no recording, an incident does not fit a place, ``out`` exists.
    """
    with open_recording(source) as recording:
        begin_ns = next((at for at in map(step_time_ns, recording.admitted()) if at), 0)
        incidents = scenario.place(recording.registry, begin_ns)
        counts: Counter[str] = Counter()
        steps = _spiced(recording.admitted(), recording.registry, incidents, counts)
        meta: dict[str, Any] = {"spiced_from": source.name, "scenario": scenario.name}
        meta["incidents"] = [_told(incident, recording.registry) for incident in incidents]
        marked = hashed(replace(recording.registry, simulation=True))
        done = write_recording(out, marked, _counted(steps, meta, counts), meta)
    if incidents and not counts["readings_changed"] + counts["readings_silenced"]:
        said = "the incidents changed nothing: they lie outside the recording's time, or its "
        raise refuse(out, said + "channels have no readings then; see `at` and `place`")
    return done


def _counted(steps: Iterator[Body], meta: dict[str, Any], counts: Counter[str]) -> Iterator[Body]:
    yield from steps
    meta |= {name: counts[name] for name in ("readings_changed", "readings_silenced")}


def _told(incident: Incident, registry: Registry) -> dict[str, Any]:
    return {
        "id": incident.id,
        "kind": incident.kind,
        "place": incident.place,
        "name": incident.name,
        "name_zh": incident.name_zh,
        "begin_ns": incident.begin_ns,
        "end_ns": incident.end_ns,
        "deadline_s": incident.deadline_s,
        "deadline_why": incident.why,
        "severity": incident.severity,
        "subjects": incident.subjects(registry),
    }


def _spiced(
    steps: Iterable[Body],
    registry: Registry,
    incidents: Sequence[Incident],
    counts: Counter[str],
) -> Iterator[Body]:
    for body in steps:
        if not isinstance(body, Readings):
            yield body
            continue
        silent = np.zeros(len(body), np.bool_)
        for incident in incidents:
            lasts = (body.judged_ns >= incident.begin_ns) & (body.judged_ns < incident.end_ns)
            silent |= lasts & np.isin(body.device, incident.silenced)
        counts["readings_silenced"] += int(silent.sum())
        heard = body.take(~silent) if silent.any() else body
        if len(heard):
            value = _under(heard, registry, incidents)
            same = (value == heard.value) | np.isnan(heard.value)
            counts["readings_changed"] += int((~same).sum())
            yield replace(heard, value=value)


def _under(
    rows: Readings, registry: Registry, incidents: Sequence[Incident]
) -> NDArray[np.float64]:
    """Return the values under the incidents; what none of them touches keeps its bits."""
    value, c = rows.value.copy(), registry.channels
    for incident in incidents:
        touched = np.isin(rows.channel, incident.channels) & np.isfinite(rows.value) & rows.usable
        touched &= rows.judged_ns >= incident.begin_ns
        touched &= rows.judged_ns < incident.end_ns + int(incident.fades_s * 1e9)
        at = np.flatnonzero(touched)
        at = at[np.argsort(rows.channel[at], kind="stable")]
        if not len(at):
            continue
        channel = rows.channel[at]
        under = incident.apply(channel, rows.judged_ns[at] / 1e9, value[at])
        changed = under != value[at]
        at, channel, under = at[changed], channel[changed], under[changed]
        step = np.where(c.resolution[channel] > 0, c.resolution[channel], 1e-6)
        under = np.rint(under / step) * step
        low, high = c.range_lo[channel], c.range_hi[channel]
        under = np.where(np.isfinite(low), np.maximum(under, low), under)
        value[at] = np.where(np.isfinite(high), np.minimum(under, high), under)
    return value
