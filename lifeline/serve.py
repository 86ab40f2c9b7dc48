"""The serve process: event log → ledger → page, API and outlets; operators' commands → journal.

Threads: *tail* reads the event log and the journal, *outside*, one an outlet, sends the outbox,
*mirror* puts commands into the journal, and the web server. What one of them cannot do is shown on
the page and tried again; one that dies takes the process with it, so that the supervisor starts a
whole one.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog
import uvicorn

from ingest.store.history import History
from lifeline.bulletins.feed import Feed
from lifeline.bulletins.subscriber import Subscriber
from lifeline.console.app import create_app
from lifeline.console.desk import Desk, ServeSettings
from lifeline.console.patience import MAX_CONNECTIONS, Patient
from lifeline.console.sentences import words
from lifeline.hot_buffer import HotBuffer
from lifeline.ledger import Ledger, LedgerError, mirror
from lifeline.ledger.book import everyone, facts
from lifeline.ledger.incidents import Incidents
from lifeline.ledger.people import People
from lifeline.notify import Escalator, Post, SignOfLife, labelled
from lifeline.notify.cap_outlet import CapOutlet
from lifeline.notify.sign_of_life import send_signs
from lifeline.site import SiteKeeper
from lifeline.tail import Tail
from lifeline.time_source import watch
from lifeline.watchdog import Watchdog
from lifeline.watchdog import watch as watch_sight
from rules.incidents.places import Places

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lifeline.clock import Clock
    from lifeline.notify.cap_outlet import CapOutletSettings
    from lifeline.time_source import TimeWatch
    from rules.alarms import Alarm
    from rules.events import Event

__all__ = ["ServeSettings", "run_serve"]

LOG = structlog.get_logger("serve")
RETRY_S = 1.0


def run_serve(
    *,
    data: Path,
    settings: ServeSettings,
    clock: Clock,
    stop: threading.Event,
    eye: TimeWatch | None = None,
) -> None:
    """Run until ``stop`` is set; returns after a clean stop.

    ``eye`` looks at the clock, this machine's if none is given.

    Raises
    ------
    OSError
        The address is in use.
    LedgerError
        The ledger cannot be opened at all.
    RuntimeError
        A thread of ours died; its error is the cause.
    """
    listener = _listen(settings)
    archive = History(data / "archive")
    keeper = SiteKeeper(data, simulation=settings.simulation or settings.replay)
    desk = Desk(
        data=data,
        settings=settings,
        clock=clock,
        ledger=_open_ledger(data, settings, clock, keeper),
        keeper=keeper,
        hot=HotBuffer(),
        watchdog=Watchdog(clock),
        archive=archive,
    )
    crew = _Crew(stop)
    server = _web_server(desk)
    try:
        crew.start("tail", Tail(desk, stop).run)
        crew.start("mirror", lambda: _mirror(desk, stop))
        _watchers(desk, crew, stop, eye)
        _posts(desk, crew, stop)
        _warnings(desk, crew, stop)
        crew.start("escalation", lambda: _escalate(desk, Escalator(desk.ledger, keeper), stop))
        crew.start("photos", partial(_keep_photos, desk, stop))
        crew.start("web", lambda: server.run(sockets=[listener]))
        LOG.info("page ready", url=f"{settings.scheme}://{settings.host}:{settings.port}/")
        stop.wait()
    finally:
        stop.set()
        desk.stopping.set()
        server.should_exit = True
        crew.join()
        desk.stand_in.close()
        desk.ledger.close()
        archive.close()
        listener.close()
    crew.report()


def _web_server(desk: Desk) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            create_app(desk),
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            proxy_headers=False,  # who is near is told by the connection, never by a header
            timeout_graceful_shutdown=2,
            http=Patient,
            limit_concurrency=MAX_CONNECTIONS,
            **_certificate(desk.settings),
        )
    )


def _posts(desk: Desk, crew: _Crew, stop: threading.Event) -> None:
    """Start a thread for each outlet: one that is slow holds no other up."""
    for each in desk.settings.told:
        post = Post(desk.ledger, each)
        crew.start(f"outside {post.name}", partial(_outside, desk, post, stop))
    if desk.settings.cap_outlet is not None:
        crew.start("outside cap", partial(_platform, desk, desk.settings.cap_outlet, stop))


def _warnings(desk: Desk, crew: _Crew, stop: threading.Event) -> None:
    """Start who brings official warnings, and who sees that one is over."""
    settings, problems = desk.settings, desk.flow.problems
    if settings.warning_feed is not None:
        feed = Feed(settings.warning_feed, desk.board)
        crew.start("warning-feed", lambda: feed.run(problems, stop))
    if settings.warning_topic is not None:
        reader = Subscriber(settings.warning_topic, desk.board)
        crew.start("warning-topic", lambda: reader.run(problems, stop))


def _watchers(desk: Desk, crew: _Crew, stop: threading.Event, eye: TimeWatch | None) -> None:
    """Start who watches ourselves: our clock, our sight, and the one who tells the outside."""
    if desk.clock.factor == 1.0:  # in a city faster than the wall nobody goes by this clock
        crew.start("time", lambda: watch(_told(desk), stop, held=eye))
        crew.start("sight", lambda: watch_sight(desk.watchdog, _told(desk, severity=3), stop))
    if desk.settings.sign_of_life is not None:
        life = SignOfLife(desk.settings.sign_of_life)
        crew.start("life", lambda: send_signs(life, desk.watchdog.sight, desk.flow.problems, stop))


def _certificate(settings: ServeSettings) -> dict[str, Any]:
    """Return what makes uvicorn speak TLS."""
    if settings.certificate is None:
        return {}
    certificate, key = settings.certificate
    return {"ssl_certfile": str(certificate), "ssl_keyfile": str(key)}


def _listen(settings: ServeSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
        listener.listen(64)
    except OSError as error:
        listener.close()
        raise OSError(
            error.errno,
            f"{settings.host}:{settings.port}: {error.strerror}; is another lifeline running? "
            "set another port",
        ) from error
    return listener


def _open_ledger(data: Path, settings: ServeSettings, clock: Clock, keeper: SiteKeeper) -> Ledger:
    def compose(event: Event, alarm: Alarm, *, seq: int) -> dict[str, Any]:
        said = {
            language: words(alarm, keeper.site, language, zone=settings.zone).sentence
            for language in ("en", "zh")
        }
        return facts(event, alarm, seq=seq) | {"sentence": said} | labelled(alarm, keeper.site)

    return Ledger(
        settings.ledger_url or f"sqlite:///{data / 'ledger.sqlite'}",
        now_ns=clock.now_ns,
        outlets=tuple(each.outlet for each in settings.told),
        compose=compose,
        flood=settings.flood,
        choose=settings.routing(keeper) if settings.routing is not None else everyone,
        places=lambda: keeper.site.places if keeper.site is not None else Places(),
    )


class _Crew:
    """Our threads: the death of one ends all, and is told to who waits for them."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._threads: list[threading.Thread] = []
        self._died: list[tuple[str, BaseException]] = []

    def start(self, name: str, work: Callable[[], object]) -> None:
        def run() -> None:
            try:
                work()
            except BaseException as error:
                self._died.append((name, error))
                LOG.exception("thread died", thread=name)
            finally:
                self._stop.set()

        thread = threading.Thread(target=run, name=f"serve-{name}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def join(self, timeout_s: float = 4.0) -> None:
        for thread in self._threads:
            thread.join(timeout=timeout_s)
            if thread.is_alive():
                LOG.warning("thread did not stop", thread=thread.name)

    def report(self) -> None:
        for name, error in self._died:
            raise RuntimeError(f"serve: thread {name} died: {error}") from error


def _outside(desk: Desk, post: Post, stop: threading.Event) -> None:
    with contextlib.closing(post):
        while not stop.is_set():
            try:
                sent = post.deliver_due(ledger=desk.stand_in.current)
                trouble = post.trouble
            except LedgerError as error:  # a message may have gone, and nobody could note it
                sent, trouble = 0, str(error)
                desk.stand_in.wanted = trouble
            if trouble:
                desk.flow.problems[post.name] = f"{post.name}: {trouble}"
            else:
                desk.flow.problems.pop(post.name, None)
            if not sent:
                stop.wait(RETRY_S)


def _platform(desk: Desk, told: CapOutletSettings, stop: threading.Event) -> None:
    """Tell the platform above of incidents."""
    settings = desk.settings
    outlet = CapOutlet(
        desk.ledger,
        told,
        site=lambda: desk.keeper.site,
        zone=settings.zone,
        sender=settings.cap,
        web=settings.public_url,
    )
    with contextlib.closing(outlet):
        while not stop.is_set():
            try:
                sent, trouble = outlet.turn(), outlet.trouble
            except LedgerError as error:  # what was sent may be sent again, by the same identifier
                sent, trouble = 0, str(error)
            if trouble:
                desk.flow.problems["cap"] = f"cap: {trouble}"
            else:
                desk.flow.problems.pop("cap", None)
            if not sent:
                stop.wait(RETRY_S)


def _escalate(desk: Desk, escalator: Escalator, stop: threading.Event) -> None:
    """Do what time asks for: call the next in a chain, end shelves, let blue incidents go."""
    people, incidents = People(desk.ledger), Incidents(desk.ledger)
    while not stop.is_set():
        try:
            escalator.call_due()
            if people.turn() + incidents.turn():
                desk.bell.ring()
            desk.flow.problems.pop("escalation", None)
        except LedgerError as error:
            desk.flow.problems["escalation"] = f"escalation waits: {error}"
        stop.wait(RETRY_S)


def _keep_photos(desk: Desk, stop: threading.Event) -> None:
    """Let photos go that were kept long enough, each hour."""
    while not stop.is_set():
        try:
            desk.photos.sweep()
            desk.flow.problems.pop("photos", None)
        except OSError as error:
            desk.flow.problems["photos"] = f"photos are not cleared: {error}"
        stop.wait(3_600)


def _told(desk: Desk, *, severity: int = 2) -> Callable[[str, str], bool]:
    """Return what makes an alarm of our own trouble; False where the ledger did not take it."""

    def tell(rule: str, trouble: str) -> bool:
        try:
            desk.ledger.own_alarm(
                rule, trouble, severity=severity, simulation=desk.keeper.simulation
            )
        except LedgerError as error:
            LOG.warning("trouble of our own is told again", rule=rule, reason=str(error))
            return False
        desk.bell.ring()
        return True

    return tell


def _mirror(desk: Desk, stop: threading.Event) -> None:
    path = desk.data / "run" / "control.sock"
    while not stop.is_set():
        try:
            refusal = mirror(desk.ledger, path).refusal
            if refusal:
                desk.flow.problems["commands"] = f"commands wait: {refusal}"
            else:
                desk.flow.problems.pop("commands", None)
        except (OSError, LedgerError) as error:
            # The command itself stands in the ledger; only its copy in the journal waits.
            desk.flow.problems["commands"] = f"commands wait for ingest at {path.name}: {error}"
        stop.wait(RETRY_S / 2)
