"""Frames in, Readings and Blocks out: who speaks, which channel, which unit, when, how good.

Nothing is judged here beyond what one message says of itself: duplicates and late rows are the
journal's readers' business (rules/judge.py). Beyond a range is suspect, never failed: the worst
leak is over the range. Only a device's own fault codes make a row unusable.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np
import structlog

from ingest.channels import ChannelTable
from ingest.codecs import Routing
from ingest.conversion import IDENTITY, convert
from ingest.frame import (
    STATUS_CALIBRATION,
    STATUS_FAULT,
    STATUS_GOOD,
    STATUS_WARMING,
    Decoded,
    Frame,
    Undecodable,
)
from ingest.message_times import NO_BLOCK_NS, MessageTimes, held
from ingest.quarantine import Quarantined
from ingest.waveforms import blocks_of
from rules.readings import (
    HEARD_ONLY,
    NO_SEQUENCE,
    QC_FAIL,
    QC_GOOD,
    QC_MISSING,
    QC_NOT_EVALUATED,
    QC_SUSPECT,
    Block,
    Readings,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from ingest.codecs.json_mapping import Mapping
    from rules.registry import Registry

log = structlog.get_logger("ingest.admission")

MAX_PAYLOAD_BYTES = 1 << 20
_SHOWN = 8  # names listed in a refusal's detail


@dataclass(frozen=True, slots=True)
class Admitted:
    """What a group of frames gave. ``blocks`` carry the row before which each stands."""

    readings: Readings
    blocks: tuple[tuple[int, Block], ...]
    quarantined: tuple[Quarantined, ...]
    counters: Counter[str] = field(default_factory=Counter)

    @classmethod
    def joined(cls, parts: Sequence[Admitted]) -> Admitted:
        """Return what several groups gave, one after another."""
        starts = np.cumsum([0, *(len(part.readings) for part in parts)]).tolist()
        return cls(
            Readings.concatenate(part.readings for part in parts),
            tuple(
                (start + row, block)
                for start, part in zip(starts, parts, strict=False)
                for row, block in part.blocks
            ),
            tuple(refused for part in parts for refused in part.quarantined),
            sum((part.counters for part in parts), Counter()),
        )

    def bodies(self) -> Iterator[Readings | Block]:
        """Yield journal bodies in order of receipt: a message's rows, then its waveforms."""
        done = 0
        for row, block in self.blocks:
            if row > done:
                yield self.readings.take(slice(done, row))
                done = row
            yield block
        if done < len(self.readings):
            yield self.readings.take(slice(done, None))


@dataclass(frozen=True, slots=True)
class _Message:
    frame: Frame
    device: int
    decoded: Decoded


class Admission:
    """Admits frames of one registry; ``mappings`` are other vendors' JSON."""

    def __init__(self, registry: Registry, *, mappings: Sequence[Mapping] = ()) -> None:
        self.table = ChannelTable(registry)
        self.routing = Routing(mappings)
        self._mappings = mappings

    def with_registry(self, registry: Registry) -> Admission:
        """Return admission by another registry and the same mappings."""
        return Admission(registry, mappings=self._mappings)

    def admit(self, frames: Sequence[Frame]) -> Admitted:
        """Return the rows of all frames, messages whole and in order, and what was refused.

        A mistake of ours costs the one frame that shows it: a frame that stopped the process would
        not be acknowledged, come again, and stop it again.
        """
        try:
            return self._admit(frames)
        except Exception as error:
            if len(frames) == 1:
                log.exception("admission failed", path=frames[0].path)
                refused = Quarantined("admission_failed", frames[0], repr(error))
                return Admitted(Readings.empty(), (), (refused,))
            return Admitted.joined([self.admit([frame]) for frame in frames])

    def _admit(self, frames: Sequence[Frame]) -> Admitted:
        refused: list[Quarantined] = []
        counters: Counter[str] = Counter()
        messages = [m for m in (self._open(f, refused) for f in frames) if m is not None]
        if not messages:
            return Admitted(Readings.empty(), (), tuple(refused), counters)
        rows = _Rows(self.table, messages)
        rows.refuse_unknown(refused)
        rows.convert(refused)
        readings = rows.readings(counters)
        ends = np.searchsorted(rows.message_of_rows, np.arange(len(messages)), side="right")
        blocks: list[tuple[int, Block]] = []
        for number, message in enumerate(messages):
            if message.decoded.blocks:
                shift_ns = int(rows.times.shift_ns[number])
                found = blocks_of(
                    self.table,
                    message.frame,
                    message.device,
                    message.decoded,
                    shift_ns=shift_ns,
                    restamp=bool(rows.times.restamped[number]),
                    refused=refused,
                )
                blocks += [(int(ends[number]), block) for block in found]
        counters["blocks"] = len(blocks)
        return Admitted(readings, tuple(blocks), tuple(refused), counters)

    def _open(self, frame: Frame, refused: list[Quarantined]) -> _Message | None:
        """Decode and identify; what is refused goes to ``refused``."""
        try:
            if len(frame.payload) > MAX_PAYLOAD_BYTES:
                detail = f"{len(frame.payload)} bytes, at most {MAX_PAYLOAD_BYTES}"
                raise Undecodable("too_long", detail)  # noqa: TRY301 - one way to refuse
            named, codec = self.routing.of(frame)
            decoded = codec(frame)
            device = self._identify(named, decoded)
        except Undecodable as error:
            refused.append(Quarantined(error.reason, frame, error.detail))
            return None
        except Exception as error:  # noqa: BLE001 - a decoder's own mistake costs one frame
            refused.append(Quarantined("decoder_failed", frame, repr(error)))
            return None
        for reason in dict.fromkeys(r.reason for r in decoded.rejects):
            parts = [r.part for r in decoded.rejects if r.reason == reason]
            refused.append(Quarantined(reason, frame, _listed(parts), whole=False))
        return _Message(frame, device, decoded)

    def _identify(self, named: str, decoded: Decoded) -> int:
        if named and decoded.device and named != decoded.device:
            raise Undecodable("device_mismatch", f"{decoded.device!r} on the path of {named!r}")
        identity = named or decoded.device
        device = self.table.device(identity)
        if device is None:
            raise Undecodable("unknown_device", f"{identity!r} is not in the registry")
        if decoded.simulation and not self.table.registry.simulation:
            raise Undecodable("simulation", "a simulated frame at a site that is not a simulation")
        return device


class _Rows:
    """The scalar rows of a group of messages, as columns; refused rows are taken out on the way."""

    def __init__(self, table: ChannelTable, messages: list[_Message]) -> None:
        self.table = table
        self.messages = messages
        parts = [m.decoded for m in messages]
        counts = np.array([len(p) for p in parts], np.int64)
        devices = np.array([m.device for m in messages], np.int32)
        self.message = np.repeat(np.arange(len(parts)), counts)
        self.port = np.concatenate([p.port for p in parts])
        self.event_ns = np.concatenate([p.event_ns for p in parts])
        self.raw = np.concatenate([p.value for p in parts])
        self.status = np.concatenate([p.status for p in parts])
        self.source = np.arange(len(self.raw)) - np.repeat(np.cumsum(counts) - counts, counts)
        self.channel = table.of_ports(devices[self.message], self.port)
        starts = np.cumsum(counts) - counts
        for part, device, start in zip(parts, devices, starts, strict=True):
            if part.key:
                found = table.of_keys(int(device), part.key)
                self.channel[start : start + len(found)] = found
        self.value = self.raw
        self.times = MessageTimes.empty()
        self.message_of_rows = self.message

    def refuse_unknown(self, refused: list[Quarantined]) -> None:
        """Take out rows of no known channel; one refusal a message lists their names."""
        unknown = self.channel == HEARD_ONLY
        if unknown.any():
            self._refuse(unknown, "unknown_channel", refused)

    def convert(self, refused: list[Quarantined]) -> None:
        """Bring values to canonical units: the registry's unit, or the one the payload states."""
        by = self.table.factors[self.channel]
        wrong = np.zeros(len(self.channel), np.bool_)
        states = np.array([any(m.decoded.unit or ()) for m in self.messages], np.bool_)
        for row in np.flatnonzero(states[self.message]):
            unit = self._stated_unit(int(row))
            if unit:
                found = self.table.stated_unit(int(self.channel[row]), unit)
                wrong[row] = found is None
                by[row] = found or IDENTITY
        self.value = convert(self.raw, by)
        if wrong.any():
            self._refuse(wrong, "unit", refused)

    def readings(self, counters: Counter[str]) -> Readings:
        """Return the rows in journal order: by message, within one by event time."""
        messages = len(self.messages)
        receive_ns = np.array([m.frame.receive_ns for m in self.messages], np.int64)
        self.times = MessageTimes.of(
            self.message,
            self.event_ns,
            receive_ns=receive_ns,
            unset=np.array([m.decoded.clock_unset for m in self.messages], np.bool_),
            block_end_ns=np.array([_newest_block_ns(m.decoded) for m in self.messages], np.int64),
        )
        counters.update(self.times.counters)
        event_ns, judged_ns = self.times.of_rows(self.message, self.event_ns)
        qc_flag, usable = self._quality(counters)
        silent = np.setdiff1d(np.arange(messages), self.message)
        counters["heard_only"] = len(silent)
        message = np.concatenate((self.message, silent))
        order = np.lexsort((np.concatenate((event_ns, receive_ns[silent])), message))
        message = message[order]
        self.message_of_rows = message
        first = np.searchsorted(message, np.arange(messages))
        nothing = len(silent)
        columns: dict[str, NDArray[Any]] = {
            "channel": np.concatenate((self.channel, np.full(nothing, HEARD_ONLY, np.int32))),
            "event_ns": np.concatenate((event_ns, receive_ns[silent])),
            "judged_ns": np.concatenate((judged_ns, receive_ns[silent])),
            "value": np.concatenate((self.value, np.full(nothing, np.nan))),
            "qc_flag": np.concatenate((qc_flag, np.full(nothing, QC_MISSING, np.uint8))),
            "usable": np.concatenate((usable, np.ones(nothing, np.bool_))),
        }
        identity = np.array([_identity(m) for m in self.messages], np.int64).reshape(-1, 2)
        counters["rows"] = len(message)
        return Readings.of(
            {name: column[order] for name, column in columns.items()}
            | {
                "device": np.array([m.device for m in self.messages], np.int32)[message],
                "receive_ns": receive_ns[message],
                "boot": identity[message, 0],
                "sequence": identity[message, 1],
                "index": np.arange(len(message)) - first[message],
            }
        )

    def _quality(self, counters: Counter[str]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Return qc flags and usable; the worse word stands."""
        table, channel = self.table, self.channel
        qc_flag = np.full(len(channel), QC_GOOD, np.uint8)
        qc_flag[self.status > STATUS_CALIBRATION] = QC_NOT_EVALUATED  # a status we do not know
        told = (self.status != STATUS_GOOD) & (self.status <= STATUS_CALIBRATION)
        qc_flag[told] = QC_SUSPECT
        beyond = (self.value > table.range_hi[channel]) | (self.value < table.range_lo[channel])
        qc_flag[beyond | np.isinf(self.value)] = QC_SUSPECT
        fault = (self.raw[:, None] == table.fault_codes[channel]).any(axis=1)
        qc_flag[fault] = QC_FAIL
        missing = np.isnan(self.value)
        qc_flag[missing] = QC_MISSING
        counters["out_of_range"] = int(np.count_nonzero(beyond & ~fault))
        counters["fault"] = int(np.count_nonzero(fault | (self.status == STATUS_FAULT)))
        counters["warming"] = int(np.count_nonzero(self.status == STATUS_WARMING))
        counters["missing"] = int(np.count_nonzero(missing))
        return qc_flag, ~(fault | (self.status == STATUS_FAULT))

    def _stated_unit(self, row: int) -> str:
        units = self.messages[self.message[row]].decoded.unit
        return units[self.source[row]] if units else ""

    def _refuse(self, wrong: NDArray[np.bool_], reason: str, refused: list[Quarantined]) -> None:
        for number in np.unique(self.message[wrong]):
            rows = np.flatnonzero(wrong & (self.message == number))
            message = self.messages[number]
            names = [self._name(message.decoded, int(row)) for row in rows[: 16 * _SHOWN]]
            detail = f"{len(rows)} rows: {_listed(list(dict.fromkeys(names)))}"
            refused.append(Quarantined(reason, message.frame, detail, whole=False))
        keep = ~wrong
        for name in ("message", "port", "event_ns", "raw", "value", "status", "source", "channel"):
            setattr(self, name, getattr(self, name)[keep])

    def _name(self, decoded: Decoded, row: int) -> str:
        if decoded.key is None:
            return f"port {self.port[row]}"
        unit = decoded.unit[self.source[row]] if decoded.unit else ""
        return f"key {decoded.key[self.source[row]]!r}" + (f" in {unit!r}" if unit else "")


def _newest_block_ns(decoded: Decoded) -> int:
    """Return the time of the newest waveform sample, or NO_BLOCK_NS."""
    ends = (held(b.start_ns + b.period_ns * (len(b.samples) - 1)) for b in decoded.blocks)
    return max(ends, default=NO_BLOCK_NS)


def _identity(message: _Message) -> tuple[int, int]:
    """Return (boot, sequence); without a sequence the payload's hash stands for them."""
    decoded = message.decoded
    if decoded.sequence >= 0:
        return decoded.boot, decoded.sequence
    if not decoded.timed:
        return 0, NO_SEQUENCE
    digest = blake2b(message.frame.payload, digest_size=8).digest()
    return max(1, int.from_bytes(digest, "little") >> 1), NO_SEQUENCE


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return "; ".join(names[:_SHOWN]) + more
