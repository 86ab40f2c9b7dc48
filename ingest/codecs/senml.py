"""SenML in JSON (RFC 8428): base fields resolved, one row a record; both ways.

A record's full name is ``<device>:<key>``, the device being what stands between the last two
colons (``urn:dev:ow:10e2073a0108006:voltage``), or only ``<key>`` where the path says the device.
Two labels of ours, which other receivers ignore as the RFC asks: ``st`` in a record is the status
of the compact frame, ``sim`` (true) in the first record marks a simulated message.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from ingest.frame import MAX_EVENT_MS, Decoded, Reject, Undecodable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

VERSION = 10
ABSOLUTE_S = 2**28
"""From here on Unix seconds; smaller times are relative to the receipt (RFC 8428, 4.5.3)."""
MAX_RECORDS = 100_000
_KNOWN = frozenset(
    ("bver", "bn", "bt", "bu", "bv", "bs", "n", "u", "v", "vs", "vb", "vd", "s", "t", "ut")
)


def decode(payload: bytes, *, receive_ns: int) -> Decoded:
    """Return the columns of one pack; rows are named by key.

    Raises
    ------
    Undecodable
        Not a JSON array of objects, an unknown version, or a label that ends in ``_`` and is not
        known (which says "do not read this pack unless you know me").
    """
    pack = _Pack(receive_ns)
    for number, record in enumerate(_records(payload)):
        pack.add(number, record)
    return pack.decoded()


def _records(payload: bytes) -> list[dict[str, Any]]:
    try:
        records = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise Undecodable("json", str(error)) from error
    if not isinstance(records, list) or not all(isinstance(r, dict) for r in records):
        raise Undecodable("senml", "a pack is an array of objects")
    if not 0 < len(records) <= MAX_RECORDS:
        raise Undecodable("senml", f"{len(records)} records, wanted 1 to {MAX_RECORDS}")
    for record in records:
        unknown = [k for k in record.keys() - _KNOWN if k.endswith("_")]
        if unknown:
            raise Undecodable("must_understand", f"label {min(unknown)!r}")
        version = record.get("bver", VERSION)
        if not isinstance(version, int) or isinstance(version, bool) or version > VERSION:
            raise Undecodable("version", f"bver {version!r}, this receiver knows {VERSION}")
    return records


class _Pack:
    """Carries the base fields from record to record and collects the columns."""

    def __init__(self, receive_ns: int) -> None:
        self.receive_ns = receive_ns
        self.name = ""
        self.unit = ""
        self.time = 0.0
        self.value: float | None = None
        self.device = ""
        self.timed = False
        self.simulation = False
        self.keys: list[str] = []
        self.units: list[str] = []
        self.times: list[int] = []
        self.values: list[float] = []
        self.statuses: list[int] = []
        self.rejects: list[Reject] = []

    def add(self, number: int, record: dict[str, Any]) -> None:
        """Take one record; what is wrong with it alone is a reject, not a refusal of the pack."""
        try:
            self._bases(record)
            if record.get("sim") is True:
                self.simulation = True
            value = self._value(record)
            if value is None:
                return
            device, key = self._named(record)
            event_ns = self._time_ns(record)
            unit = _text(record, "u") or self.unit
            status = _status(record)
        except _Wrong as wrong:
            self.rejects.append(Reject(wrong.args[0], f"record {number}: {wrong.args[1]}"))
            return
        if device and self.device and device != self.device:
            part = f"record {number}: {device} among records of {self.device}"
            self.rejects.append(Reject("device_mismatch", part))
            return
        self.device = self.device or device
        self.keys.append(key)
        self.units.append(unit)
        self.times.append(event_ns)
        self.values.append(value)
        self.statuses.append(status)

    def decoded(self) -> Decoded:
        """Return all rows taken."""
        return Decoded(
            device=self.device,
            simulation=self.simulation,
            timed=self.timed,
            port=np.full(len(self.keys), -1, np.int32),
            key=self.keys,
            event_ns=np.array(self.times, np.int64),
            value=np.array(self.values, np.float64),
            status=np.array(self.statuses, np.uint8),
            unit=self.units,
            rejects=tuple(self.rejects),
        )

    def _bases(self, record: dict[str, Any]) -> None:
        self.name = _text(record, "bn") if "bn" in record else self.name
        self.unit = _text(record, "bu") if "bu" in record else self.unit
        self.time = _number(record, "bt") if "bt" in record else self.time
        self.value = _number(record, "bv") if "bv" in record else self.value
        if "bs" in record:
            _number(record, "bs")

    def _value(self, record: dict[str, Any]) -> float | None:
        """Return the resolved value, or None for a record that only sets base fields."""
        if "v" in record:
            return (self.value or 0.0) + _number(record, "v")
        if "vb" in record:
            if not isinstance(record["vb"], bool):
                raise _Wrong("not_a_number", f"vb {record['vb']!r}")
            return float(record["vb"])
        for label in ("vs", "vd", "s"):
            if label in record:
                raise _Wrong("not_a_number", f"{label} of {record.get('n', '')!r}")
        if "n" in record and self.value is None:
            raise _Wrong("no_value", f"{record['n']!r} has no value")
        return self.value if "n" in record else None

    def _named(self, record: dict[str, Any]) -> tuple[str, str]:
        full = self.name + _text(record, "n")
        prefix, _, key = full.rpartition(":")
        if not key:
            raise _Wrong("name", f"{full!r} names no channel")
        return prefix.rpartition(":")[2], key

    def _time_ns(self, record: dict[str, Any]) -> int:
        seconds = self.time + _number(record, "t")
        absolute = seconds >= ABSOLUTE_S
        self.timed = self.timed or absolute
        # a double of today's seconds resolves 0.24 µs: whole microseconds are what was meant
        limit = MAX_EVENT_MS / 1000
        micros = round(max(-limit, min(limit, seconds)) * 1e6)
        return micros * 1000 + (0 if absolute else self.receive_ns)


class _Wrong(Exception):  # noqa: N818 - inside this file only; args are reason and detail
    """One record is refused."""


def _number(record: dict[str, Any], label: str) -> float:
    raw = record.get(label, 0)
    if type(raw) is not int and type(raw) is not float:
        raise _Wrong("not_a_number", f"{label} {str(raw)[:40]!r}")
    number = float(raw)
    if not math.isfinite(number):
        raise _Wrong("not_a_number", f"{label} {raw}")
    return number


def _text(record: dict[str, Any], label: str) -> str:
    raw = record.get(label, "")
    if not isinstance(raw, str):
        raise _Wrong("not_text", f"{label} {str(raw)[:40]!r}")
    return raw


def _status(record: dict[str, Any]) -> int:
    raw = record.get("st", 0)
    if type(raw) is not int or not 0 <= raw <= 255:
        raise _Wrong("status", f"st {str(raw)[:40]!r}")
    return raw


def encode(
    *,
    device: str,
    keys: Sequence[str],
    event_ns: Sequence[int],
    values: ArrayLike,
    units: Sequence[str] | None = None,
    statuses: Sequence[int] | None = None,
    simulation: bool = False,
) -> bytes:
    """Return one pack of n records; times to the microsecond.

    Raises
    ------
    ValueError
        Columns of different lengths, no rows, or a value that JSON has no number for.
    """
    numbers = np.asarray(values, np.float64)
    n = len(keys)
    if not n or not len(event_ns) == len(numbers) == n:
        raise ValueError(f"{n} keys, {len(event_ns)} times, {len(numbers)} values")
    if not np.isfinite(numbers).all():
        raise ValueError(
            f"SenML has no number for {numbers[~np.isfinite(numbers)][0]}: leave it out"
        )
    records: list[dict[str, Any]] = [
        {"n": key, "t": int(at) // 1000 / 1e6, "v": number}
        for key, at, number in zip(keys, event_ns, numbers.tolist(), strict=True)
    ]
    for record, unit in zip(records, units or (), strict=False):
        record["u"] = unit
    for record, status in zip(records, statuses or (), strict=False):
        record.update({"st": int(status)} if status else {})
    mark = {"sim": True} if simulation else {}
    records[0] = {"bn": f"{device}:"} | mark | records[0]
    return orjson.dumps(records)
