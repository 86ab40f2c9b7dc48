"""A CAP 1.2 message as a bulletin. What cannot be read is refused with the reason, never guessed.

XML comes from outside: no DTD, no entities, nothing external (defusedxml), and every length has a
limit. A signature inside the XML is not looked at: who may speak is decided by the way a message
came (docs/weather.md).
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from lifeline.notify.cap import NAMESPACE, SEVERITY
from rules.bulletins import ALERT, CANCEL, HAZARDS, UPDATE, Bulletin, key_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from xml.etree.ElementTree import Element

MAX_BYTES: Final = 256 << 10
MAX_ELEMENTS: Final = 20_000
MAX_POINTS: Final = 600  # of all polygons; a longer one is held as the box around it
MAX_AREAS: Final = 100
MAX_REFERENCES: Final = 40
MAX_DATA: Final = 60_000  # bytes as a Control record
LASTS_NS: Final = 24 * 3_600 * 10**9  # where the issuer does not say until when
_NAME: Final = 200
_LINE: Final = 300
_TEXT: Final = 2_000
_KINDS: Final = {"Alert": ALERT, "Update": UPDATE, "Cancel": CANCEL}
_COLOURS: Final = (("蓝", "blue"), ("黄", "yellow"), ("橙", "orange"), ("红", "red"))
_CODE: Final = re.compile(r"\d{6,12}")
_IDENTITY: Final = re.compile(r"[^\s,<&]+")


class Unreadable(ValueError):  # noqa: N818 - says what it is
    """No message we can take; the text says why."""


def read_cap(raw: bytes) -> Bulletin:
    """Return the message.

    Raises
    ------
    Unreadable
        Why it is none: no XML, no CAP 1.2, something missing, or more than we hold.
    """
    root = _root(raw)
    identifier, sender = _identity(root, "identifier"), _identity(root, "sender")
    kind = _KINDS.get(_text(root, "msgType", _NAME))
    if kind is None:
        said = f"msgType {_text(root, 'msgType', 40)!r}: only Alert, Update and Cancel are warnings"
        raise Unreadable(said)
    status = _text(root, "status", 40)
    if status not in ("Actual", "Exercise"):
        raise Unreadable(f"status {status!r}: only Actual and Exercise are taken")
    sent_ns = _time(root, "sent")
    infos = root.findall(_tag("info"))
    if not infos and kind != CANCEL:
        raise Unreadable("no info: it does not say what it warns of")
    references = tuple(_references(root))
    if kind != ALERT and not references:
        raise Unreadable(f"{_text(root, 'msgType', 40)} without references: of which message?")
    told = _told(infos, sender, sent_ns)
    bulletin = Bulletin(
        identifier=identifier,
        sender=sender,
        sent_ns=sent_ns,
        kind=kind,
        exercise=status == "Exercise",
        references=references,
        **told,
    )
    size = len(json.dumps(bulletin.data(), ensure_ascii=False).encode())
    if size > MAX_DATA:
        raise Unreadable(f"{size} bytes of facts, at most {MAX_DATA} are kept")
    return bulletin


def _root(raw: bytes) -> Element:
    if len(raw) > MAX_BYTES:
        raise Unreadable(f"{len(raw)} bytes, at most {MAX_BYTES}")
    try:
        root: Element = ElementTree.fromstring(raw, forbid_dtd=True)
    except DefusedXmlException as error:
        raise Unreadable(f"XML with {type(error).__name__}: no DTD, no entities") from error
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise Unreadable(f"no XML: {error}"[:_LINE]) from error
    if root.tag != _tag("alert"):
        raise Unreadable(f"{root.tag[:80]!r} is no alert of {NAMESPACE}")
    for number, _ in enumerate(root.iter()):
        if number >= MAX_ELEMENTS:
            raise Unreadable(f"more than {MAX_ELEMENTS} elements")
    return root


def _told(infos: list[Element], sender: str, sent_ns: int) -> dict[str, Any]:
    """Return what the infos say: texts of each language, the widest of all that they bound."""
    zh, en = _of_language(infos, chinese=True), _of_language(infos, chinese=False)

    def both(name: str, most: int) -> tuple[str, str]:
        return _text(en, name, most), _text(zh, name, most)

    event, headline, issuer = both("event", _LINE), both("headline", _LINE), both("senderName", 200)
    if infos and not any(event):
        raise Unreadable("event is missing: it does not say what it warns of")
    onsets = [_time(i, "onset", "effective", default=sent_ns) for i in infos]
    ends = [_time(i, "expires", default=sent_ns + LASTS_NS) for i in infos]
    areas = [area for info in infos for area in info.findall(_tag("area"))]
    names = dict.fromkeys(_text(area, "areaDesc", 80) for area in areas)
    codes = dict.fromkeys(_codes(areas))
    return {
        "hazard": _hazard((*event, *headline)),
        "severity": _severity(infos, (*headline, *event)),
        "issuer": issuer if any(issuer) else (sender, sender),
        "event": event,
        "headline": headline,
        "description": both("description", _TEXT),
        "onset_ns": min(onsets, default=sent_ns),
        "expires_ns": max(ends, default=sent_ns + LASTS_NS),
        "areas": tuple(name for name in names if name)[:MAX_AREAS],
        "codes": tuple(codes)[:MAX_AREAS],
        "polygons": _polygons(areas),
    }


def _of_language(infos: list[Element], *, chinese: bool) -> Element | None:
    """Return the first info of a language; CAP means en-US where none is named."""
    for info in infos:
        language = _text(info, "language", 20).lower() or "en-us"
        if language.startswith("zh") == chinese:
            return info
    return None


def _hazard(texts: Iterable[str]) -> str:
    """Return our word for what it warns of: the first that the event, then the headline, names."""
    for text in texts:
        for word, names in HAZARDS.items():
            if any(name in text.lower() for name in names):
                return word
    return "other"


def _severity(infos: list[Element], texts: Iterable[str]) -> int:
    """Return 1 blue … 4 red: the one colour a text names, else the worst CAP severity; 0 unknown.

    A warning is known by its colour; how an issuer maps colours to CAP's words is its own affair.
    """
    for text in texts:
        named = {
            level
            for level, (zh, en) in enumerate(_COLOURS, 1)
            if f"{zh}色" in text or re.search(rf"\b{en}\b", text, re.IGNORECASE)
        }
        if len(named) == 1:
            return named.pop()
    said = [_text(info, "severity", 40) for info in infos]
    return max((SEVERITY.index(word) for word in said if word in SEVERITY), default=0)


def _references(root: Element) -> Iterable[str]:
    text = root.findtext(_tag("references")) or ""
    found = text.split()
    if len(found) > MAX_REFERENCES:
        raise Unreadable(f"{len(found)} references, at most {MAX_REFERENCES}")
    for each in found:
        parts = each.split(",")
        if len(parts) != 3 or not all(parts) or max(map(len, parts)) > _NAME:
            raise Unreadable(f"reference {each[:80]!r} is not sender,identifier,sent")
        yield key_of(parts[0], parts[1])


def _codes(areas: list[Element]) -> Iterable[str]:
    for area in areas:
        for code in area.findall(_tag("geocode")):
            value = _text(code, "value", 40)
            if _CODE.fullmatch(value):
                yield value


def _polygons(areas: list[Element]) -> tuple[tuple[tuple[float, float], ...], ...]:
    rings = [_ring(node.text or "") for area in areas for node in area.findall(_tag("polygon"))]
    if sum(map(len, rings)) > MAX_POINTS:
        rings = [_box(ring) for ring in rings]
    if sum(map(len, rings)) > MAX_POINTS:
        rings = [_box(tuple(point for ring in rings for point in ring))]
    return tuple(rings)


def _ring(text: str) -> tuple[tuple[float, float], ...]:
    """Return (lon, lat) of CAP's "lat,lon lat,lon …"."""
    ring = []
    for pair in text.split():
        try:
            lat, lon = map(float, pair.split(","))
        except ValueError as error:
            raise Unreadable(f"polygon: {pair[:40]!r} is no lat,lon") from error
        if not (-90 <= lat <= 90 and -180 <= lon <= 180):
            raise Unreadable(f"polygon: {pair[:40]!r} is nowhere on earth")
        ring.append((round(lon, 5), round(lat, 5)))
    if len(ring) < 4:
        raise Unreadable("polygon: fewer than four points")
    return tuple(ring)


def _box(ring: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
    """Return the box around a ring: it holds all that the ring holds."""
    xs, ys = [x for x, _ in ring], [y for _, y in ring]
    a, b, c, d = min(xs), min(ys), max(xs), max(ys)
    return ((a, b), (c, b), (c, d), (a, d), (a, b))


def _time(element: Element, *names: str, default: int | None = None) -> int:
    for name in names:
        text = _text(element, name, 40)
        if not text:
            continue
        try:
            at = datetime.fromisoformat(text)
        except ValueError as error:
            raise Unreadable(f"{name} {text!r} is no time") from error
        if at.tzinfo is None:
            raise Unreadable(f"{name} {text!r} has no zone: 2026-07-20T16:10:00+08:00")
        if not 1980 <= at.year <= 2200:
            raise Unreadable(f"{name} {text!r} is no time of ours")
        return int(at.timestamp()) * 10**9
    if default is None:
        raise Unreadable(f"{names[0]} is missing")
    return default


def _identity(root: Element, name: str) -> str:
    text = (root.findtext(_tag(name)) or "").strip()
    if not _IDENTITY.fullmatch(text) or len(text) > _NAME:
        said = "is missing" if not text else f"{text[:40]!r}: no blanks, commas, < and &, at most"
        raise Unreadable(f"{name} {said}" + (f" {_NAME}" if text else ""))
    return text


def _text(element: Element | None, name: str, most: int) -> str:
    """Return the text of a child on one line, cut at ``most``; "" where there is none."""
    if element is None:
        return ""
    return " ".join((element.findtext(_tag(name)) or "").split())[:most]


def _tag(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"
