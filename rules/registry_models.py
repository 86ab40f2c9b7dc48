"""The registry file's schema: sites, devices, assets with their sensors and channels."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from rules.civil_time import day_number
from rules.problems import nearest
from rules.quantities import quantity
from rules.strict_models import DurationNs, Strict
from rules.vocabulary import DOMAINS
from rules.waveforms.features import FEATURES
from rules.waveforms.spectra import PEAK_FREQUENCY

FEATURE_NAMES: Final = (*FEATURES, PEAK_FREQUENCY)
MIN_EVERY_NS: Final = 100_000_000  # of a feature's buckets
MAX_ID: Final = 48  # of assets and devices: what a compact frame has room for
_AREA: Final = r"[0-9]{6}"
_TYPED: Final = re.compile(rf"{_AREA}-([a-z][a-z0-9]{{1,11}})-[a-z0-9]{{1,12}}-[0-9]{{3,12}}")
_SITE: Final = re.compile(rf"{_AREA}-st-[0-9]{{3,12}}")
_PART: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
_TAG: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,31}")


def _typed_id(text: str) -> str:
    found = _TYPED.fullmatch(text)
    if len(text) > MAX_ID or found is None or found[1] not in DOMAINS:
        raise ValueError(
            f"{text[:64]!r} is not area-domain-type-serial, such as 410100-gas-mh-000123"
            f" (domains: {', '.join(DOMAINS)})"
        )
    return text


def _site_id(text: str) -> str:
    if len(text) > MAX_ID or not _SITE.fullmatch(text):
        raise ValueError(f"{text[:64]!r} is not area-st-serial, such as 410100-st-000001")
    return text


def _part_id(text: str) -> str:
    if not _PART.fullmatch(text):
        raise ValueError(
            f"{text[:64]!r} is no id: at most 32 of A-Z a-z 0-9 . _ -, no '/', such as ch4-01"
        )
    return text


def _quantity(text: str) -> str:
    return quantity(text).name


def _tag(text: str) -> str:
    if not _TAG.fullmatch(text):
        raise ValueError(f"{text[:64]!r} is no name: a letter, then letters, digits or _")
    return text


def _feature(text: str) -> str:
    if text not in FEATURE_NAMES:
        raise ValueError(f"unknown feature {text[:64]!r}{nearest(text, FEATURE_NAMES)}")
    return text


def _date(text: str) -> str:
    day_number(text)
    return text


TypedId = Annotated[str, AfterValidator(_typed_id)]
SiteId = Annotated[str, AfterValidator(_site_id)]
PartId = Annotated[str, AfterValidator(_part_id)]
Feature = Annotated[str, AfterValidator(_feature)]
Word = Annotated[str, AfterValidator(_tag)]
TagValue = bool | int | float | str
Tags = dict[Word, TagValue]
Attribute = bool | int | float | str | list[str] | list[float]
State = Literal["planned", "installed", "accepted", "in_service", "retired"]
IsoDate = Annotated[str, AfterValidator(_date)]
LelBasis = Annotated[float, Field(ge=0.1, le=100)]
KnownQuantity = Annotated[str, AfterValidator(_quantity)]


class DomainEntry(Strict):
    """A lifeline of the site's own; its code is the second part of the ids of its assets."""

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]{1,11}$")]
    name: Annotated[str, Field(min_length=1)]
    name_zh: str = ""
    asset_types: list[Word] = Field(default_factory=list)  # none: any


class QuantityEntry(Strict):
    """A quantity of the site's own and the unit it is kept in, UCUM."""

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,31}$")]
    unit: Annotated[str, Field(min_length=1)]
    name: Annotated[str, Field(min_length=1)]
    name_zh: str = ""
    decimals: Annotated[int, Field(ge=0, le=9)] = 2
    range: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None

    @model_validator(mode="after")
    def _rising(self) -> QuantityEntry:
        if self.range is not None and not self.range[0] < self.range[1]:
            raise ValueError(f"range: {self.range} must rise")
        return self


class SiteEntry(Strict):
    """A place with people's names for it."""

    id: SiteId
    name: str = ""
    name_zh: str = ""


class DeviceEntry(Strict):
    """A speaker: its id is the identity on the wire."""

    id: TypedId
    kind: Literal["gateway", "module"]
    transport: Literal["mqtt", "coap"]
    codec: Literal["compact", "senml", "json"]
    asset: str  # where it is mounted
    every: DurationNs  # how often it is expected to speak
    state: State = "in_service"


class DerivedEntry(Strict):
    """A feature of another channel's waveform, one value a bucket of absolute time."""

    from_: str = Field(alias="from")  # a channel of the same sensor, or a whole id
    feature: Feature
    every: Annotated[DurationNs, Field(ge=MIN_EVERY_NS)]
    band: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None  # Hz
    window: DurationNs | None = None  # of one periodogram; default: every / 20

    @model_validator(mode="after")
    def _whole(self) -> DerivedEntry:
        if self.feature != PEAK_FREQUENCY:
            for key in ("band", "window"):
                if getattr(self, key) is not None:
                    raise ValueError(f"{key} is for {PEAK_FREQUENCY}")
            return self
        if self.band is None:
            raise ValueError(f"{PEAK_FREQUENCY} needs band: [1.9, 2.4], in Hz")
        if not 0 < self.band[0] < self.band[1]:
            raise ValueError(
                "band: lowest and highest frequency in Hz, above 0, such as [1.9, 2.4]"
            )
        if self.window is not None and not 0 < self.window <= self.every // 4:
            raise ValueError("window: at most a quarter of every, or there is nothing to average")
        return self


class ChannelEntry(Strict):
    """Range, resolution and fault codes are in ``unit``, as the data sheet gives them."""

    id: PartId
    quantity: KnownQuantity
    unit: str = ""  # UCUM, as the device sends it; default: the quantity's canonical unit
    port: Annotated[int, Field(ge=0, le=65535)] | None = None
    key: str | None = None
    range: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None
    resolution: Annotated[float, Field(ge=0)] = 0.0
    every: DurationNs | None = None  # default: the device's
    klass: Literal["safety", "maintenance", "info"] = Field("safety", alias="class")
    lel_basis: LelBasis | None = None
    fault_codes: list[float] = Field(default_factory=list)
    derived: DerivedEntry | None = None
    state: State | None = None  # default: the device's
    calibrated_on: IsoDate | None = None
    calibration_due: IsoDate | None = None  # the last day it is valid
    tags: Tags = Field(default_factory=dict)

    @model_validator(mode="after")
    def _calibrated_in_order(self) -> ChannelEntry:
        on, due = self.calibrated_on, self.calibration_due
        if on is not None and due is not None and due <= on:
            raise ValueError(f"calibration_due: {due} is not after calibrated_on {on}")
        return self


class SensorEntry(Strict):
    """One instrument and who speaks for it."""

    id: PartId
    device: str
    channels: Annotated[list[ChannelEntry], Field(min_length=1)]
    lel_basis: LelBasis | None = None
    tags: Tags = Field(default_factory=dict)


class AssetEntry(Strict):
    """A thing of the city: a manhole, a span, a gateway."""

    id: TypedId
    type: Word
    site: str = ""
    name: str = ""
    name_zh: str = ""
    district: str = ""
    zone: str = ""
    at: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None
    exposed_people: Annotated[int, Field(ge=0)] = 0
    attributes: dict[Word, Attribute] = Field(default_factory=dict)
    tags: Tags = Field(default_factory=dict)
    sensors: list[SensorEntry] = Field(default_factory=list)


class RegistryEntry(Strict):
    """One file; several are merged. Its entries are checked one by one, so all errors show."""

    version: Literal[1]
    simulation: bool = False
    domains: list[Any] = Field(default_factory=list)
    quantities: list[Any] = Field(default_factory=list)
    sites: list[Any] = Field(default_factory=list)
    devices: list[Any] = Field(default_factory=list)
    assets: list[Any] = Field(default_factory=list)
