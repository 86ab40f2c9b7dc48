"""JSON of any vendor by a declarative mapping: where in topic and payload the columns stand.

One mapping, as it stands in YAML (mapping_file reads them)::

    id: lifeline
    topic: lifeline/v1/{device}/json
    rows: $.readings[*]                  # absent: the payload is the one row
    device: $.device                     # absent: the topic says it
    boot: $.boot
    sequence: $.seq
    simulation: $.simulation
    time: {path: "@.t", format: unix_ms} # or unix_s, unix_us, unix_ns, iso8601, "%Y%m%d%H%M%S"
    key: "@.key"                         # one reading a row …
    value: "@.v"
    status: "@.status"
    unit: "@.unit"
    fields: {ch4: "@.gas.vol"}           # … or several by fixed places
    members: "@.values"                  # … or every member of an object
    units: {ch4: "%{vol}"}               # where the payload does not say it
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Annotated, Any, Self

import numpy as np
import orjson
from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from ingest.codecs.json_paths import MISSING, JsonPath
from ingest.codecs.json_times import TimeFormat
from ingest.frame import Decoded, Reject, Undecodable
from rules.strict_models import Strict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import ArrayLike

MAX_ROWS = 100_000
_NUMBER = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*")
_DEVICE_PLACE = "{device}"


def _path(raw: object) -> object:
    return JsonPath(raw) if isinstance(raw, str) else raw


Path = Annotated[JsonPath, BeforeValidator(_path)]


class Time(Strict):
    """Where a row's time stands and how it is written; ``zone`` where the text has none."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    path: Path
    format: str = "unix_ms"
    zone: str = "UTC"

    def reader(self) -> TimeFormat:
        """Return the compiled format; ValueError names what is wrong with it."""
        return TimeFormat(self.format, zone=self.zone)


class Mapping(Strict):
    """One vendor's JSON. See the module's head for every key."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    id: str
    topic: str
    rows: Path | None = None
    device: Path | None = None
    boot: Path | None = None
    sequence: Path | None = None
    simulation: Path | None = None
    time: Time | None = None
    key: Path | None = None
    value: Path | None = None
    status: Path | None = None
    unit: Path | None = None
    fields: dict[str, Path] = Field(default_factory=dict)
    members: Path | None = None
    units: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.key is None) != (self.value is None):
            raise ValueError("`key` and `value` stand together")
        if not (self.key or self.fields or self.members):
            raise ValueError("nothing is read: give `key` and `value`, `fields` or `members`")
        if self.topic.count(_DEVICE_PLACE) != 1 and self.device is None:
            raise ValueError("`topic` needs {device} once, or `device` a path")
        if self.rows is not None and (self.rows.of_row or not self.rows.many):
            raise ValueError(f"`rows` is a list in the payload: $.name[*], not {self.rows.text}")
        if self.time is not None:
            self.time.reader()
        return self

    @property
    def subscription(self) -> str:
        """Return the MQTT filter that covers the topic."""
        return self.topic.replace(_DEVICE_PLACE, "+")

    def topic_pattern(self) -> re.Pattern[str]:
        """Return the pattern that finds ``device`` in a topic (``+`` and ``#`` as in MQTT)."""
        levels = [re.escape(level) for level in self.topic.split("/")]
        text = "/".join(levels).replace(re.escape(_DEVICE_PLACE), "(?P<device>[^/]+)")
        return re.compile(text.replace(r"\+", "[^/]+").replace(r"/\#", "(?:/.*)?"))


LIFELINE = Mapping.model_validate(
    {
        "id": "lifeline",
        "topic": "lifeline/v1/{device}/json",
        "rows": "$.readings[*]",
        "device": "$.device",
        "boot": "$.boot",
        "sequence": "$.seq",
        "simulation": "$.simulation",
        "time": {"path": "@.t", "format": "unix_ms"},
        "key": "@.key",
        "value": "@.v",
        "status": "@.status",
        "unit": "@.unit",
    }
)
"""Our own JSON, as ``encode`` writes it."""


class MappedJson:
    """A compiled mapping."""

    def __init__(self, mapping: Mapping) -> None:
        self.mapping = mapping
        self._time = mapping.time.reader() if mapping.time else None

    def decode(self, payload: bytes, *, receive_ns: int) -> Decoded:
        """Return the columns of one payload; rows are named by key.

        Raises
        ------
        Undecodable
            Not JSON, or the rows are not where the mapping says.
        """
        try:
            root = orjson.loads(payload)
        except orjson.JSONDecodeError as error:
            raise Undecodable("json", str(error)) from error
        table = _Table(self.mapping, self._time, root, receive_ns)
        for number, row in enumerate(self._rows(root)):
            table.add(number, row)
        return table.decoded()

    def _rows(self, root: Any) -> list[Any]:
        path = self.mapping.rows
        rows = [root] if path is None else path.find(root, None)
        if not isinstance(rows, list):
            where = path.text if path else "$"
            raise Undecodable("mapping", f"{where} of mapping {self.mapping.id} is no list")
        if len(rows) > MAX_ROWS:
            raise Undecodable("mapping", f"{len(rows)} rows, at most {MAX_ROWS}")
        return rows


class _Wrong(Exception):  # noqa: N818 - inside this file only; args are reason and detail
    """One row or value is refused."""


class _Table:
    """Collects the columns of one payload."""

    def __init__(
        self, mapping: Mapping, time: TimeFormat | None, root: Any, receive_ns: int
    ) -> None:
        self.mapping = mapping
        self.time = time
        self.root = root
        self.receive_ns = receive_ns
        self.timed = False
        self.keys: list[str] = []
        self.units: list[str] = []
        self.times: list[int] = []
        self.values: list[float] = []
        self.statuses: list[int] = []
        self.rejects: list[Reject] = []

    def add(self, number: int, row: Any) -> None:
        """Take one row: its named value, its fields and its members."""
        try:
            event_ns = self._event_ns(row)
            status = self._whole(self.mapping.status, row, 0, 255, 0)
        except _Wrong as wrong:
            self.rejects.append(Reject(wrong.args[0], f"row {number}: {wrong.args[1]}"))
            return
        for key, raw, unit in self._found(row):
            try:
                number_found = _number(raw)
                if not isinstance(key, str) or not key:
                    raise _Wrong("name", f"key {str(key)[:40]!r}")  # noqa: TRY301 - one reject path
            except _Wrong as wrong:
                part = f"row {number}, {str(key)[:40]}: {wrong.args[1]}"
                self.rejects.append(Reject(wrong.args[0], part))
                continue
            self.keys.append(key)
            self.units.append(unit)
            self.times.append(event_ns)
            self.values.append(number_found)
            self.statuses.append(status)

    def decoded(self) -> Decoded:
        """Return all rows taken, and the message's own fields."""
        mapping = self.mapping
        device = mapping.device.find(self.root, None) if mapping.device else MISSING
        if device is not MISSING and not isinstance(device, str):
            raise Undecodable("device_id", f"{str(device)[:60]!r} is not a text")
        try:
            boot = self._whole(mapping.boot, None, 0, 2**63 - 1, 0)
            sequence = self._whole(mapping.sequence, None, 0, 2**62, -1)
        except _Wrong as wrong:
            raise Undecodable(*wrong.args) from wrong
        simulation = mapping.simulation.find(self.root, None) if mapping.simulation else False
        return Decoded(
            device=device if isinstance(device, str) else "",
            boot=boot,
            sequence=sequence,
            simulation=simulation is True,
            timed=self.timed,
            port=np.full(len(self.keys), -1, np.int32),
            key=self.keys,
            event_ns=np.array(self.times, np.int64),
            value=np.array(self.values, np.float64),
            status=np.array(self.statuses, np.uint8),
            unit=self.units,
            rejects=tuple(self.rejects),
        )

    def _found(self, row: Any) -> Iterator[tuple[Any, Any, str]]:
        mapping, root = self.mapping, self.root
        if mapping.key and mapping.value:
            key = mapping.key.find(root, row)
            yield key, mapping.value.find(root, row), self._unit(key, row)
        for key, path in mapping.fields.items():
            raw = path.find(root, row)
            if raw is not MISSING:  # a message need not carry every field
                yield key, raw, self._unit(key, row)
        if mapping.members:
            inside = mapping.members.find(root, row)
            for key, raw in inside.items() if isinstance(inside, dict) else ():
                yield key, raw, self._unit(key, row)

    def _unit(self, key: Any, row: Any) -> str:
        stated = self.mapping.unit.find(self.root, row) if self.mapping.unit else MISSING
        if isinstance(stated, str):
            return stated
        return self.mapping.units.get(key, "") if isinstance(key, str) else ""

    def _event_ns(self, row: Any) -> int:
        if self.time is None or self.mapping.time is None:
            return self.receive_ns
        raw = self.mapping.time.path.find(self.root, row)
        if raw is MISSING or raw is None:
            return self.receive_ns
        try:
            event_ns = self.time.to_ns(raw)
        except ValueError as error:
            raise _Wrong("time", str(error)) from error
        self.timed = True
        return event_ns

    def _whole(self, path: JsonPath | None, row: Any, low: int, high: int, default: int) -> int:
        raw = path.find(self.root, row) if path else MISSING
        if raw is MISSING or raw is None:
            return default
        if type(raw) is not int or not low <= raw <= high:
            where = path.text if path else ""
            raise _Wrong("not_whole", f"{where} is {str(raw)[:40]!r}, wanted {low} to {high}")
        return raw


def _number(raw: Any) -> float:
    """Return a JSON number, a number written as text, or NaN for null (missing)."""
    if raw is None:
        return math.nan
    if isinstance(raw, (int, float)):  # true and false are states 1 and 0
        return float(raw)
    if isinstance(raw, str) and _NUMBER.fullmatch(raw):
        return float(raw)
    shown = "nothing" if raw is MISSING else f"{str(raw)[:40]!r}"
    raise _Wrong("not_a_number", f"{shown} is no number")


def encode(
    *,
    device: str,
    keys: Sequence[str],
    event_ns: Sequence[int],
    values: ArrayLike,
    boot: int = 0,
    sequence: int | None = None,
    statuses: Sequence[int] | None = None,
    simulation: bool = False,
) -> bytes:
    """Return one payload of mapping ``lifeline``; NaN becomes null, times are cut to ms.

    Raises
    ------
    ValueError
        Columns of different lengths, or an infinite value.
    """
    numbers = np.asarray(values, np.float64)
    n = len(keys)
    if not len(event_ns) == len(numbers) == n:
        raise ValueError(f"{n} keys, {len(event_ns)} times, {len(numbers)} values")
    if np.isinf(numbers).any():
        raise ValueError("JSON has no infinite number")
    marks = [0] * n if statuses is None else [int(s) for s in statuses]
    readings = [
        {"key": key, "t": int(at) // 1_000_000, "v": number} | ({"status": mark} if mark else {})
        for key, at, number, mark in zip(keys, event_ns, numbers.tolist(), marks, strict=True)
    ]
    message: dict[str, Any] = {"device": device}
    if sequence is not None:
        message |= {"boot": boot, "seq": sequence}
    if simulation:
        message["simulation"] = True
    return orjson.dumps(message | {"readings": readings})
