"""The registry's working form: columns. ``site → asset → sensor → channel``, and who speaks.

Rows of the device and channel tables are dense and never reused: a removed channel stays as a
tombstone (``alive`` False), so a row in an old journal record keeps its meaning.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from rules.vocabulary import Vocabulary

if TYPE_CHECKING:
    from numpy.typing import NDArray

STATES: Final = ("planned", "installed", "accepted", "in_service", "retired")
"""The life of a device or channel. All but retired ones are judged; silence of planned ones is no
alarm. Retired ones are tombstones."""
IN_SERVICE: Final = "in_service"
RETIRED: Final = "retired"


def encode_id(identifier: str) -> str:
    """Return an id as it stands in a topic, URL or file name: ``/`` becomes ``~``."""
    return identifier.replace("/", "~")


def decode_id(encoded: str) -> str:
    """Undo encode_id."""
    return encoded.replace("~", "/")


OPTIONAL_COLUMNS: Final[dict[str, dict[str, Any]]] = {
    "devices": {"state": IN_SERVICE},
    "channels": {"derived": {}, "state": IN_SERVICE, "calibrated_on": "", "calibration_due": ""},
}
"""Columns younger than the stored text, and what a row has that does not say. A column that says
nothing else stays out of the text, so the text of an older registry keeps its hash."""


def _filled(table: Any, name: str, usual: Any) -> None:
    if not getattr(table, name):
        object.__setattr__(table, name, (usual,) * len(table.id))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sites:
    """One row a site: what people call it."""

    id: tuple[str, ...] = ()
    name: tuple[str, ...] = ()  # English
    name_zh: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Assets:
    """One row an asset: a manhole, a span, a gateway."""

    id: tuple[str, ...]
    site: tuple[str, ...]
    domain: tuple[str, ...]
    asset_type: tuple[str, ...]
    name: tuple[str, ...]  # English
    name_zh: tuple[str, ...]
    district: tuple[str, ...]
    zone: tuple[str, ...]
    lon: NDArray[np.float64]  # WGS 84, degrees
    lat: NDArray[np.float64]
    exposed_people: NDArray[np.int64]
    attributes: tuple[dict[str, Any], ...]  # design values (depth in m, …), tags, relations
    alive: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Devices:
    """One row a speaker: a gateway or an NB-IoT module. Its id is the identity on the wire."""

    id: tuple[str, ...]  # ASCII without "/"
    kind: tuple[str, ...]  # gateway | module
    transport: tuple[str, ...]  # mqtt | coap
    codec: tuple[str, ...]  # compact | senml | json
    asset: NDArray[np.int32]  # where it is mounted
    interval_ns: NDArray[np.int64]  # how often it is expected to speak
    alive: NDArray[np.bool_]
    state: tuple[str, ...] = ()  # one of STATES; () stands for all in service

    def __post_init__(self) -> None:
        _filled(self, "state", IN_SERVICE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Channels:
    """One row a channel. Ranges, resolution and limits are in the quantity's canonical unit."""

    id: tuple[str, ...]  # asset/sensor/channel
    asset: NDArray[np.int32]
    device: NDArray[np.int32]
    port: NDArray[np.int32]  # channel number in the device's compact frames
    key: tuple[str, ...]  # name in the device's JSON or SenML
    quantity: tuple[str, ...]
    unit: tuple[str, ...]  # UCUM, as the device sends it; admission converts
    klass: tuple[str, ...]  # safety | maintenance | info
    range_lo: NDArray[np.float64]
    range_hi: NDArray[np.float64]
    resolution: NDArray[np.float64]
    interval_ns: NDArray[np.int64]  # sampling interval expected
    lel_basis: NDArray[np.float64]  # %vol at 100 %LEL of this sensor; NaN = site basis
    fault_codes: tuple[tuple[float, ...], ...]  # raw values that mean the device is faulty
    tags: tuple[dict[str, Any], ...]
    alive: NDArray[np.bool_]
    derived: tuple[dict[str, Any], ...] = ()
    """What the engine computes from another channel's waveform: ``from`` (its id), ``feature``,
    ``every_ns``; {} for measured channels. () stands for none at all."""
    state: tuple[str, ...] = ()  # one of STATES; () stands for all in service
    calibrated_on: tuple[str, ...] = ()  # ISO date, "" unknown; () stands for all unknown
    calibration_due: tuple[str, ...] = ()  # ISO date of the last valid day; "" and () as above

    def __post_init__(self) -> None:
        for name, usual in OPTIONAL_COLUMNS["channels"].items():
            _filled(self, name, usual)


@dataclass(frozen=True, kw_only=True)
class Registry:
    """All of a site at one time; ``content_hash`` names the text it came from."""

    content_hash: str
    assets: Assets
    devices: Devices
    channels: Channels
    simulation: bool = False
    sites: Sites = field(default_factory=Sites)
    vocabulary: Vocabulary = field(default_factory=Vocabulary)  # what its files add to ours
    channel_row: dict[str, int] = field(init=False, repr=False)
    device_row: dict[str, int] = field(init=False, repr=False)
    asset_row: dict[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        for name, ids in (
            ("channel_row", self.channels.id),
            ("device_row", self.devices.id),
            ("asset_row", self.assets.id),
        ):
            object.__setattr__(self, name, dict(zip(ids, range(len(ids)), strict=True)))

    def first_moved(self, older: Registry) -> str:
        """Return a channel or device of ``older`` that has another row here, "" if none has.

        Rows in journal records before this registry must go on meaning what they meant.
        """
        for table, rows in (
            (older.channels.id, self.channel_row),
            (older.devices.id, self.device_row),
        ):
            moved = (name for row, name in enumerate(table) if rows.get(name) != row)
            if found := next(moved, ""):
                return found
        return ""

    @classmethod
    def empty(cls) -> Registry:
        """Return a registry of nothing."""
        real, flags = np.zeros(0), np.zeros(0, np.bool_)
        short, long = np.zeros(0, np.int32), np.zeros(0, np.int64)
        assets = Assets(
            id=(),
            site=(),
            domain=(),
            asset_type=(),
            name=(),
            name_zh=(),
            district=(),
            zone=(),
            lon=real,
            lat=real,
            exposed_people=long,
            attributes=(),
            alive=flags,
        )
        devices = Devices(
            id=(), kind=(), transport=(), codec=(), asset=short, interval_ns=long, alive=flags
        )
        channels = Channels(
            id=(),
            asset=short,
            device=short,
            port=short,
            key=(),
            quantity=(),
            unit=(),
            klass=(),
            range_lo=real,
            range_hi=real,
            resolution=real,
            interval_ns=long,
            lel_basis=real,
            fault_codes=(),
            tags=(),
            alive=flags,
        )
        return cls(content_hash="", assets=assets, devices=devices, channels=channels)
