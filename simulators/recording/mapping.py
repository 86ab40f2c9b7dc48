"""A CSV of somebody's measurements by a small mapping file: columns become channels.

::

    version: 1
    name: valve1-0
    file: skab/valve1/0.csv        # beside this file, below $LIFELINE_DATASETS, or given by hand
    separator: ";"
    time: {column: datetime, format: "%Y-%m-%d %H:%M:%S", zone: UTC}
    every: 1s
    domain: water
    rules: rules                   # a folder beside this file
    columns:
      Temperature: {quantity: temperature, unit: Cel, range: [0, 120]}

Each line of the file becomes one compact frame of a gateway and takes the real way: codec,
admission, journal. It is received when it was measured, and Ticks are put between.
"""

from __future__ import annotations

import csv
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal
from zoneinfo import ZoneInfo

import yaml
from pydantic import AfterValidator, Field

from ingest.codecs import compact
from ingest.codecs.json_times import TimeFormat
from ingest.frame import Frame
from rules.problems import Invalid, Problem, nearest
from rules.quantities import quantity
from rules.registry_file import registry_of
from rules.strict_models import DurationNs, Strict, validated
from rules.vocabulary import DOMAINS
from rules.yaml_text import raise_errors, read_yaml
from simulators.recording.folder import refuse
from simulators.recording.steps import with_ticks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rules.registry import Registry
    from simulators.recording.steps import Step

DATASETS: Final = "LIFELINE_DATASETS"
MAX_PROBLEMS: Final = 20
MAX_COLUMNS: Final = 255  # blocks of one frame
MAX_BYTES: Final = 1 << 30


def _domain(name: str) -> str:
    if name not in DOMAINS:
        raise ValueError(f"unknown domain {name!r}{nearest(name, DOMAINS)}; {', '.join(DOMAINS)}")
    return name


def _quantity(name: str) -> str:
    return quantity(name).name


class TimeEntry(Strict):
    """Which column holds the time, and how it is written."""

    column: str
    format: str = "iso8601"  # or unix_s, unix_ms, unix_us, unix_ns, or a strptime pattern
    zone: str = "UTC"


class ColumnEntry(Strict):
    """A column that becomes a channel; range and resolution are in ``unit``."""

    quantity: Annotated[str, AfterValidator(_quantity)]
    unit: str = ""
    range: Annotated[list[float | int], Field(min_length=2, max_length=2)] | None = None
    resolution: Annotated[float | int, Field(ge=0)] = 0.0
    sensor: str = ""
    klass: Literal["safety", "maintenance", "info"] = Field("safety", alias="class")
    lel_basis: float | None = None
    fault_codes: list[float | int] = Field(default_factory=list)


class MappingEntry(Strict):
    """The whole mapping file."""

    version: Literal[1]
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,40}$")]
    title: str = ""
    title_zh: str = ""
    file: str
    separator: Annotated[str, Field(min_length=1, max_length=1)] = ","
    encoding: str = "utf-8-sig"
    time: TimeEntry
    every: DurationNs
    tick: DurationNs | None = None
    domain: Annotated[str, AfterValidator(_domain)] = "env"
    asset_type: str = "rig"
    at: list[float] | None = None
    missing: list[str] = Field(default_factory=lambda: ["", "NaN", "nan", "NULL", "null", "NA"])
    rules: str | None = None
    columns: Annotated[dict[str, ColumnEntry], Field(min_length=1, max_length=MAX_COLUMNS)]


@dataclass(frozen=True, slots=True)
class Mapped:
    """An opened mapping: its registry, its rules' folder, and the steps of its file."""

    entry: MappingEntry
    path: Path
    file: Path
    registry: Registry
    rules: Path | None

    @property
    def device(self) -> str:
        """The gateway that speaks for the file."""
        return self.registry.devices.id[0]

    @property
    def tick_ns(self) -> int:
        """How far apart the ticks are that are put between: half an interval, at least 1 s."""
        return self.entry.tick or max(self.entry.every // 2, 1_000_000_000)

    def steps(self, boot: int = 1) -> Iterator[Step]:
        """Yield the file's lines as frames with ticks between, in order of time.

        Messages of equal number are told apart by ``boot``: another file takes another one.
        """
        entry = self.entry
        lines = sorted(_read(entry, self.file), key=lambda line: line[0])
        return with_ticks(self._frames(lines, boot), self.tick_ns, max_group=1)

    def _frames(self, lines: list[tuple[int, list[float | None]]], boot: int) -> Iterator[Frame]:
        path = f"lifeline/v1/{self.device}/up"
        for sequence, (at_ns, values) in enumerate(lines):
            # a frame's times are whole milliseconds
            blocks = [
                compact.Series(port=port, offsets_ms=0, values=value)
                for port, value in enumerate(values, start=1)
                if value is not None
            ]
            payload = compact.encode(
                device=self.device,
                boot=boot,
                sequence=sequence,
                time_base_ms=at_ns // 1_000_000,
                simulation=True,
                blocks=blocks,
            )
            yield Frame(payload, "mqtt", path, at_ns)


def is_mapping(source: Path) -> bool:
    """Return whether a source is a mapping file, by its name."""
    return source.suffix in (".yaml", ".yml")


def open_mapping(source: Path, *, file: Path | None = None) -> Mapped:
    """Return the mapping of a YAML file; ``file`` replaces the CSV it names.

    Raises
    ------
    Invalid
        The mapping is wrong (all problems at once), or its CSV is not found.
    """
    try:
        text = source.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise refuse(source, f"cannot be read: {error}") from error
    document = read_yaml(source.name, text)
    raise_errors(document.problems)
    entry = validated(MappingEntry, document.value, document, (), noun="mapping")
    if entry is not None:
        try:
            TimeFormat(entry.time.format, zone=entry.time.zone)
        except ValueError as error:
            document.problem(("time",), str(error), noun="mapping")
    raise_errors(document.problems)
    if entry is None:
        raise Invalid(document.problems)
    rules = source.parent / entry.rules if entry.rules else None
    return Mapped(entry, source, _find(source, entry, file), _registry(entry), rules)


def _find(source: Path, entry: MappingEntry, given: Path | None) -> Path:
    places = [given] if given else [source.parent / entry.file, Path(entry.file)]
    if given is None and os.environ.get(DATASETS):
        places.insert(0, Path(os.environ[DATASETS]) / entry.file)
    for place in places:
        if place.is_file():
            return place
    looked = ", ".join(str(place) for place in places)
    raise refuse(source, f"the file it maps is not at {looked}; set {DATASETS} or name the file")


def _registry(entry: MappingEntry) -> Registry:
    """Return the registry a mapping means: one asset, one gateway, a channel a column."""
    gateway = f"000000-{entry.domain}-gw-000001"
    names = _sensor_names(entry.columns)
    sensors = []
    for port, (title, column) in enumerate(entry.columns.items(), start=1):
        channel: dict[str, object] = {
            "id": "value",
            "quantity": column.quantity,
            "port": port,
            "key": title,
            "resolution": float(column.resolution),
            "class": column.klass,
            "fault_codes": [float(code) for code in column.fault_codes],
        }
        if column.unit:
            channel["unit"] = column.unit
        if column.range is not None:
            channel["range"] = [float(limit) for limit in column.range]
        if column.lel_basis is not None:
            channel["lel_basis"] = column.lel_basis
        sensors.append({"id": names[title], "device": gateway, "channels": [channel]})
    seconds = f"{entry.every // 1_000_000}ms"
    asset: dict[str, object] = {
        "id": f"000000-{entry.domain}-rec-000001",
        "type": entry.asset_type,
        "name": entry.title or entry.name,
        "name_zh": entry.title_zh,
        "sensors": sensors,
    }
    if entry.at is not None:
        asset["at"] = entry.at
    document = {
        "version": 1,
        "simulation": True,
        "devices": [
            {
                "id": gateway,
                "kind": "gateway",
                "transport": "mqtt",
                "codec": "compact",
                "asset": asset["id"],
                "every": seconds,
            }
        ],
        "assets": [asset],
    }
    return registry_of({f"{entry.name}.yaml": yaml.dump(document, allow_unicode=True)})


def _sensor_names(columns: Mapping[str, ColumnEntry]) -> dict[str, str]:
    """Return a sensor id for each column: as given, or its title in id letters."""
    held: dict[str, str] = {}
    for number, (title, column) in enumerate(columns.items(), start=1):
        plain = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:24] or f"s-{number:02d}"
        name = column.sensor or plain
        held[title] = name if name not in held.values() else f"{name}-{number}"
    return held


def _read(entry: MappingEntry, file: Path) -> list[tuple[int, list[float | None]]]:
    """Return (time, values by column) of every line; None where a value is missing."""
    if file.stat().st_size > MAX_BYTES:
        raise refuse(file, f"is larger than {MAX_BYTES} bytes: split it")
    with file.open(encoding=entry.encoding, newline="") as text:
        reader = csv.reader(text, delimiter=entry.separator)
        header = [name.strip() for name in next(reader, [])]
        problems = _absent(entry, header, file)
        raise_errors(problems)
        lines = _Lines(entry, header, file.name)
        for row in reader:
            if row:
                lines.add(reader.line_num, row)
    raise_errors(lines.problems)
    if not lines.held:
        raise refuse(file, "has a header but no lines")
    return lines.held


def _absent(entry: MappingEntry, header: list[str], file: Path) -> list[Problem]:
    wanted = [entry.time.column, *entry.columns]
    return [
        Problem(file.name, 1, 1, "", f"no column {name!r}{nearest(name, header)}")
        for name in wanted
        if name not in header
    ]


class _Lines:
    """Parses lines, collecting problems up to a limit."""

    def __init__(self, entry: MappingEntry, header: list[str], name: str) -> None:
        self._entry = entry
        self._name = name
        self._time_at = header.index(entry.time.column)
        self._places = [header.index(column) for column in entry.columns]
        self._missing = set(entry.missing)
        self._format = entry.time.format
        self._zone = ZoneInfo(entry.time.zone)
        self._reader = TimeFormat(entry.time.format, zone=entry.time.zone)
        self.held: list[tuple[int, list[float | None]]] = []
        self.problems: list[Problem] = []

    def add(self, number: int, row: list[str]) -> None:
        """Take one line."""
        if len(self.problems) >= MAX_PROBLEMS:
            return
        try:
            at_ns = self._time_ns(row[self._time_at].strip())
            values = [self._value(row[place].strip()) for place in self._places]
        except (ValueError, IndexError) as error:
            said = "too few fields" if isinstance(error, IndexError) else str(error)
            self.problems.append(
                Problem(
                    self._name, number, 1, "", f"{said}; list texts that mean none under `missing`"
                )
            )
            return
        self.held.append((at_ns, values))

    def _time_ns(self, text: str) -> int:
        if "%" in self._format:  # the common case, 20 times faster than the general reader
            at = datetime.strptime(text, self._format)  # noqa: DTZ007 - the zone follows
            seen = at if at.tzinfo else at.replace(tzinfo=self._zone)
            since = seen.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
            whole_s = since.days * 86_400 + since.seconds
            return whole_s * 1_000_000_000 + since.microseconds * 1000
        return self._reader.to_ns(float(text) if self._format.startswith("unix") else text)

    def _value(self, text: str) -> float | None:
        return None if text in self._missing else float(text)
