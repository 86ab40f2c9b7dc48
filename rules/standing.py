"""Which official warnings hold where: what was said so far, laid over the assets of a registry.

A warning's area comes as names, codes of administrative divisions and polygons, none of which an
issuer must give. A warning makes rules stricter and never calmer, so where it cannot be told
whether an asset lies inside, it does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from rules.bulletins import ALERT, CANCEL, UPDATE, Bulletin, bulletin_of, cited, spans

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from rules.bulletins import Cited
    from rules.registry import Registry
    from rules.schedule import Warned

LOOK_BACK_NS: Final = 30 * 86_400 * 10**9
"""So long after its end a warning is still known, for readings that come late."""
MOST: Final = 5_000
"""Messages that are known at once; of more, those that end first are forgotten."""
LONGEST_NS: Final = 2**62
_NO, _UNKNOWN, _YES = 0, 1, 2
_ENDINGS: Final = (" district", "区", "县", "市")
_NUMBERS: Final = ("sent_ns", "onset_ns", "expires_ns", "severity")
_TEXTS: Final = ("identifier", "sender", "kind", "hazard")


def read_warning(data: Mapping[str, Any]) -> Bulletin | None:
    """Return the message of a Control ``warning``, without its description; None if it is none."""
    try:
        bulletin = bulletin_of(data)
        points = [x for ring in bulletin.polygons for point in ring for x in point]
        numbers = [getattr(bulletin, name) for name in _NUMBERS]
        texts = [*(getattr(bulletin, name) for name in _TEXTS), *bulletin.issuer]
        texts += [*bulletin.references, *bulletin.areas, *bulletin.codes]
    except (TypeError, ValueError):
        return None
    if len(bulletin.issuer) != 2 or bulletin.kind not in (ALERT, UPDATE, CANCEL):
        return None
    if not all(isinstance(n, int) and 0 <= n < LONGEST_NS for n in numbers):
        return None
    if not all(isinstance(x, (int, float)) for x in points):
        return None
    if not all(isinstance(text, str) for text in texts):
        return None
    return replace(bulletin, event=("", ""), headline=("", ""), description=("", ""))


@dataclass(frozen=True, slots=True)
class _Kind:
    """The warnings that a schedule asks for, and from and until when each holds, [n]."""

    bulletins: tuple[Bulletin, ...]
    from_ns: NDArray[np.int64]
    to_ns: NDArray[np.int64]

    def within(self, first_ns: int, last_ns: int) -> list[int]:
        """Return the numbers of those that hold at some time from first to last."""
        held: list[int] = np.flatnonzero(
            (self.from_ns <= last_ns) & (self.to_ns > first_ns)
        ).tolist()
        return held


class StandingWarnings:
    """Messages known so far, and the assets each of them covers."""

    def __init__(self, registry: Registry, known: Iterable[Bulletin] = ()) -> None:
        self._registry = registry
        self._known = {each.key: each for each in known}
        self._kinds: dict[Warned, _Kind] = {}
        self._covered: dict[str, NDArray[np.bool_]] = {}

    def on(self, registry: Registry) -> StandingWarnings:
        """Return the same messages over another registry."""
        return StandingWarnings(registry, self._known.values())

    @property
    def state(self) -> list[dict[str, Any]]:
        """Return what is known, for a snapshot."""
        return [each.data() for each in self._known.values()]

    def lasting(self, from_ns: int) -> list[dict[str, Any]]:
        """Return of what is known the messages that end at a time or after."""
        return [each.data() for each in self._known.values() if each.expires_ns >= from_ns]

    def restore(self, state: Iterable[Mapping[str, Any]]) -> None:
        """Take up what a snapshot knew."""
        read = [read_warning(each) for each in state]
        self._known = {each.key: each for each in read if each is not None}
        self._kinds = {}

    def take(self, data: Mapping[str, Any], tick_ns: int) -> bool:
        """Take the data of a Control ``warning``; tell whether it is a message not known before.

        ``tick_ns`` is the last tick before it: what was over long before then is forgotten.
        """
        bulletin = read_warning(data)
        if bulletin is None or bulletin.key in self._known:
            return False
        self._known[bulletin.key] = bulletin
        old = [k for k, b in self._known.items() if b.expires_ns + LOOK_BACK_NS < tick_ns]
        if len(self._known) - len(old) > MOST:
            by_end = sorted(self._known.values(), key=lambda b: (b.expires_ns, b.key))
            old = [each.key for each in by_end[: len(self._known) - MOST]]
        for key in old:
            del self._known[key]
            self._covered.pop(key, None)
        self._kinds = {}
        return True

    # ---- questions ----------------------------------------------------------------------------

    def holds(
        self, warned: Warned, asset: NDArray[np.int64], t_ns: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Tell of each (asset row, judged time) whether a warning of that kind holds there then."""
        told, kind = np.zeros(len(t_ns), np.bool_), self._of(warned)
        if not kind.bulletins or not len(t_ns):
            return told
        for i in kind.within(int(t_ns.min()), int(t_ns.max())):
            inside = (t_ns >= kind.from_ns[i]) & (t_ns < kind.to_ns[i])
            told |= inside & self._covers(kind.bulletins[i])[asset]
        return told

    def cited(self, warned: Sequence[Warned], asset: int, t_ns: int) -> Cited | None:
        """Return the worst, then newest, of the warnings of these kinds that hold there then."""
        kinds = [self._of(each) for each in warned]
        found = [kind.bulletins[i] for kind in kinds for i in kind.within(t_ns, t_ns)]
        found = [each for each in found if self._covers(each)[asset]]
        found.sort(key=lambda b: (-b.severity, -b.sent_ns, b.key))
        return cited(found[0]) if found else None

    def edges(self, warned: Warned) -> list[int]:
        """Return when warnings of that kind begin and end, wherever."""
        kind = self._of(warned)
        return sorted({*kind.from_ns.tolist(), *kind.to_ns.tolist()})

    def _of(self, warned: Warned) -> _Kind:
        held = self._kinds.get(warned)
        if held is None:
            every = [(self._known[key], span) for key, span in spans(self._known.values()).items()]
            mine = [(b, span) for b, span in every if warned.fits(b.hazard, b.severity)]
            times = np.array([span for _, span in mine], np.int64).reshape(-1, 2)
            held = _Kind(tuple(b for b, _ in mine), times[:, 0], times[:, 1])
            self._kinds[warned] = held
        return held

    def _covers(self, bulletin: Bulletin) -> NDArray[np.bool_]:
        """Return which assets it covers, [A + 1]; the last, row −1, is a place nobody knows."""
        held = self._covered.get(bulletin.key)
        if held is None:
            held = np.append(covered(bulletin, self._registry), True)
            self._covered[bulletin.key] = held
        return held


# ---- areas --------------------------------------------------------------------------------------


def covered(bulletin: Bulletin, registry: Registry) -> NDArray[np.bool_]:
    """Return which assets a warning covers, [A].

    Those that a polygon holds, that lie in a division of one of its codes, or whose district an
    area names. Of the others those that may: where nothing tells, which does tell of all areas of
    the warning, that they do not.
    """
    assets, areas = registry.assets, len(bulletin.areas)
    sure = np.zeros(len(assets.id), np.bool_)
    outside = np.zeros(len(assets.id), np.bool_)
    for said, count in (
        (_by_polygons(bulletin, registry), len(bulletin.polygons)),
        (_by_codes(bulletin, registry), len(bulletin.codes)),
        (_by_names(bulletin, registry), areas),
    ):
        sure |= said == _YES
        if count and count >= areas:
            outside |= said == _NO
    return sure | ~outside


def _by_polygons(bulletin: Bulletin, registry: Registry) -> NDArray[np.int8]:
    lon, lat = registry.assets.lon, registry.assets.lat
    inside = np.zeros(len(lon), np.bool_)
    for ring in bulletin.polygons:
        inside |= _inside(ring, lon, lat)
    placed = ~np.isnan(lon) & ~np.isnan(lat)
    return np.where(inside, _YES, np.where(placed, _NO, _UNKNOWN)).astype(np.int8)


def _inside(
    ring: Sequence[tuple[float, float]], lon: NDArray[np.float64], lat: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Tell which points a ring holds: those from which a ray to the east meets it oddly often."""
    inside = np.zeros(len(lon), np.bool_)
    for (x0, y0), (x1, y1) in zip(ring, [*ring[1:], ring[0]], strict=True):
        if y0 == y1:
            continue
        spanned = (y0 > lat) != (y1 > lat)
        inside ^= spanned & (lon < (x1 - x0) * (lat - y0) / (y1 - y0) + x0)
    return inside


def _by_codes(bulletin: Bulletin, registry: Registry) -> NDArray[np.int8]:
    wanted = [_division(code) for code in bulletin.codes]

    def said(asset_id: str) -> int:
        own = _division(asset_id[:6])
        if any(own.startswith(code) for code in wanted if own):
            return _YES
        # a code narrower than the asset's own does not tell
        return _UNKNOWN if not own or any(code.startswith(own) for code in wanted) else _NO

    return _each(said, [identifier[:6] for identifier in registry.assets.id])


def _division(code: str) -> str:
    """Return the digits of a division code that say something: 410100 is 4101 and all below it."""
    if not code.isdigit() or len(code) < 6:
        return ""
    if code[6:].strip("0"):
        return code
    code = code[:6]
    while code.endswith("00"):
        code = code[:-2]
    return code


def _by_names(bulletin: Bulletin, registry: Registry) -> NDArray[np.int8]:
    districts = {_plain(name) for name in registry.assets.district if name}
    areas = [_plain(name) for name in bulletin.areas]
    known = all(any(area.endswith(d) for d in districts) for area in areas)

    def said(district: str) -> int:
        own = _plain(district)
        if own and any(area.endswith(own) for area in areas):
            return _YES
        return _NO if own and known else _UNKNOWN

    return _each(said, registry.assets.district)


def _plain(name: str) -> str:
    """Return a district's name without the word for district, where a name is left."""
    name = name.strip().casefold()
    for ending in _ENDINGS:
        short = name.removesuffix(ending)
        if short != name and len(short) > 1:
            return short
    return name


def _each(said: Any, names: Sequence[str]) -> NDArray[np.int8]:
    known = {name: said(name) for name in set(names)}
    return np.array([known[name] for name in names], np.int8)
