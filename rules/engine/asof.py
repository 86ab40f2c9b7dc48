"""The last value of every channel as of a position of the journal: how kinds look across channels.

Never by arrays after a pass: with A1 … A10, B1 … B10 in one batch, B1 must see A10 and A1 no B.
docs/kinds/composites.md says what "last" means.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rules.engine.slots import NO_NS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from rules.engine.part import Part, Runs

ROW_BITS = 32  # of a key: channel, then row within the part
NEVER_ROW = np.int64(2**62)
CHUNK = 1 << 18  # values of neighbours held at once: bounds memory
TABLE_PAYS = 8
"""A part with one row a channel is laid in tables where it names one channel in so many."""


class AsOf:
    """Last judged value and time of C channels, for each of the acceptance classes."""

    def __init__(self, channels: int, flags: Sequence[tuple[int, ...]]) -> None:
        self.flags = list(flags)
        self.value = np.full((len(flags), channels), np.nan)  # [classes, C]
        self.t_ns = np.full((len(flags), channels), NO_NS)  # [classes, C], NO_NS = none

    def forget(self, channel: int) -> None:
        """Lose what a channel said: its clock began a new epoch."""
        self.value[:, channel] = np.nan
        self.t_ns[:, channel] = NO_NS

    def view(self, part: Part, accept: int) -> View:
        """Return what an acceptance class knows at any row of a part not yet remembered."""
        return View(self, part, accept)

    def remember(self, part: Part) -> None:
        """Keep the last accepted row of each channel."""
        segments = part.segments
        missing = np.isnan(part.value)
        any_missing = bool(missing.any())
        for number, mask in enumerate(part.accepted):
            if mask is None and not any_missing:
                last, at = segments.stop - 1, segments.at
            else:
                taken = ~missing if mask is None else mask[segments.order] & ~missing
                places = np.where(taken, np.arange(len(segments.order)), -1)
                last = np.maximum.reduceat(places, segments.start)
                found = last >= segments.start
                last, at = last[found], segments.key[found]
            self.value[number, at] = part.value[last]
            self.t_ns[number, at] = part.t[last]

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the state's arrays by name, not copied."""
        return {"value": self.value, "t_ns": self.t_ns}

    def restore(self, columns: dict[str, NDArray[Any]], flags: Sequence[Sequence[int]]) -> None:
        """Take up arrays of a snapshot whose classes had these flags; channels are never moved."""
        held = [tuple(each) for each in flags]
        for number, each in enumerate(self.flags):
            if each in held:
                at = held.index(each)
                for name, column in self.columns().items():
                    column[number, : columns[name].shape[1]] = columns[name][at]


class View:
    """One class's last values around a part: of the part where a row came before, else carried."""

    def __init__(self, asof: AsOf, part: Part, accept: int) -> None:
        self._value, self._t_ns = asof.value[accept], asof.t_ns[accept]
        segments, mask = part.segments, part.accepted[accept]
        taken = ~np.isnan(part.value)
        if mask is not None:
            taken &= mask[segments.order]
        row, t, x = segments.order, part.t, part.value
        channel = segments.key if segments.single else np.repeat(segments.key, segments.length)
        if not taken.all():
            row, channel, t, x = row[taken], channel[taken], t[taken], x[taken]
        self._row_of: NDArray[np.int64] | None = None
        if segments.single and len(row) * TABLE_PAYS >= len(self._value):
            self._lay_table(channel, row, x, t)
            return
        key = (channel << ROW_BITS) | row
        if segments.single:
            order = np.argsort(key)
            key, x, t = key[order], x[order], t[order]
        self._key, self._x, self._t = key, x, t

    def _lay_table(
        self,
        channel: NDArray[np.int64],
        row: NDArray[np.int64],
        x: NDArray[np.float64],
        t: NDArray[np.int64],
    ) -> None:
        """Write what each channel says once into tables beside what is carried: no search."""
        count = len(self._value)
        self._row_of = np.full(count, NEVER_ROW)
        self._row_of[channel] = row
        self._value, self._t_ns = np.tile(self._value, 2), np.tile(self._t_ns, 2)
        self._value[count + channel] = x
        self._t_ns[count + channel] = t

    def last(
        self, channel: NDArray[np.int64], row: NDArray[np.int64], *, inclusive: bool = False
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return value and judged time of channels (−1: none) before rows of the part.

        ``row`` broadcasts to ``channel``; ``inclusive`` counts the row itself. NaN and NO_NS where
        nothing is known.
        """
        absent = channel < 0
        known = np.where(absent, 0, channel)
        bound = row + int(inclusive)
        if self._row_of is not None:
            known += (self._row_of[known] < bound) * len(self._row_of)
            value, t_ns = self._value[known], self._t_ns[known]
        else:
            value, t_ns = self._value[known], self._t_ns[known]
            self._put_found(known, bound, value, t_ns)
        value[absent], t_ns[absent] = np.nan, NO_NS
        return value, t_ns

    def _put_found(
        self,
        channel: NDArray[np.int64],
        bound: NDArray[np.int64],
        value: NDArray[np.float64],
        t_ns: NDArray[np.int64],
    ) -> None:
        """Write over what is carried what the part itself said before."""
        if not len(self._key):
            return
        wanted = ((channel << ROW_BITS) | bound).ravel()
        place = np.searchsorted(self._key, wanted) - 1
        found = np.flatnonzero((place >= 0) & (self._key[place] >> ROW_BITS == channel.ravel()))
        value.ravel()[found] = self._x[place[found]]
        t_ns.ravel()[found] = self._t[place[found]]


def fresh_near(
    runs: Runs,
    part: Part,
    near: NDArray[np.int64],
    max_age_ns: NDArray[np.int64],
    accept: NDArray[np.int64],
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Yield rows [n] with what the channels near their tracks last said before them, [n, k].

    ``near`` (−1: none), ``max_age_ns`` and the acceptance class are of all tracks, [T, k] and [T].
    NaN where it is not finite, or further away in judged time. As many rows go together as memory
    should hold.
    """
    if part.asof is None:
        raise ValueError("a part for neighbours needs the last values of channels")
    classes = accept[runs.own]
    wide = max(1, CHUNK // max(1, near.shape[1]))
    for number in np.unique(classes).tolist():
        chosen = np.flatnonzero((classes == number)[runs.segment])
        view = part.asof.view(part, number)
        for begin in range(0, len(chosen), wide):
            rows = chosen[begin : begin + wide]
            track = runs.own[runs.segment[rows]]
            value, t_ns = view.last(near[track], runs.at[rows][:, None])
            # compared so that an absent NO_NS cannot overflow
            t, age_ns = runs.t[rows][:, None], max_age_ns[track][:, None]
            value[(t_ns < t - age_ns) | (t_ns > t + age_ns) | ~np.isfinite(value)] = np.nan
            yield rows, value


def fresh_beside(
    runs: Runs,
    part: Part,
    companion: NDArray[np.int64],
    max_age_ns: NDArray[np.int64],
    accept: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return what each track's companion last said before each row, [r]; NaN where nothing counts.

    ``companion`` (−1: none), ``max_age_ns`` and the acceptance class are of all tracks, [T]. It
    counts if it is finite and at most so far away in judged time.
    """
    if part.asof is None:
        raise ValueError("a part for companions needs the last values of channels")
    found = np.full(len(runs.t), np.nan)
    classes = np.where(companion[runs.own] >= 0, accept[runs.own], -1)
    for number in np.unique(classes[classes >= 0]).tolist():
        rows = np.flatnonzero((classes == number)[runs.segment])
        track = runs.own[runs.segment[rows]]
        value, t_ns = part.asof.view(part.judged, number).last(companion[track], runs.at[rows])
        t, age_ns = runs.t[rows], max_age_ns[track]
        # compared so that an absent NO_NS cannot overflow
        fresh = (t_ns >= t - age_ns) & (t_ns <= t + age_ns) & np.isfinite(value)
        found[rows[fresh]] = value[fresh]
    return found
