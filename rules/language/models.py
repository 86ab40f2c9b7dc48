"""The rule file's schema. What is foreseen but not built is refused by name, never ignored."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, PlainValidator, model_validator

from rules.civil_time import zone_of
from rules.language.amounts import (
    Holds,
    Hysteresis,
    Keeps,
    Limits,
    Span,
    SpanValue,
    read_span,
)
from rules.language.labels import Labels, Sentences, Status
from rules.language.life import LifeKeys
from rules.language.messages import check_template
from rules.language.schedules import When
from rules.problems import nearest
from rules.quantities import quantity
from rules.registry_models import Tags
from rules.strict_models import Strict
from rules.vocabulary import DOMAINS

FlagWord = Literal["good", "not_evaluated", "suspect", "fail", "missing"]
FLAGS: Final = {"good": 1, "not_evaluated": 2, "suspect": 3, "fail": 4, "missing": 9}
COLOURS: Final = {"blue": 1, "yellow": 2, "orange": 3, "red": 4}

KEYS_ELSEWHERE: Final = {
    "suppress": "write it in the section inhibit: when: {rule: …}, mute: {rule: […]}",
    "late": "write a rule of kind: late",
}
"""What other places of the format do, though one might look for it as a key of a rule."""

_RULE_ID: Final = re.compile(r"[a-z][a-z0-9-]{0,47}")
_LEVEL: Final = re.compile(r"[a-z][a-z0-9_]{0,23}")
_DATE: Final = re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])")


def _rule_id(text: str) -> str:
    if not _RULE_ID.fullmatch(text):
        raise ValueError(f"{text[:64]!r} is no id: a-z, then a-z 0-9 and '-', such as ch4-level")
    return text


def _level_name(text: str) -> str:
    if not _LEVEL.fullmatch(text):
        raise ValueError(f"{text[:64]!r} is no name of a level: a-z, then a-z 0-9 and _")
    return text


def _date(text: str) -> str:
    if not _DATE.fullmatch(text):
        raise ValueError(f"{text[:64]!r} is not a date: write 2027-03-31")
    return text


def _zone(text: str) -> str:
    zone_of(text)  # raises ValueError with what to write
    return text


def _domain(text: str) -> str:
    if text not in DOMAINS:
        raise ValueError(f"unknown domain {text[:64]!r}{nearest(text, DOMAINS)}")
    return text


def _flags(value: object) -> tuple[int, ...]:
    if not isinstance(value, list) or not value:
        raise ValueError("must be a list of quality flags, such as [good, suspect]")
    for name in value:
        if not isinstance(name, str) or name not in FLAGS:
            raise ValueError(f"unknown flag {name!r}{nearest(name, FLAGS) or f': {list(FLAGS)}'}")
    return tuple(sorted({FLAGS[name] for name in value}))


def _words(read: Any) -> Any:
    """Return a reader of one word or a list of them, as a tuple."""

    def reader(value: object) -> tuple[str, ...]:
        words = value if isinstance(value, list) else [value]
        if not words:
            raise ValueError("is an empty list, which matches nothing: leave the key away for all")
        for word in words:
            if not isinstance(word, str):
                raise ValueError(f"{word!r} is no word: quote it")  # noqa: TRY004 - for pydantic
        return tuple(read(word) for word in words)

    return PlainValidator(reader, json_schema_input_type=str | list[str])


def _klass(text: str) -> str:
    known = ("safety", "maintenance", "info")
    if text not in known:
        raise ValueError(f"unknown class {text[:64]!r}{nearest(text, known)}: {', '.join(known)}")
    return text


def read_warmup(value: object) -> Span:
    """Read ``200`` (samples) as 200 intervals, ``1d`` as a duration, ``200x`` as intervals."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return Span(times=float(value))
    try:
        return read_span(value)
    except ValueError:
        raise ValueError(f"{value!r} must be samples (200) or a duration (1d)") from None


RuleId = Annotated[str, AfterValidator(_rule_id)]
LevelName = Annotated[str, AfterValidator(_level_name)]
Date = Annotated[str, AfterValidator(_date)]
Words = Annotated[tuple[str, ...], _words(str)]
Zone = Annotated[str, AfterValidator(_zone)]
Domains = Annotated[tuple[str, ...], _words(_domain)]
Quantities = Annotated[tuple[str, ...], _words(lambda text: quantity(text).name)]
Klasses = Annotated[tuple[str, ...], _words(_klass)]
Template = Annotated[str, AfterValidator(check_template)]
RuleClass = Literal["safety", "maintenance", "info"]
Source = Literal["clause", "vendor", "estimate"]
Warmup = Annotated[Span, PlainValidator(read_warmup, json_schema_input_type=int | str)]
"""Samples are its number of intervals."""
Accept = Annotated[tuple[int, ...], PlainValidator(_flags, json_schema_input_type=list[FlagWord])]


class LevelEntry(Strict):
    """The long form of a level."""

    name: LevelName
    severity: Annotated[int, Field(ge=1, le=4)]
    colour: Literal["blue", "yellow", "orange", "red"] | None = None  # default: the severity's


class ChannelSelect(Strict):
    """Which channels: all given keys must match; a list means any of them; ``{}`` means all.

    ``*`` in a word stands for any characters: ``sensor: "*/plp-*"``.
    """

    domain: Domains | None = None
    asset_type: Words | None = None
    quantity: Quantities | None = None
    klass: Klasses | None = Field(None, alias="class")
    zone: Words | None = None
    district: Words | None = None
    site: Words | None = None
    asset: Words | None = None
    sensor: Words | None = None  # asset/sensor
    channel: Words | None = None  # asset/sensor/channel
    device: Words | None = None
    tags: Tags | None = None


class DeviceSelect(Strict):
    """Which devices; asset keys are those of the asset a device is mounted on."""

    kind: Words | None = None
    transport: Words | None = None
    device: Words | None = None
    domain: Domains | None = None
    asset_type: Words | None = None
    zone: Words | None = None
    district: Words | None = None
    site: Words | None = None
    asset: Words | None = None


class ChannelMatch(ChannelSelect):
    """Whom an override concerns: at least one key."""

    @model_validator(mode="after")
    def _not_all(self) -> ChannelMatch:
        if not self.model_fields_set:
            raise ValueError("{} would override the rule for all: change the rule itself")
        return self


class DeviceMatch(DeviceSelect):
    """Whom an override of a deadman rule concerns: at least one key."""

    @model_validator(mode="after")
    def _not_all(self) -> DeviceMatch:
        if not self.model_fields_set:
            raise ValueError("{} would override the rule for all: change the rule itself")
        return self


class Override(Strict):
    """Other parameters for some channels: ``set: {above.red: 40}``, with its reason."""

    match: ChannelMatch
    set: Annotated[dict[str, Any], Field(min_length=1)]
    reason: Annotated[str, Field(min_length=1)]
    until: Date | None = None  # the last day it holds


class DeviceOverride(Strict):
    """The same for devices."""

    match: DeviceMatch
    set: Annotated[dict[str, Any], Field(min_length=1)]
    reason: Annotated[str, Field(min_length=1)]
    until: Date | None = None


class Body(LifeKeys):
    """What every kind has."""

    id: RuleId
    kind: str
    extends: str | None = None
    source: Source
    source_text: str = ""  # which clause, data sheet or reasoning
    approved_by: str = ""
    approved_on: Date | None = None
    status: Status = "trial"
    known_false_positives: Sentences = ()
    labels: Labels = Field(default_factory=dict)
    message: Template = ""
    message_zh: Template = ""
    runbook: str = ""
    escalation: str | None = None
    mode: Literal["live", "shadow"] = "live"
    shadow_of: str = ""
    select: Any
    overrides: list[Any] = Field(default_factory=list)


class ChannelBody(Body):
    """What every kind that judges channels has."""

    select: ChannelSelect
    klass: RuleClass = Field("safety", alias="class")
    fail_loud: bool = False
    accept: Accept | None = None
    max_gap: SpanValue | None = None
    hold: Holds | None = Field(None, alias="for")
    keep_firing_for: Keeps | None = None
    hysteresis: Hysteresis | None = None
    when: When | None = None
    overrides: list[Override] = Field(default_factory=list)


class LimitBody(ChannelBody):
    """What kinds with limits in a unit have."""

    unit: str = ""
    above: Limits | None = None
    below: Limits | None = None
    clear: Limits | None = None

    @model_validator(mode="after")
    def _sides(self) -> LimitBody:
        if self.above is None and self.below is None:
            raise ValueError("has no limits: write above: {red: …} or below: {red: …}")
        if self.clear is not None and self.hysteresis is not None:
            raise ValueError("has both hysteresis and clear: keep one")
        if self.clear is not None and self.above is not None and self.below is not None:
            raise ValueError("clear does not say which side: use hysteresis, or two rules")
        return self


class Defaults(LifeKeys):
    """What holds for every rule of the file unless the rule or its template says otherwise."""

    source: Source | None = None
    source_text: str | None = None
    status: Status | None = None
    labels: Labels | None = None
    approved_by: str | None = None
    approved_on: Date | None = None
    accept: Accept | None = None
    max_gap: SpanValue | None = None
    keep_firing_for: Keeps | None = None
    timezone: Zone | None = None
    runbook: str | None = None
    escalation: str | None = None


class RuleFile(Strict):
    """One file; entries are checked one by one, so all errors show."""

    version: Literal[1]
    levels: list[Any] | None = None
    defaults: dict[str, Any] = Field(default_factory=dict)
    templates: dict[str, dict[str, Any]] = Field(default_factory=dict)
    schedules: dict[str, Any] = Field(default_factory=dict)
    escalations: dict[str, Any] = Field(default_factory=dict)
    quality: list[Any] = Field(default_factory=list)
    rules: list[Any] = Field(default_factory=list)
    inhibit: list[Any] = Field(default_factory=list)
    maintenance: list[Any] = Field(default_factory=list)
    tests: list[Any] = Field(default_factory=list)  # of these rules: rules/testing
