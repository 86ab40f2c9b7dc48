"""Official warnings as they stand in the journal, and when each of them holds: a fold, no clock.

A bulletin is one message of an issuer: a warning, a newer one instead of older ones, or the word
that older ones are void. It is known by its sender and identifier; times are Unix ns.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

ALERT, UPDATE, CANCEL = "alert", "update", "cancel"
HAZARDS: Final[dict[str, tuple[str, str]]] = {
    "typhoon": ("typhoon", "台风"),
    "rainstorm": ("rainstorm", "暴雨"),
    "snowstorm": ("snowstorm", "暴雪"),
    "cold-wave": ("cold wave", "寒潮"),
    "sandstorm": ("sandstorm", "沙尘暴"),
    "heat-wave": ("high temperature", "高温"),
    "drought": ("drought", "干旱"),
    "thunderstorm": ("thunderstorm", "雷暴"),
    "convection": ("severe convection", "强对流"),
    "lightning": ("lightning", "雷电"),
    "hail": ("hail", "冰雹"),
    "frost": ("frost", "霜冻"),
    "fog": ("fog", "大雾"),
    "haze": ("haze", "霾"),
    "road-icing": ("road icing", "道路结冰"),
    "gale": ("gale", "大风"),
    "mountain-flood": ("mountain flood", "山洪"),
    "waterlogging": ("waterlogging", "内涝"),
    "flood": ("flood", "洪水"),
    "geological": ("geological hazard", "地质灾害"),
    "other": ("other", "其他"),
}
"""What a warning is about: our word, English, Chinese; looked for in this order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bulletin:
    """One message. Texts are (English, Chinese), as the issuer wrote them, "" where it did not."""

    identifier: str
    sender: str
    sent_ns: int
    kind: str  # alert | update | cancel
    exercise: bool = False
    references: tuple[str, ...] = ()  # keys of the messages it replaces or voids
    hazard: str = "other"
    severity: int = 0  # 1 blue … 4 red, 0 = the issuer does not say
    issuer: tuple[str, str] = ("", "")
    event: tuple[str, str] = ("", "")
    headline: tuple[str, str] = ("", "")
    description: tuple[str, str] = ("", "")
    onset_ns: int = 0
    expires_ns: int = 0
    areas: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()  # of administrative divisions, as the issuer gives them
    polygons: tuple[tuple[tuple[float, float], ...], ...] = ()  # (lon, lat)

    @property
    def key(self) -> str:
        """Return what it is known by."""
        return key_of(self.sender, self.identifier)

    def data(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cited:
    """A warning as events and alarms name it: what, how bad, whose word, and of when."""

    key: str
    hazard: str
    severity: int
    issuer: str  # English
    issuer_zh: str
    sent_ns: int

    def said(self) -> dict[str, Any]:
        """Return it as evidence has it."""
        return asdict(self)


def cited(bulletin: Bulletin) -> Cited:
    """Return how a warning is named."""
    issuer, issuer_zh = bulletin.issuer
    return Cited(
        key=bulletin.key,
        hazard=bulletin.hazard,
        severity=bulletin.severity,
        issuer=issuer or issuer_zh,
        issuer_zh=issuer_zh or issuer,
        sent_ns=bulletin.sent_ns,
    )


def cited_of(said: Mapping[str, Any] | None) -> Cited | None:
    """Return what ``said`` gave, None where nothing was said."""
    return None if not said else Cited(**{n: said[n] for n in Cited.__dataclass_fields__})


def key_of(sender: str, identifier: str) -> str:
    """Return what a message is known by."""
    return f"{sender},{identifier}"


def bulletin_of(data: Mapping[str, Any]) -> Bulletin:
    """Return what ``data`` gave, also after it was JSON; keys of later versions are passed over."""
    held = {name: data[name] for name in Bulletin.__dataclass_fields__ if name in data}
    for name in ("references", "issuer", "event", "headline", "description", "areas", "codes"):
        if name in held:
            held[name] = tuple(held[name])
    if "polygons" in held:
        held["polygons"] = tuple(tuple((x, y) for x, y in ring) for ring in held["polygons"])
    return Bulletin(**held)


def replaced(bulletins: Iterable[Bulletin]) -> dict[str, Bulletin]:
    """Return {key: by which message it is void}; whatever order they came in.

    A sender speaks for its own messages only. An exercise voids nothing that is not one.
    """
    return {old.key: by for old, by in _voided(list(bulletins))}


def _voided(held: list[Bulletin]) -> Iterator[tuple[Bulletin, Bulletin]]:
    """Yield (message, another that voids it), by when the others were sent."""
    known = {each.key: each for each in held}
    for each in sorted(held, key=lambda b: (b.sent_ns, b.key)):
        if each.kind == ALERT:
            continue
        for key in each.references:
            old = known.get(key)
            if old is None or old is each or old.sender != each.sender:
                continue
            if each.exercise and not old.exercise:
                continue
            yield old, each


def spans(bulletins: Iterable[Bulletin]) -> dict[str, tuple[int, int]]:
    """Return {key: (from, to)} of the warnings that hold at some time; whatever order they came in.

    One holds from its onset until it expires, or until a message of its sender voids it: a Cancel
    when that was sent, an Update once it begins itself, so that no time between the two is without
    a warning. An exercise never holds.
    """
    held = list(bulletins)
    real = {each.key: each for each in held if each.kind != CANCEL and not each.exercise}
    ends = {key: each.expires_ns for key, each in real.items()}
    for old, by in _voided(held):
        if old.key in ends:
            over = by.sent_ns if by.kind == CANCEL else max(by.sent_ns, by.onset_ns)
            ends[old.key] = min(ends[old.key], over)
    found = {key: (each.onset_ns, ends[key]) for key, each in real.items()}
    return {key: span for key, span in found.items() if span[0] < span[1]}


def standing(bulletins: Iterable[Bulletin], at_ns: int) -> list[Bulletin]:
    """Return the warnings that hold at a time, worst and newest first; those to come too."""
    held = list(bulletins)
    void = replaced(held)
    now = [
        each
        for each in held
        if each.kind != CANCEL and each.key not in void and each.expires_ns > at_ns
    ]
    return sorted(now, key=lambda b: (b.exercise, -b.severity, -b.sent_ns, b.key))
