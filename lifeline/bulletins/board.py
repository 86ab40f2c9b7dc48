"""The warnings that hold, for the page; every way in ends here.

What is no message is never swallowed: it is kept, counted, logged, and raises an alarm of our own
(``warning-unreadable``), which the next message that is one clears.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import structlog

from lifeline import metrics
from lifeline.bulletins.cap_in import Unreadable, read_cap
from lifeline.ledger.bulletins import Bulletins, Held
from lifeline.ledger.errors import Conflict, LedgerError
from rules.bulletins import HAZARDS, Bulletin, replaced, standing
from rules.registry import Registry
from rules.standing import StandingWarnings, read_warning

if TYPE_CHECKING:
    from collections.abc import Callable

    from lifeline.ledger import Ledger

LOG = structlog.get_logger("warnings")
UNREADABLE_RULE: Final = "warning-unreadable"
AGAIN_NS: Final = 10 * 10**9
"""The ledger is asked again after so long: another process may have written."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A message that was taken; ``repeated``: it was here before."""

    bulletin: Bulletin
    repeated: bool


class Board:
    """Takes messages and tells which warnings hold. Safe to use from any thread.

    ``senders`` are the only ones believed, () = whoever the way lets in.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        senders: tuple[str, ...] = (),
        simulation: Callable[[], bool] = lambda: False,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._ledger, self._senders = ledger, senders
        self._simulation, self._changed = simulation, changed
        self._kept = Bulletins(ledger)
        self._lock = threading.Lock()
        self._held: list[Held] = []
        self._looked_ns = -AGAIN_NS
        nowhere = Registry.empty()
        self._over = (nowhere, -AGAIN_NS, StandingWarnings(nowhere))
        self._drawn: tuple[int, int, list[dict[str, Any]]] = (0, 0, [])

    def take(self, raw: bytes, *, via: str) -> Taken:
        """Read and keep a message.

        Raises
        ------
        Unreadable, Conflict
            It is no message, or not one of a sender we know; kept and told.
        Unavailable
            The ledger cannot be written: it must come again.
        """
        try:
            bulletin = self._known(raw)
            fresh = self._kept.take(bulletin, via=via)
        except (Unreadable, Conflict) as error:
            self._refuse(raw, str(error), via=via)
            raise
        metrics.WARNINGS.labels(via, "taken" if fresh else "repeated").inc()
        if fresh:
            LOG.info("warning taken", key=bulletin.key, kind=bulletin.kind, via=via)
            with self._lock:
                self._looked_ns = -AGAIN_NS
            self._changed()
        self._own(UNREADABLE_RULE, "")
        return Taken(bulletin, repeated=not fresh)

    def _known(self, raw: bytes) -> Bulletin:
        bulletin = read_cap(raw)
        if self._senders and bulletin.sender not in self._senders:
            raise Unreadable(f"sender {bulletin.sender!r} is none of [warnings] senders")
        return bulletin

    def _refuse(self, raw: bytes, reason: str, *, via: str) -> None:
        metrics.WARNINGS.labels(via, "refused").inc()
        LOG.error("no warning that can be read", via=via, reason=reason, size=len(raw))
        self._kept.refuse(raw, reason, via=via)
        self._own(UNREADABLE_RULE, f"{via}: {reason}")

    def _own(self, rule: str, wrong: str) -> None:
        if self._ledger.own_alarm(rule, wrong, severity=2, simulation=self._simulation()):
            self._changed()

    def own_trouble(self, rule: str, wrong: str) -> None:
        """Raise an alarm of ours about a way in, "" clears it; an outage of the ledger waits."""
        try:
            self._own(rule, wrong)
        except LedgerError as error:
            LOG.warning("trouble of our own is told again", rule=rule, reason=str(error))

    def held(self, now_ns: int) -> list[Held]:
        """Return the messages that are not over for long, newest first.

        Raises
        ------
        Unavailable
            The ledger cannot be read.
        """
        with self._lock:
            wall_ns = self._ledger.wall_ns()
            if not 0 <= wall_ns - self._looked_ns < AGAIN_NS:
                self._held = self._kept.held(now_ns=now_ns)
                self._looked_ns = wall_ns
            return list(self._held)

    def known(self, registry: Registry, now_ns: int) -> StandingWarnings:
        """Return what is known of warnings over a registry: for limits as the engine has them.

        While the ledger cannot be read, as it was known last: the page tells of the outage.
        """
        over, looked_ns, known = self._over
        try:
            held = self.held(now_ns)
        except LedgerError:
            return known.on(registry)
        if over is not registry or looked_ns != self._looked_ns:
            read = (read_warning(each.bulletin.data()) for each in held)
            known = StandingWarnings(registry, [each for each in read if each is not None])
            self._over = (registry, self._looked_ns, known)
        return known

    def standing(self, now_ns: int) -> list[dict[str, Any]]:
        """Return the warnings that hold now as the page shows them, worst first.

        Many pages ask each second: those of one second get the same.
        """
        every = self.held(now_ns)
        second, looked_ns, drawn = self._drawn
        if (second, looked_ns) == (now_ns // 10**9, self._looked_ns):
            return drawn
        drawn = self._standing(every, now_ns)
        self._drawn = (now_ns // 10**9, self._looked_ns, drawn)
        return drawn

    @staticmethod
    def _standing(every: list[Held], now_ns: int) -> list[dict[str, Any]]:
        held = {each.bulletin.key: each for each in every}
        now = standing((each.bulletin for each in held.values()), now_ns)
        return [shown(held[each.key], "standing") for each in now]

    def every(self, now_ns: int, *, ended: bool | None) -> list[dict[str, Any]]:
        """Return messages with their state: standing, replaced, cancelled, expired, cancel."""
        held = self.held(now_ns)
        void = replaced(each.bulletin for each in held)
        states = [(each, _state(each.bulletin, void, now_ns)) for each in held]
        wanted = [(e, s) for e, s in states if ended is None or (s != "standing") == ended]
        return [shown(each, state) for each, state in wanted]

    def refused(self) -> list[dict[str, Any]]:
        """Return the newest of what could not be read."""
        return [
            {"via": e.via, "taken_ms": e.taken_ns // 10**6, "reason": e.reason}
            for e in self._kept.refused()
        ]


def _state(bulletin: Bulletin, void: dict[str, Bulletin], now_ns: int) -> str:
    if bulletin.kind == "cancel":
        return "cancel"
    if (by := void.get(bulletin.key)) is not None:
        return "cancelled" if by.kind == "cancel" else "replaced"
    return "standing" if bulletin.expires_ns > now_ns else "expired"


def shown(held: Held, state: str) -> dict[str, Any]:
    """Return a message as JSON: times in Unix ms, texts in both languages."""
    b = held.bulletin
    texts = {
        name: {"en": en or zh, "zh": zh or en}
        for name, (en, zh) in (
            ("issuer", b.issuer),
            ("event", b.event),
            ("headline", b.headline),
            ("description", b.description),
            ("hazard_word", HAZARDS.get(b.hazard, ("", ""))),
        )
    }
    return {
        "key": b.key,
        "identifier": b.identifier,
        "sender": b.sender,
        "kind": b.kind,
        "state": state,
        "exercise": b.exercise,
        "hazard": b.hazard,
        "severity": b.severity,
        **texts,
        "sent_ms": b.sent_ns // 10**6,
        "onset_ms": b.onset_ns // 10**6,
        "expires_ms": b.expires_ns // 10**6,
        "taken_ms": held.taken_ns // 10**6,
        "via": held.via,
        "areas": list(b.areas),
        "codes": list(b.codes),
        "polygons": [[list(point) for point in ring] for ring in b.polygons],
        "references": list(b.references),
    }
