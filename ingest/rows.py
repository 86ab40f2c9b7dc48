"""The scalar rows of a group of messages as columns: units, quality, times, journal order."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ingest.conversion import IDENTITY, Factors, convert
from ingest.frame import (
    STATUS_CALIBRATION,
    STATUS_FAULT,
    STATUS_GOOD,
    STATUS_WARMING,
    Decoded,
    Frame,
)
from ingest.message_times import NO_BLOCK_NS, MessageTimes, held
from ingest.quarantine import Quarantined
from rules.readings import (
    HEARD_ONLY,
    NO_SEQUENCE,
    QC_FAIL,
    QC_GOOD,
    QC_MISSING,
    QC_NOT_EVALUATED,
    QC_SUSPECT,
    Readings,
)

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ingest.channels import ChannelTable

_SHOWN = 8  # names listed in a refusal's detail


class Message(NamedTuple):
    """One frame that was opened; ``decoded`` is None where its rows were read in bulk."""

    frame: Frame
    device: int
    boot: int
    sequence: int
    decoded: Decoded | None = None

    @classmethod
    def of(cls, frame: Frame, device: int, decoded: Decoded) -> Message:
        """Return a message a codec has read by itself."""
        boot, sequence = decoded.boot, decoded.sequence
        if sequence < 0:
            boot, sequence = (hashed(frame.payload) if decoded.timed else 0), NO_SEQUENCE
        return cls(frame, device, boot, sequence, decoded)


@dataclass(frozen=True, slots=True)
class BulkRows:
    """Rows read in bulk, all of known channels, in units as registered.

    ``message[n]`` counts through the group's messages.
    """

    message: NDArray[np.int64]
    channel: NDArray[np.int32]
    event_ns: NDArray[np.int64]
    value: NDArray[np.float64]
    status: NDArray[np.uint8]


class Rows:
    """The scalar rows of a group of messages, as columns; refused rows are taken out on the way."""

    def __init__(self, table: ChannelTable, messages: list[Message], bulk: BulkRows) -> None:
        self.table = table
        self.messages = messages
        self.device = np.array([m.device for m in messages], np.int32)
        self.message = bulk.message
        self.channel = bulk.channel
        self.event_ns = bulk.event_ns
        self.raw = bulk.value
        self.status = bulk.status
        self.port = self.source = np.zeros(len(bulk.message), np.int64)
        self._opened = [n for n, m in enumerate(messages) if m.decoded is not None]
        self._add([m.decoded for m in messages if m.decoded is not None])
        self.value = self.raw
        self.times = MessageTimes.empty()
        self.message_of_rows = self.message

    def _add(self, parts: list[Decoded]) -> None:
        """Put the rows of messages that codecs read behind those that were read in bulk."""
        if not parts:
            return
        counts = np.array([len(p) for p in parts], np.int64)
        starts = np.cumsum(counts) - counts
        message = np.repeat(np.array(self._opened), counts)
        port = np.concatenate([p.port for p in parts])
        channel = self.table.of_ports(self.device[message], port)
        for number, part, start in zip(self._opened, parts, starts, strict=True):
            if part.key:
                found = self.table.of_keys(int(self.device[number]), part.key)
                channel[start : start + len(found)] = found
        columns = {
            "message": message,
            "channel": channel,
            "port": port,
            "source": np.arange(len(message)) - np.repeat(starts, counts),
            "event_ns": np.concatenate([p.event_ns for p in parts]),
            "raw": np.concatenate([p.value for p in parts]),
            "status": np.concatenate([p.status for p in parts]),
        }
        for name, column in columns.items():
            setattr(self, name, np.concatenate((getattr(self, name), column)))

    def refuse_unknown(self, refused: list[Quarantined]) -> None:
        """Take out rows of no known channel; one refusal a message lists their names."""
        unknown = self.channel == HEARD_ONLY
        if unknown.any():
            self._refuse(unknown, "unknown_channel", refused)

    def shed(self, step: int) -> NDArray[np.int64]:
        """Take out what is given up at this step of overload; return how much, by channel row."""
        given_up = self.table.shed_from[self.channel] <= step
        counts = np.bincount(self.channel[given_up], minlength=len(self.table.shed_from))
        self._keep(~given_up)
        return counts

    def convert(self, refused: list[Quarantined]) -> None:
        """Bring values to canonical units: the registry's unit, or the one the payload states."""
        by: dict[int, Factors] = {}
        wrong = np.zeros(len(self.channel), np.bool_)
        states = np.zeros(len(self.messages), np.bool_)
        for number in self._opened:
            states[number] = any(self._units(number))
        for row in np.flatnonzero(states[self.message]).tolist():
            unit = self._units(self.message[row])[self.source[row]]
            if unit:
                found = self.table.stated_unit(int(self.channel[row]), unit)
                wrong[row] = found is None
                by[row] = found or IDENTITY
        foreign = ~self.table.canonical[self.channel]
        foreign[list(by)] = True
        rows = np.flatnonzero(foreign)
        self.value = self.raw + 0.0  # as a conversion by 1 would: −0 becomes 0
        if len(rows):
            factors = self.table.factors[self.channel[rows]]
            factors[np.searchsorted(rows, list(by))] = np.array(list(by.values())).reshape(-1, 4)
            self.value[rows] = convert(self.raw[rows], factors)
        if wrong.any():
            self._refuse(wrong, "unit", refused)

    def readings(self, counters: Counter[str]) -> Readings:
        """Return the rows in journal order: by message, within one by event time."""
        messages = self.messages
        receive_ns = np.array([m.frame.receive_ns for m in messages], np.int64)
        self.times = self._times(receive_ns)
        counters.update(self.times.counters)
        event_ns, judged_ns = self.times.of_rows(self.message, self.event_ns)
        qc_flag, usable = self._quality(counters)
        silent = np.flatnonzero(np.bincount(self.message, minlength=len(messages)) == 0)
        counters["heard_only"] = nothing = len(silent)
        message = self.message
        columns: dict[str, NDArray[Any]] = {
            "channel": self.channel,
            "event_ns": event_ns,
            "judged_ns": judged_ns,
            "value": self.value,
            "qc_flag": qc_flag,
            "usable": usable,
        }
        if nothing:
            message = np.concatenate((message, silent))
            unheard = _heard_only(receive_ns[silent])
            columns = {k: np.concatenate((v, unheard[k])) for k, v in columns.items()}
        if not _in_order(message, columns["event_ns"]):
            order = np.lexsort((columns["event_ns"], message))
            message = message[order]
            columns = {name: column[order] for name, column in columns.items()}
        self.message_of_rows = message
        first = np.searchsorted(message, np.arange(len(messages)))
        counters["rows"] = len(message)
        return Readings.of(
            columns
            | {
                "device": self.device[message],
                "receive_ns": receive_ns[message],
                "boot": np.array([m.boot for m in messages], np.int64)[message],
                "sequence": np.array([m.sequence for m in messages], np.int64)[message],
                "index": np.arange(len(message)) - first[message],
            }
        )

    def _times(self, receive_ns: NDArray[np.int64]) -> MessageTimes:
        unset = np.zeros(len(self.messages), np.bool_)
        block_end_ns = np.full(len(self.messages), NO_BLOCK_NS)
        for number in self._opened:
            decoded = self.decoded(number)
            unset[number] = decoded.clock_unset
            block_end_ns[number] = _newest_block_ns(decoded)
        return MessageTimes.of(
            self.message,
            self.event_ns,
            receive_ns=receive_ns,
            unset=unset,
            block_end_ns=block_end_ns,
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

    def decoded(self, number: int) -> Decoded:
        """Return what a codec read; only of messages that were not read in bulk."""
        decoded = self.messages[number].decoded
        if decoded is None:
            raise ValueError(f"message {number} was read in bulk: nothing of it is refused")
        return decoded

    def _units(self, number: int) -> Sequence[str]:
        return self.decoded(number).unit or ()

    def _refuse(self, wrong: NDArray[np.bool_], reason: str, refused: list[Quarantined]) -> None:
        for number in np.unique(self.message[wrong]):
            rows = np.flatnonzero(wrong & (self.message == number))
            message = self.messages[number]
            decoded = self.decoded(int(number))
            names = [self._name(decoded, int(row)) for row in rows[: 16 * _SHOWN]]
            detail = f"{len(rows)} rows: {listed(list(dict.fromkeys(names)))}"
            refused.append(Quarantined(reason, message.frame, detail, whole=False))
        self._keep(~wrong)

    def _keep(self, keep: NDArray[np.bool_]) -> None:
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


def _heard_only(receive_ns: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """Return the columns of rows that only say that their device was heard then."""
    n = len(receive_ns)
    return {
        "channel": np.full(n, HEARD_ONLY, np.int32),
        "event_ns": receive_ns,
        "judged_ns": receive_ns,
        "value": np.full(n, np.nan),
        "qc_flag": np.full(n, QC_MISSING, np.uint8),
        "usable": np.ones(n, np.bool_),
    }


def _in_order(message: NDArray[np.int64], event_ns: NDArray[np.int64]) -> bool:
    """Say whether rows stand by message, and within one by event time."""
    step = message[1:] - message[:-1]
    later = event_ns[1:] >= event_ns[:-1]
    return bool(((step > 0) | ((step == 0) & later)).all())


def hashed(payload: bytes) -> int:
    """Return what stands for the boot of a message without a sequence: a hash of 63 bits."""
    digest = blake2b(payload, digest_size=8).digest()
    return max(1, int.from_bytes(digest, "little") >> 1)


def listed(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return "; ".join(names[:_SHOWN]) + more
