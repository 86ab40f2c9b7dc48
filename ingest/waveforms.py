"""Waveforms of a message as Blocks: runs that share start, rate and length are rows of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ingest.conversion import convert
from ingest.frame import STATUS_FAULT
from ingest.message_times import held
from ingest.overload import NEVER, WAVEFORMS_FROM
from ingest.quarantine import Quarantined
from rules.readings import HEARD_ONLY, Block

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from ingest.channels import ChannelTable
    from ingest.frame import Decoded, Frame, Waveform


def blocks_of(
    table: ChannelTable,
    frame: Frame,
    device: int,
    decoded: Decoded,
    *,
    shift_ns: int,
    restamp: bool,
    refused: list[Quarantined],
    step: int = 0,
    shed: NDArray[np.int64],
) -> Iterable[Block]:
    """Yield the message's waveforms in canonical units; of unknown channels only a refusal.

    At a step of overload (see ingest.overload) waveforms are given up, those of safety channels
    never; ``shed`` counts their samples by channel row.
    A device's own fault makes all samples of its run NaN: a Block has no other word for it.
    """
    groups: dict[tuple[int, int, int], list[tuple[int, NDArray[np.float32]]]] = {}
    unknown: list[str] = []
    for wave in decoded.blocks:
        channel = _channel(table, device, wave)
        if channel == HEARD_ONLY:
            unknown.append(f"port {wave.port}" if wave.port >= 0 else f"key {wave.key!r}")
            continue
        if step >= WAVEFORMS_FROM and table.shed_from[channel] < NEVER:
            shed[channel] += len(wave.samples)
            continue
        samples = convert(wave.samples, table.factors[[channel]])
        if wave.status == STATUS_FAULT:
            samples = np.full(len(samples), np.nan)
        shape = wave.start_ns, wave.period_ns, len(samples)
        groups.setdefault(shape, []).append((channel, samples.astype(np.float32)))
    if unknown:
        detail = f"waveforms of {', '.join(unknown[:8])}"
        refused.append(Quarantined("unknown_channel", frame, detail, whole=False))
    for (start_ns, period_ns, _), rows in groups.items():
        judged_ns = held(start_ns + shift_ns)
        yield Block(
            channel=np.array([channel for channel, _ in rows], np.int32),
            device=device,
            event_ns=judged_ns if restamp else held(start_ns),
            judged_ns=judged_ns,
            receive_ns=frame.receive_ns,
            rate_hz=1e9 / period_ns,
            samples=np.stack([samples for _, samples in rows]),
            boot=decoded.boot,
            sequence=decoded.sequence,
        )


def _channel(table: ChannelTable, device: int, wave: Waveform) -> int:
    if wave.port < 0:
        return int(table.of_keys(device, [wave.key])[0])
    found = table.of_ports(np.array([device], np.int32), np.array([wave.port], np.int32))
    return int(found[0])
