"""``lifeline quarantine``: what was refused, why, and feeding it again once that is mended."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ingest.admission import Admission
from ingest.control import recover
from ingest.journal import durable_end
from ingest.refeed import MOST, PART, Refused, entries, entry
from lifeline.backtest.sources import registry_at
from lifeline.errors import Missing, Rejected
from lifeline.mending.correct import command

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ingest.codecs.json_mapping import Mapping

MOST_BYTES = 48 << 10  # of a request to the control socket, which takes 64 KiB


@dataclass(frozen=True, slots=True, kw_only=True)
class Fed:
    """What became of frames: ``done`` are in the journal, ``refused`` say why not."""

    done: tuple[str, ...]
    before: tuple[str, ...]
    refused: tuple[str, ...]


def refed(data: Path) -> dict[str, int]:
    """Return the frames that were fed already, and the records that say so."""
    journal = data / "journal"
    end = durable_end(journal)
    return recover(data / "cursors" / "ingest", journal, durable=end).refed


def chosen(data: Path, *, reason: str, device: str) -> list[Refused]:
    """Return entries of quarantine by reason and part of the path; "" takes all."""
    return [
        each
        for each in entries(data / "quarantine")
        if (not reason or reason in (each.reason, each.reason.removeprefix(PART)))
        and (not device or device in each.frame.path.split("/") or device in each.detail)
    ]


def named(data: Path, frame_id: str) -> Refused:
    """Return one entry.

    Raises
    ------
    Missing
        There is none of this name.
    """
    try:
        return entry(data / "quarantine", frame_id)
    except ValueError as error:
        raise Missing(str(error)) from error


def refeed(
    data: Path,
    asked: Sequence[Refused],
    *,
    by: str,
    mappings: Sequence[Mapping] = (),
    tell: Callable[[int], None] = lambda _frames: None,
) -> Fed:
    """Let ingest admit frames again, each at most once however often it is asked.

    Frames go in the order they came. Where a part of one had been admitted, only the rest goes.

    Raises
    ------
    Missing
        Ingest does not run.
    """
    known = refed(data)
    before = tuple(each.frame_id for each in asked if each.frame_id in known)
    fresh = [each for each in asked if each.frame_id not in known]
    without = {
        each.frame_id: _admitted_then(data, each, mappings)
        for each in fresh
        if each.reason.startswith(PART)
    }
    done: list[str] = []
    refused: list[str] = []
    waiting = [fresh[n : n + MOST] for n in range(0, len(fresh), MOST)]
    while waiting:
        group = waiting.pop(0)
        names = [each.frame_id for each in group]
        said: dict[str, Any] = {"frames": names, "by": by, "command": f"refeed-{uuid.uuid4()}"}
        said["without"] = {name: without[name] for name in names if without.get(name)}
        if len(str(said)) > MOST_BYTES and len(group) > 1:
            waiting[:0] = _halves(group)
            continue
        try:
            command(data, "refeed", said)
        except Rejected as error:
            if len(group) > 1:
                waiting[:0] = _halves(group)
                continue
            refused.append(str(error))
        else:
            done += names
        tell(len(group))
    return Fed(done=tuple(done), before=before, refused=tuple(refused))


def _halves(group: list[Refused]) -> list[list[Refused]]:
    """Return a group as two; entries of one frame stay together where they stand together."""
    at = len(group) // 2
    while at < len(group) - 1 and group[at].key == group[at - 1].key:
        at += 1
    return [group[:at], group[at:]]


def _admitted_then(data: Path, each: Refused, mappings: Sequence[Mapping]) -> list[str]:
    """Return the channels of a frame that were admitted when it came, by the registry of then."""
    registry = registry_at(data, each.frame.receive_ns)
    rows = Admission(registry, mappings=mappings).admit([each.frame])
    held = [rows.readings.channel, *(block.channel for _, block in rows.blocks)]
    return [registry.channels.id[n] for n in np.unique(np.concatenate(held)).tolist() if n >= 0]
