"""The nouns that travel through the journal: Readings, Block, Tick, Control.

A batch is columns; nothing between a codec and the event log is a Python object per reading.
The journal's order is the truth, so every row has a position ``g``: the offset of its record
shifted left by ``ROW_BITS`` plus the row within the record. Ticks and controls are row 0 of
their own record, so one increasing integer orders rows, ticks and controls alike.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

ROW_BITS = 24
MAX_ROWS = 1 << ROW_BITS
NO_SEQUENCE = -1
HEARD_ONLY = -1  # a row with this channel says only that its device was heard

QC_GOOD, QC_NOT_EVALUATED, QC_SUSPECT, QC_FAIL, QC_MISSING = 1, 2, 3, 4, 9  # QARTOD flags


def position(offset: int, row: int = 0) -> int:
    """Return g of a row of the record at ``offset``."""
    return (offset << ROW_BITS) | row


def offset_of(g: int) -> int:
    """Return the journal offset in a position."""
    return g >> ROW_BITS


def row_of(g: int) -> int:
    """Return the row within the record in a position."""
    return g & (MAX_ROWS - 1)


@dataclass(frozen=True, slots=True)
class Readings:
    """Scalar readings as columns, all of length n, in journal order.

    ``index`` counts the rows of one message after admission sorted them by event time, so it
    rises along the rows of a channel. All rows of a message stand in one record. ``sequence`` is
    the device's message counter within ``boot``; where the device sends none it is NO_SEQUENCE
    and ``boot`` holds a 63-bit hash of the payload, or 0 when the payload carries no time either
    (then equal bytes are two readings, not one sent twice).
    """

    channel: NDArray[np.int32]  # row of the registry's channel table, or HEARD_ONLY
    device: NDArray[np.int32]  # row of the registry's device table: who spoke
    event_ns: NDArray[np.int64]  # as the device stamped it, Unix ns
    judged_ns: NDArray[np.int64]  # event time after admission's whole-message shift
    receive_ns: NDArray[np.int64]  # the Clock at receipt; never decreases along the journal
    value: NDArray[np.float64]  # in the quantity's canonical unit; NaN = missing
    qc_flag: NDArray[np.uint8]  # QARTOD
    usable: NDArray[np.bool_]  # False only by the device's own fault code
    boot: NDArray[np.int64]
    sequence: NDArray[np.int64]
    index: NDArray[np.int32]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.channel)

    @classmethod
    def of(cls, columns: Mapping[str, Any]) -> Readings:
        """Build from array-likes by name, casting each to its column's type; defaults fill gaps.

        Needs at least ``channel``, ``judged_ns`` and ``value``.
        """
        n = len(columns["channel"])
        judged = np.asarray(columns["judged_ns"], np.int64)
        default: dict[str, Any] = {
            "device": np.zeros(n, np.int32),
            "event_ns": judged,
            "receive_ns": judged,
            "qc_flag": np.full(n, QC_GOOD, np.uint8),
            "usable": np.ones(n, np.bool_),
            "boot": np.zeros(n, np.int64),
            "sequence": np.full(n, NO_SEQUENCE, np.int64),
            "index": np.zeros(n, np.int32),
        }
        merged = default | dict(columns)
        return cls(**{k: np.ascontiguousarray(merged[k], dt) for k, dt in READINGS_DTYPES.items()})

    @classmethod
    def empty(cls) -> Readings:
        """Return no rows."""
        return cls(**{k: np.empty(0, dt) for k, dt in READINGS_DTYPES.items()})

    @classmethod
    def concatenate(cls, parts: Iterable[Readings]) -> Readings:
        """Return the rows of ``parts`` one after another."""
        held = list(parts)
        if not held:
            return cls.empty()
        if len(held) == 1:
            return held[0]
        return cls(**{k: np.concatenate([getattr(p, k) for p in held]) for k in READINGS_DTYPES})

    def take(self, rows: NDArray[Any] | slice) -> Readings:
        """Return the chosen rows (indices, mask or slice)."""
        return Readings(**{k: getattr(self, k)[rows] for k in READINGS_DTYPES})


READINGS_DTYPES: dict[str, Any] = {
    "channel": np.int32,
    "device": np.int32,
    "event_ns": np.int64,
    "judged_ns": np.int64,
    "receive_ns": np.int64,
    "value": np.float64,
    "qc_flag": np.uint8,
    "usable": np.bool_,
    "boot": np.int64,
    "sequence": np.int64,
    "index": np.int32,
}
assert tuple(READINGS_DTYPES) == tuple(f.name for f in fields(Readings))  # noqa: S101 - seam


@dataclass(frozen=True, slots=True)
class Block:
    """A waveform: ``samples[rows, n]`` of channels of one device, from ``t0_ns`` at ``rate_hz``."""

    channel: NDArray[np.int32]  # one per row of samples
    device: int
    event_ns: int  # t0 as stamped
    judged_ns: int  # t0 after admission's shift
    receive_ns: int
    rate_hz: float
    samples: NDArray[np.float32]
    boot: int = 0
    sequence: int = NO_SEQUENCE


@dataclass(frozen=True, slots=True)
class Tick:
    """The Clock said this; receive times and ticks never decrease along the journal."""

    tick_ns: int


@dataclass(frozen=True, slots=True)
class Control:
    """A change the engine must see in order: registry and rules, or an operator's command.

    ``type`` is one of ``site`` (data: ``registry``, ``rules``, two hashes), ``reset`` (data:
    ``rule``, ``channel``, ``by``, ``reason``, ``command``), ``ack`` (data: ``alarm``, ``by``,
    ``command``), ``window`` (data: ``window``, ``match``, ``subject``, ``from_ns``, ``to_ns``,
    ``by``, ``reason``, ``command``; or ``window``, ``end``). Older journals have ``registry`` and
    ``rules`` (data: ``hash``) instead of ``site``: ``texts_named`` reads all three. The engine
    passes over ``field`` (what people note on site), over ``correction`` (data: ``hash``, ``kind``,
    ``by``, ``reason``, ``command``), which names corrected readings, over ``refeed`` (data:
    ``frame``, ``by``, ``command``): a refused frame was admitted after all; its rows follow.
    ``warning`` (data: a ``bulletins.Bulletin``, ``via``, ``command``) is what an issuer of official
    warnings said; schedules of rules ask for it.
    """

    type: str
    data: dict[str, Any]


def texts_named(control: Control) -> dict[str, str]:
    """Return the hashes of the texts that hold from a record on, by kind; {} for commands.

    ``registry`` and ``rules`` change together in one ``site`` record, so that new rules never
    meet an old registry, nor old rules a new one.
    """
    if control.type == "site":
        return {kind: str(control.data.get(kind, "")) for kind in ("registry", "rules")}
    if control.type in {"registry", "rules"}:
        return {control.type: str(control.data.get("hash", ""))}
    return {}


Body = Readings | Block | Tick | Control


@dataclass(frozen=True, slots=True)
class Record:
    """One journal entry: its offset (0, 1, 2, …) and what it holds."""

    offset: int
    body: Body
