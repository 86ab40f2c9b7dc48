"""``city.toml``: what a site is called and which servers it uses. Every mistake at once.

Secrets never stand in it and never on a command line: it names the file or the environment
variable that holds them.
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import Field

from ingest.secret_words import noted
from lifeline.settings.addresses import check_addresses
from lifeline.settings.duty_entries import KpiEntry, ProofTestEntry, ShiftsEntry, check_duty
from lifeline.settings.ledger_address import server_url
from lifeline.settings.ledger_entries import (
    AlarmsEntry,
    IncidentsEntry,
    LedgerEntry,
    check_incidents,
)
from lifeline.settings.login_entries import LoginEntry, check_page
from lifeline.settings.map_entry import MapEntry
from lifeline.settings.outlet_checks import check_outlets, note_robot
from lifeline.settings.outlet_entries import (
    CapEntry,
    DepartmentEntry,
    OutletName,
    OutletsEntry,
    RouteEntry,
    WorkOrdersEntry,
)
from lifeline.settings.photo_entries import PhotosEntry
from lifeline.settings.secret_keys import ROBOT_TABLES, refuse_secrets
from lifeline.settings.tls_option import PAGE, check_tls, with_tls
from lifeline.settings.toml_text import TomlDocument, read_toml
from lifeline.settings.weather_entries import WarningsEntry, WeatherEntry, check_weather
from rules.problems import Invalid, Problem, nearest
from rules.strict_models import DurationNs, Strict, validated
from rules.yaml_text import raise_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE_NAME: Final = "city.toml"
DAY_NS: Final = 86_400 * 10**9
HOUR_NS: Final = 3_600 * 10**9
Key = tuple[str, ...]  # (table, key), or (table, kind, name, key)
_WITH_FILES: Final = (
    "mqtt", "influx", "page", "ledger", "webhook", "heartbeat", "work_orders", "cap", "warnings",
)  # fmt: skip
_REMEDIES: Final[dict[Key, str]] = {
    ("influx", "token_file"): "`lifeline influx setup` makes it, or write a token there",
}


Port = Annotated[int, Field(ge=1, le=65535)]
Name = Annotated[str, Field(min_length=1, max_length=255)]
Kept = Annotated[DurationNs, Field(ge=HOUR_NS)]  # InfluxDB keeps nothing for less than an hour


class SiteEntry(Strict):
    """Which city this is."""

    name: Name
    name_zh: str = ""
    timezone: str = "Asia/Shanghai"
    simulation: bool = False
    shadow_rules: str | None = None  # a folder of rules on trial beside those of rules/


class TlsEntry(Strict):
    """TLS at every door: see lifeline.settings.tls_option."""

    folder: Name = "secrets/tls"  # what `lifeline site certificates` makes


class MqttEntry(Strict):
    """The broker the gateways publish to."""

    host: Name
    port: Port | None = None  # 1883, with TLS 8883
    user: str = ""
    password_file: str | None = None
    password_env: str | None = None
    client_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")] = "lifeline-ingest"
    topics: Annotated[list[Name], Field(min_length=1, max_length=64)] = Field(
        default=["lifeline/v1/+/+"]
    )
    tls: bool = False
    ca_file: str | None = None


class CoapEntry(Strict):
    """Where NB-IoT modules post to."""

    bind: Name = "127.0.0.1"
    port: Port = 5683
    plain: bool = False  # beside [tls]: somebody knows that CoAP is not encrypted


class InfluxEntry(Strict):
    """An InfluxDB 2.x bucket; without this table nothing is written to one."""

    url: Annotated[str, Field(pattern=r"^https?://[^/\s]+(/[^\s?]*)?$")]
    org: str = ""
    bucket: Name
    token_file: str | None = None
    token_env: str | None = None
    ca_file: str | None = None
    verify_tls: bool = True
    keep: Kept = 90 * DAY_NS  # what `lifeline influx setup` gives the buckets
    features_keep: Kept = 400 * DAY_NS
    minutes_keep: Kept = 400 * DAY_NS
    hours_keep: Kept = 3650 * DAY_NS
    down_sample: bool = True
    waveforms: bool = False
    waveforms_keep: Kept = 7 * DAY_NS


class JournalEntry(Strict):
    """How large the journal's files are, and how long it is kept."""

    segment_mb: Annotated[float, Field(ge=1 / 64, le=1024)] = 64
    keep: DurationNs = 30 * DAY_NS
    max_gb: Annotated[int, Field(ge=1, le=100_000)] | None = None
    raw_keep: DurationNs = 3 * DAY_NS


class ArchiveEntry(Strict):
    """How long the history is kept, and how large it may grow; by itself all of it stays."""

    keep: Annotated[DurationNs, Field(ge=DAY_NS)] | None = None
    max_gb: Annotated[int, Field(ge=1, le=100_000)] | None = None


class PageEntry(Strict):
    """The operator's page: beyond loopback with [login] and [tls], or by a proxy with a login."""

    bind: Name = "127.0.0.1"
    port: Port = 8480
    origin: Annotated[str, Field(pattern=r"^https://[^/\s]+$")] | None = None  # as browsers see it
    token_file: str | None = None  # what the proxy shows; both or neither
    token_env: str | None = None


class WebhookEntry(Strict):
    """Where alarms are sent to, signed."""

    url: Annotated[str, Field(pattern=r"^https?://\S+$")]
    secret_file: str | None = None
    secret_env: str | None = None
    ca_file: str | None = None  # beside the machine's authorities
    min_severity: Annotated[int, Field(ge=1, le=4)] = 2


class HeartbeatEntry(Strict):
    """Where a sign of life is sent while all is well; who waits there calls people without it."""

    url_file: str | None = None  # the address itself is the secret
    url_env: str | None = None
    ca_file: str | None = None  # beside the machine's authorities
    every: Annotated[DurationNs, Field(ge=10**9, le=HOUR_NS)] = 60 * 10**9


class ReloadEntry(Strict):
    """How a running city comes to other rules and another registry without being asked."""

    watch: bool = False  # reload when a YAML file of registry/ or rules/ changes


class CityEntry(Strict):
    """The whole file."""

    site: SiteEntry
    tls: TlsEntry | None = None
    mqtt: MqttEntry | None = None
    coap: CoapEntry | None = None
    influx: InfluxEntry | None = None
    journal: JournalEntry = JournalEntry()
    archive: ArchiveEntry = ArchiveEntry()
    page: PageEntry = PageEntry()
    map: MapEntry | None = None
    photos: PhotosEntry = PhotosEntry()
    login: LoginEntry | None = None
    ledger: LedgerEntry = Field(default_factory=LedgerEntry)
    alarms: AlarmsEntry = Field(default_factory=AlarmsEntry)
    incidents: IncidentsEntry = IncidentsEntry()
    kpi: KpiEntry = Field(default_factory=KpiEntry)
    shifts: ShiftsEntry = Field(default_factory=ShiftsEntry)
    proof_test: list[ProofTestEntry] = Field(default=[])
    webhook: WebhookEntry | None = None
    heartbeat: HeartbeatEntry | None = None
    outlet: OutletsEntry = OutletsEntry()
    department: dict[OutletName, DepartmentEntry] = Field(default={})
    route: list[RouteEntry] = Field(default=[])
    work_orders: WorkOrdersEntry | None = None
    cap: CapEntry | None = None
    weather: dict[OutletName, WeatherEntry] = Field(default={})
    warnings: WarningsEntry | None = None
    reload: ReloadEntry = ReloadEntry()


@dataclass(frozen=True, slots=True)
class CityConfig:
    """A checked ``city.toml`` and the folder it lies in; paths in it are relative to that."""

    folder: Path
    entry: CityEntry

    @property
    def registry(self) -> Path:
        """Return the folder of the registry's files."""
        return self.folder / "registry"

    @property
    def rules(self) -> Path:
        """Return the folder of the rules' files."""
        return self.folder / "rules"

    @property
    def data(self) -> Path:
        """Return where the data go unless the command line says otherwise."""
        return self.folder / "data"

    @property
    def watched(self) -> tuple[Path, ...]:
        """Return the folders whose changes are a reload, none unless ``[reload] watch`` says so."""
        folders = (self.registry, self.rules, *([self.shadow] if self.shadow else []))
        return folders if self.entry.reload.watch else ()

    @property
    def shadow(self) -> Path | None:
        """Return the folder of rules on trial, None where none is named."""
        name = self.entry.site.shadow_rules
        return self.path(name) if name is not None else None

    @property
    def page_certificate(self) -> tuple[Path, Path] | None:
        """Return the page's certificate and key, None where it speaks plain HTTP."""
        if self.entry.tls is None:
            return None
        folder = self.path(self.entry.tls.folder)
        return folder / PAGE[0], folder / PAGE[1]

    @property
    def hosts(self) -> list[str]:
        """Return the servers' hosts, as this file calls them."""
        found = [self.entry.mqtt.host] if self.entry.mqtt else []
        urls = [part.url for part in (self.entry.influx, self.entry.webhook) if part]
        urls += [self.entry.page.origin or ""]
        urls += [part.url for part in self.entry.outlet.alertmanager.values()]
        found += [part.host for part in self.entry.outlet.mqtt.values()]
        found += [urlsplit(url).hostname or "" for url in urls]
        return [host for host in dict.fromkeys(found) if host]

    @property
    def page_url(self) -> str:
        """Return where people find the page, without a slash at its end."""
        page = self.entry.page
        host = f"[{page.bind}]" if ":" in page.bind else page.bind
        scheme = "http" if self.entry.tls is None else "https"
        return page.origin or f"{scheme}://{host}:{page.port}"

    def path(self, text: str) -> Path:
        """Return a path of the file, taken from its folder."""
        return self.folder / Path(text).expanduser()

    @property
    def ledger_url(self) -> str:
        """Return where the ledger is kept, "" for the data folder."""
        entry = self.entry.ledger
        return server_url(self.secret(entry.url_file, entry.url_env))

    def secret(self, file: str | None, variable: str | None) -> str:
        """Return what a ``…_file`` or else a ``…_env`` key names, "" where both are absent."""
        if file is not None:
            return noted(self.path(file).read_text(encoding="utf-8").strip())
        return noted(os.environ.get(variable, "")) if variable else ""


def load_config(folder: Path, *, to_be_made: frozenset[Key] = frozenset()) -> CityConfig:
    """Return the configuration in ``folder``; files named by ``to_be_made`` may be missing.

    Raises
    ------
    Invalid
        Every mistake: syntax, unknown keys, wrong values, files and variables that are missing.
    """
    path = folder / FILE_NAME
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Invalid([Problem(str(path), 0, 0, "", "is not UTF-8 text", noun="key")]) from error
    except OSError as error:
        said = f"{error.strerror}; `lifeline init {folder}` writes one to start from"
        raise Invalid([Problem(str(path), 0, 0, "", said, noun="key")]) from error
    return config_of(folder, text, name=str(path), to_be_made=to_be_made)


def config_of(
    folder: Path, text: str, *, name: str = FILE_NAME, to_be_made: frozenset[Key] = frozenset()
) -> CityConfig:
    """Return the configuration of a text; see load_config."""
    document = read_toml(name, text)
    raise_errors(document.problems)
    refuse_secrets(document, FILE_NAME)
    entry = validated(CityEntry, document.value, document, (), noun="key")
    if entry is not None:
        config = CityConfig(folder, entry)
        _check_values(config, document, to_be_made)
        _check_folders(config, document)
        check_page(config, document)
        check_addresses(config, document)
        check_outlets(config, document)
        check_weather(config, document)
        check_incidents(entry.incidents, document)
        check_duty(config, document)
        check_tls(config, document, made=("tls", "folder") not in to_be_made)
        raise_errors(document.problems)
        _note_secrets(config)
        return CityConfig(folder, with_tls(entry))
    raise Invalid(document.problems)


def _check_values(config: CityConfig, document: TomlDocument, to_be_made: frozenset[Key]) -> None:
    zone = config.entry.site.timezone
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        said = f'timezone: no such zone "{zone}"{nearest(zone, available_timezones())}'
        document.problem(("site", "timezone"), said, noun="key")
    if config.entry.mqtt is None and config.entry.coap is None:
        document.problem((), "needs [mqtt] or [coap]: nothing would ever arrive", noun="key")
    for path, value in _named(config.entry):
        key = path[-1]
        if key.endswith("_file") and not os.access(config.path(value), os.R_OK):
            if path in to_be_made and not config.path(value).exists():
                continue
            remedy = _REMEDIES.get(path, "make it, for this user only")
            said = f"{key}: {config.path(value)} cannot be read; {remedy}"
            document.problem(path, said, noun="key")
        if key.endswith("_env") and not os.environ.get(value):
            said = f"{key}: the environment variable {value} is not set; export it first"
            document.problem(path, said, noun="key")


def _named(entry: CityEntry) -> Iterator[tuple[Key, str]]:
    """Yield (place, value) of every key that names a file or a variable."""
    parts: list[tuple[Key, Strict | None]] = [((t,), getattr(entry, t)) for t in _WITH_FILES]
    parts += [(("outlet", kind, name), part) for kind, name, part in entry.outlet.each()]
    parts += [(("weather", name), part) for name, part in entry.weather.items()]
    for path, part in parts:
        for key in type(part).model_fields if part is not None else ():
            value = getattr(part, key)
            if key.endswith(("_file", "_env")) and value is not None:
                yield (*path, key), value


def _note_secrets(config: CityConfig) -> None:
    """Let this process know every secret, also those it has no use for: it may be told one."""
    for path, value in _named(config.entry):
        told = ""
        if path[-1].endswith("_env"):
            told = config.secret(None, value)
        elif path[-1] != "ca_file" and config.path(value).is_file():
            told = config.secret(value, None)
        if path[:2] in ROBOT_TABLES:
            note_robot(told)


def shadow_folder(folder: Path) -> Path | None:
    """Return the folder of rules on trial that ``city.toml`` names, without checking the rest.

    None where there is no such file, or it is not TOML: whoever runs the city is told.
    """
    try:
        held = tomllib.loads((folder / FILE_NAME).read_text(encoding="utf-8-sig"))
        name = held["site"]["shadow_rules"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return folder / Path(name).expanduser() if isinstance(name, str) else None


def _check_folders(config: CityConfig, document: TomlDocument) -> None:
    if config.shadow is not None and not any(config.shadow.glob("*.yaml")):
        said = f"shadow_rules: {config.shadow} holds no .yaml file; copy rules to try, or take"
        document.problem(("site", "shadow_rules"), f"{said} the key away", noun="key")
    for folder in (config.registry, config.rules):
        if not any(folder.glob("*.yaml")):
            said = f"{folder}: holds no .yaml file; `lifeline init` writes some to start from"
            document.problem((), said, noun="key")
