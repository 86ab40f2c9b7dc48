"""Everything the page needs, in one place: what `serve` fills and the API reads."""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from lifeline.bulletins.board import Board
from lifeline.console.city_map import Maps
from lifeline.console.health import LagWatch
from lifeline.console.search import Finder
from lifeline.console.sight import Scopes, Sights
from lifeline.console.view import Written
from lifeline.duty.settings import DutySettings
from lifeline.ledger import StandIn
from lifeline.notify.cap import CapSender
from lifeline.outlook import Outlook
from lifeline.people.doorman import Doorman, LoginRules
from lifeline.photos import PhotoLimits, Photos
from lifeline.sensor_health import SensorHealth
from rules.flood import Flood, FloodLimits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from lifeline.bulletins.feed import FeedSettings
    from lifeline.bulletins.subscriber import TopicSettings
    from lifeline.clock import Clock
    from lifeline.console.city_map import Tiles
    from lifeline.console.guard import Proxy
    from lifeline.hot_buffer import HotBuffer
    from lifeline.ledger import Ledger
    from lifeline.ledger.book import Choose
    from lifeline.notify import SignOfLifeSettings, WebhookSettings
    from lifeline.notify.cap_outlet import CapOutletSettings
    from lifeline.notify.sending import OutletSettings
    from lifeline.site import SiteKeeper
    from lifeline.watchdog import Watchdog
    from rules.incidents.flow import Targets


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings:
    """How `serve` is set up. Beyond loopback with a login: its own and TLS, or a proxy's."""

    host: str = "127.0.0.1"
    proxy: Proxy | None = None
    login: LoginRules = field(default_factory=LoginRules)
    origin: str = ""  # https://… as browsers see the page beyond loopback
    certificate: tuple[Path, Path] | None = None  # and its key: the page speaks HTTPS
    port: int = 8480
    zone: str = "Asia/Shanghai"  # IANA name; how times are shown
    simulation: bool = False  # the data folder holds a demo or a replay
    ledger_url: str = ""  # "" = ledger.sqlite in the data folder
    webhook: WebhookSettings | None = None
    flood: FloodLimits = field(default_factory=FloodLimits)
    targets: Targets = field(default_factory=dict)  # time limits for incidents, where set
    outlets: tuple[OutletSettings, ...] = ()  # beside the webhook
    departments: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # en, zh
    routing: Callable[[SiteKeeper], Choose] | None = None  # None: all outlets hear all
    cap: CapSender = field(default_factory=CapSender)
    cap_outlet: CapOutletSettings | None = None  # the platform above
    duty: DutySettings = field(default_factory=DutySettings)
    work_orders: bytes | None = field(default=None, repr=False)  # None: nobody posts back
    warnings_key: bytes | None = field(default=None, repr=False)  # None: nobody posts warnings
    warning_senders: tuple[str, ...] = ()  # the only ones believed; () = whoever the way lets in
    warning_feed: FeedSettings | None = None
    warning_topic: TopicSettings | None = None
    public_url: str = ""  # where people find the page
    sign_of_life: SignOfLifeSettings | None = None
    max_streams: int = 64
    max_listed: int = 500
    replay: bool = False
    folder: Path | None = None  # of the city, for reloads; None: there is none to read again
    map_file: Path | None = None  # GeoJSON of streets, pipes and water to draw in grey, if there
    tiles: Tiles | None = None  # a tile server of the site's own below it
    photos: PhotoLimits = field(default_factory=PhotoLimits)

    @property
    def told(self) -> tuple[OutletSettings, ...]:
        """Return every outlet, the webhook first."""
        return (*((self.webhook,) if self.webhook is not None else ()), *self.outlets)

    @property
    def scheme(self) -> str:
        """Return what the page speaks."""
        return "http" if self.certificate is None else "https"

    @property
    def own_origin(self) -> str:
        """Return how browsers see a page that is reached without a proxy, "" on loopback only."""
        own = self.login.required and self.certificate is not None and self.proxy is None
        return self.origin if own else ""

    def __post_init__(self) -> None:
        own = self.login.required and self.certificate is not None and bool(self.origin)
        if not (self.proxy or own or self.host in ("127.0.0.1", "localhost", "::1")):
            raise ValueError(
                f"host = {self.host!r}: the page has no login that TLS protects, so it listens on "
                "loopback only; use 127.0.0.1 and an SSH tunnel, or login, certificate and origin, "
                "or a proxy with a login and its token"
            )


class Archive(Protocol):
    """What a trend needs of the archive."""

    def trend(self, channel: int, from_ns: int, to_ns: int, max_points: int) -> Any:
        """Return columns event_ns, receive_ns, value, qc_flag, verdict."""


@dataclass(slots=True)
class Flow:
    """How the data flows, as the tail thread sees it; plain attributes, written by one thread."""

    last_receive_ns: int = 0
    journal_offset: int = 0
    event_offset: int = 0
    behind: bool = False
    blinds: list[tuple[int, int]] = field(default_factory=list)  # (from, to), newest last
    problems: dict[str, str] = field(default_factory=dict)  # where: one line


class Bell:
    """Counts changes; streams poll the number, so a slow page holds nobody up."""

    def __init__(self) -> None:
        self._numbers: Iterator[int] = itertools.count(1)
        self._lock = threading.Lock()
        self.revision = 0

    def ring(self) -> None:
        """Say that something a page shows has changed."""
        with self._lock:
            self.revision = next(self._numbers)


@dataclass(slots=True, kw_only=True)
class Desk:
    """The parts behind the page."""

    data: Path
    settings: ServeSettings
    clock: Clock
    ledger: Ledger
    keeper: SiteKeeper
    hot: HotBuffer
    watchdog: Watchdog
    archive: Archive | None = None
    sensors: SensorHealth = field(default_factory=SensorHealth)
    lag: LagWatch = field(default_factory=LagWatch)
    outlook: Outlook = field(default_factory=Outlook)  # what rules expect of channels
    flow: Flow = field(default_factory=Flow)
    bell: Bell = field(default_factory=Bell)
    stopping: threading.Event = field(default_factory=threading.Event)
    flood: Flood = field(default_factory=Flood)  # as the ledger had it at the last drawing
    drawing: threading.Lock = field(default_factory=threading.Lock)
    live: tuple[float, dict[str, Any]] = (-1e9, {})  # (monotonic s, what channels say now)
    drawn: dict[Scopes, tuple[int, dict[str, Any]]] = field(default_factory=dict)
    """By who may see what: (revision, what `view.state` made of it)."""
    stand_in: StandIn = field(init=False)
    doorman: Doorman = field(init=False)
    photos: Photos = field(init=False)
    board: Board = field(init=False)  # official warnings
    sights: Sights = field(default_factory=Sights)
    written: Written = field(default_factory=Written)
    maps: Maps = field(default_factory=Maps)
    finder: Finder = field(default_factory=Finder)

    def __post_init__(self) -> None:
        self.stand_in = StandIn(self.ledger)
        self.photos = Photos(self.data / "photos", self.settings.photos)
        self.doorman = Doorman(self.ledger, self.settings.login)
        self.board = Board(
            self.ledger,
            senders=self.settings.warning_senders,
            simulation=lambda: self.keeper.simulation,
            changed=self.bell.ring,
        )
