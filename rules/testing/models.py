"""The schema of rule tests. Times are durations since ``start``, in virtual wall time."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, model_validator

from rules.alarms import Word
from rules.bulletins import HAZARDS
from rules.civil_time import read_moment
from rules.durations import parse_duration
from rules.language.models import FLAGS, LevelName, RuleId
from rules.language.schedules import COLOURS
from rules.problems import listed, nearest
from rules.registry_models import Attribute, KnownQuantity, LelBasis, PartId, Tags
from rules.registry_models import Word as Name
from rules.strict_models import DurationNs, Strict
from rules.testing.values import Samples, read_values
from rules.vocabulary import DOMAINS

ACTIONS: Final = ("ack", "reset", "shelve", "unshelve")
ACTIONS_NOT_YET: Final = ("comment", "assign", "classify", "suppress")
WORDS: Final = tuple(str(w) for w in Word)
WORDS_NOT_YET: Final = ()
INVARIANTS: Final = ("duplicate_any", "restart_anywhere", "batch_1_7_1000")
DEFAULT_START: Final = "2026-01-01T00:00:00Z"
_TYPED: Final = re.compile(r"\d{6}-[a-z][a-z0-9]{1,11}-[a-z0-9]{1,12}-\d{3,12}")


def _shift(value: object) -> int:
    text = str(value)[:64]
    sign = -1 if text.startswith("-") else 1
    return sign * parse_duration(text.removeprefix("+").removeprefix("-"))


def _listed(value: object) -> object:
    return value if isinstance(value, list) else [value]


def _samples(value: object) -> Samples:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError("must be a text in promtool's notation, such as 5x3 22x5")  # noqa: TRY004
    return read_values(str(value))


def _one_of(known: tuple[str, ...], not_yet: tuple[str, ...]) -> Any:
    def read(text: str) -> str:
        if text in not_yet:
            raise ValueError(f"not supported yet: {text}")
        if text not in known:
            raise ValueError(f"unknown {text[:40]!r}{nearest(text, known)}: {listed(known)}")
        return text

    return AfterValidator(read)


def _asset(text: str) -> str:
    if not _TYPED.fullmatch(text) and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,47}", text):
        raise ValueError(f"{text[:64]!r} is neither a name nor an id such as 410100-gas-mh-000123")
    return text


def _domain(text: str) -> str:
    if text not in DOMAINS:
        raise ValueError(f"unknown domain {text[:64]!r}{nearest(text, DOMAINS)}: {listed(DOMAINS)}")
    return text


Start = Annotated[int, PlainValidator(read_moment)]
ShiftNs = Annotated[int, BeforeValidator(_shift)]
Invariant = Annotated[str, _one_of(INVARIANTS, ())]
Flag = Annotated[str, _one_of(tuple(FLAGS), ())]
Label = Annotated[str, AfterValidator(_asset)]
Domain = Annotated[str, AfterValidator(_domain)]
Pair = Annotated[list[float], Field(min_length=2, max_length=2)]


class Span(Strict):
    """From when to when, of the time samples were measured; both ends belong to it."""

    from_: DurationNs = Field(0, alias="from")
    to: DurationNs | None = None

    def holds(self, at_ns: Any) -> Any:
        """Return which of the times (ns since the start) lie in it."""
        return (at_ns >= self.from_) & (at_ns <= (2**62 if self.to is None else self.to))


class Arrival(Span):
    """Samples that come later than they were measured: ``by`` so long, or all ``at`` one time."""

    by: ShiftNs | None = None
    at: DurationNs | None = None

    @model_validator(mode="after")
    def _one(self) -> Arrival:
        if (self.by is None) == (self.at is None):
            raise ValueError("needs either by: +90s or at: 20m")
        if self.by is not None and self.by < 0:
            raise ValueError("by: a sample cannot come before it was measured (see stamp)")
        return self


class Stamp(Span):
    """Samples of a device with a wrong clock: its stamp is ``by`` so much ahead, ``-`` behind."""

    by: ShiftNs


class Repeat(Span):
    """Samples that come a second time, ``by`` so much after the first."""

    by: ShiftNs

    @model_validator(mode="after")
    def _after(self) -> Repeat:
        if self.by < 0:
            raise ValueError("by: a repeat comes after the first, not before")
        return self


class Quality(Span):
    """Samples the device itself marks: ``flag: suspect``."""

    flag: Flag


def _many(model: Any) -> Any:
    return Annotated[list[model], Field(max_length=200), BeforeValidator(_listed)]


class Input(Strict):
    """One series of a sensor; a sensor may have several."""

    sensor: str
    values: Annotated[Samples, PlainValidator(_samples)]
    interval: DurationNs | None = None  # default: the test's, else the sensor's own
    start: DurationNs = 0  # of its first sample
    arrive: _many(Arrival) = Field(default_factory=list)  # type: ignore[valid-type]
    stamp: _many(Stamp) = Field(default_factory=list)  # type: ignore[valid-type]
    repeat: _many(Repeat) = Field(default_factory=list)  # type: ignore[valid-type]
    fault_code: _many(Span) = Field(default_factory=list)  # type: ignore[valid-type]
    quality: _many(Quality) = Field(default_factory=list)  # type: ignore[valid-type]
    block: DurationNs | None = None  # a waveform, sent in blocks so long

    @model_validator(mode="after")
    def _whole(self) -> Input:
        if self.interval == 0:
            raise ValueError("interval: must be longer than 0s")
        for key in ("stamp", "repeat", "fault_code", "quality"):
            if self.block is not None and getattr(self, key):
                raise ValueError(f"{key} does not go with block: blocks carry no such mark")
        return self


class Action(Strict):
    """What an operator does."""

    at: DurationNs
    do: Annotated[str, _one_of(ACTIONS, ACTIONS_NOT_YET)]
    rule: RuleId
    sensor: str | None = None
    asset: str | None = None
    device: str | None = None
    side: Literal["high", "low"] | None = None
    by: str = "operator"
    comment: str = ""
    for_: DurationNs | None = Field(None, alias="for")  # of a shelf
    reason: str = ""

    @model_validator(mode="after")
    def _of_its_kind(self) -> Action:
        shelves = self.do == "shelve"
        if shelves and not self.for_:
            raise ValueError('key "for" is missing: an alarm is shelved for so long, such as 2h')
        if shelves and not self.reason.strip():
            raise ValueError('key "reason" is missing: an alarm is shelved for a reason')
        if not shelves and (self.for_ is not None or self.reason):
            raise ValueError(f"for and reason are of do: shelve, not of {self.do}")
        return self


class Said(Strict):
    """What an issuer of official warnings says: a warning, one instead of another, or its end."""

    at: DurationNs  # when it comes, and when it was sent
    id: Name | None = None  # for cancels and replaces; default w and its number, from 1
    hazard: Annotated[str, _one_of(tuple(HAZARDS), ())] = "rainstorm"
    level: Annotated[str, _one_of(COLOURS, ())] | None = None
    onset: DurationNs | None = None  # default: at once
    lasts: DurationNs = 24 * 3_600_000_000_000  # from its onset
    areas: Annotated[list[str], Field(max_length=48)] = Field(default_factory=list)
    replaces: Name | None = None
    cancels: Name | None = None

    @model_validator(mode="after")
    def _whole(self) -> Said:
        if self.cancels is not None:
            others = self.model_fields_set - {"at", "id", "cancels"}
            if others:
                raise ValueError(f"cancels ends a warning, so {min(others)} says nothing: keep one")
        elif self.level is None:
            raise ValueError('key "level" is missing: blue, yellow, orange or red')
        if self.lasts == 0:
            raise ValueError("lasts: must be longer than 0s")
        return self


class Near(Strict):
    """A number, and how far from it is still right."""

    is_: float = Field(alias="is")
    within: Annotated[float, Field(ge=0)]


def _number(value: object) -> object:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return Near.model_validate({"is": float(value), "within": abs(value) * 1e-9})
    return value


Number = Annotated[Near, BeforeValidator(_number)]


class Expectation(Strict):
    """What must be so after everything of the time ``at``."""

    at: DurationNs
    rule: RuleId | None = None
    sensor: str | None = None
    asset: str | None = None
    device: str | None = None
    zone: str | None = None
    side: Literal["high", "low"] | None = None
    late: bool = False  # the alarm of late findings
    isa: Annotated[str, _one_of(WORDS, WORDS_NOT_YET)] | None = None
    level: LevelName | None = None
    since: DurationNs | None = None  # measured time of the sample that raised it
    onset: DurationNs | None = None  # measured time its first breach began
    members: Annotated[list[str], Field(max_length=48)] | None = None  # sensors that voted
    inputs: Annotated[list[str], Field(max_length=48)] | None = (
        None  # names of the conditions that held
    )
    value: Number | None = None  # of the newest event, in the sensor's unit
    score: Number | None = None  # the same, in the unit the rule compares in
    confirmed: bool | None = None
    over_range: bool | None = None
    warning: Annotated[str, _one_of((*HAZARDS, "none"), ())] | None = (
        None  # hazard of the official warning its limits held for
    )
    none: Literal[True] | None = None  # it has never fired until then

    @model_validator(mode="after")
    def _whole(self) -> Expectation:
        facts = (
            *("isa", "level", "since", "onset", "members", "inputs", "value", "score"),
            *("confirmed", "over_range", "warning"),
        )
        given = [key for key in facts if getattr(self, key) is not None]
        if self.none and given:
            raise ValueError(f"none: true says it never fired, so {given[0]} cannot be: keep one")
        if not self.none and not given:
            raise ValueError("expects nothing: write isa: UNACK, level: yellow, or none: true")
        if not self.none and self.rule is None:
            raise ValueError('key "rule" is missing')
        if sum(x is not None for x in (self.sensor, self.asset, self.device, self.zone)) > 1:
            raise ValueError("is about one of sensor, asset, device, zone: keep one")
        return self


class SensorEntry(Strict):
    """One channel of an invented registry, with the asset and the device it needs."""

    sensor: PartId
    quantity: KnownQuantity
    channel: PartId = "value"
    unit: str = ""  # default: the quantity's canonical unit
    asset: Label | None = None  # default: one of the sensor's own
    asset_type: Name = "place"
    domain: Domain = "gas"
    device: Label | None = None  # default: one of the asset's own
    device_kind: Literal["gateway", "module"] = "gateway"
    xy: Pair | None = None  # metres east and north of one place
    zone: str = ""
    district: str = ""
    every: DurationNs = 60_000_000_000
    range: Pair | None = None
    resolution: Annotated[float, Field(ge=0)] = 0.0
    klass: Literal["safety", "maintenance", "info"] = Field("safety", alias="class")
    fault_codes: Annotated[list[float], Field(max_length=64)] = Field(default_factory=list)
    lel_basis: LelBasis | None = None
    tags: Tags = Field(default_factory=dict)
    attributes: dict[Name, Attribute] = Field(default_factory=dict)  # of the asset
    derived: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _same(self) -> SensorEntry:
        if self.every == 0:
            raise ValueError("every: must be longer than 0s")
        for label in (self.asset, self.device):
            typed = _TYPED.fullmatch(label) if label else None
            if typed and label == self.asset and typed[1] != self.domain:
                raise ValueError(f"domain: {label} is of {typed[1]}: write domain: {typed[1]}")
        return self


Sensors = Annotated[list[Any], Field(max_length=2_000)]  # more: a registry_folder


class TestEntry(Strict):
    """One test: what comes in, what is done, what must come of it."""

    __test__ = False  # no test of our own suite

    name: Annotated[str, Field(min_length=1, max_length=200)]
    start: Start | None = None
    registry: Sensors | None = None  # default: the file's
    interval: DurationNs | None = None
    lasts: DurationNs | None = None  # default: until the last sample or expectation
    input: Sensors = Field(default_factory=list)
    actions: Annotated[list[Any], Field(max_length=1_000)] = Field(default_factory=list)
    warnings: Annotated[list[Any], Field(max_length=200)] = Field(default_factory=list)
    expect: Annotated[list[Any], Field(max_length=5_000)] = Field(default_factory=list)
    events: str | None = None
    invariants: Annotated[list[Invariant], Field(max_length=3)] = Field(default_factory=list)


class TestFile(Strict):
    """A file ``*.test.yaml``; entries are checked one by one, so all errors show."""

    __test__ = False

    version: Literal[1] = 1
    rule_files: Annotated[list[str], Field(min_length=1, max_length=200)]
    start: Start | None = None
    registry: Sensors = Field(default_factory=list)
    registry_folder: str | None = None
    tests: Annotated[list[Any], Field(min_length=1)]
