"""New, duplicate, late or conflicting: one pure function for every reader of the journal.

The meaning is section 2 of docs/semantics.md. Segments in which everything rises (nearly all,
always) are judged by whole columns; a segment with anything odd is walked delivery by delivery.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rules.readings import NO_SEQUENCE, ROW_BITS, Readings
from rules.segments import Segments, consecutive, ranges, segments_of
from rules.sequences import Sequences

if TYPE_CHECKING:
    from numpy.typing import NDArray

JUDGED, DUPLICATE, LATE, CONFLICT, HEARD = 0, 1, 2, 3, 4
NEVER = np.int64(-(2**63))
NO_BOOT = np.int64(-1)
NO_DEVICE = np.int64(-1)
RING = 8  # payload hashes remembered where a device sends no sequence
EPOCH_FRAMES = 3  # consecutive all-late frames with rising sequence that open a clock epoch

_STATE: dict[str, tuple[Any, Any]] = {
    "boot": (np.int64, NO_BOOT),
    "previous_boot": (np.int64, NO_BOOT),
    "judged_ns": (np.int64, NEVER),
    "value": (np.float64, np.nan),
    "late_run": (np.int8, 0),
    "last_boot": (np.int64, NO_BOOT),  # of the previous delivery that was no duplicate
    "last_receive_ns": (np.int64, NEVER),
    "device": (np.int64, NO_DEVICE),  # who spoke for the channel last
}
_OF_DEVICE = ("boot", "previous_boot", "late_run", "last_boot", "last_receive_ns")
"""What belongs to the device rather than to the channel: forgotten when another one speaks, as
its sequences are."""


@dataclass(frozen=True, slots=True)
class Verdicts:
    """``verdict`` uint8[n] a row; ``epoch_rows`` rows at which a clock epoch opens, rising."""

    verdict: NDArray[np.uint8]
    epoch_rows: NDArray[np.int64]
    segments: Segments


class Judge:
    """The small state of duplicate and late detection: about 220 bytes a channel."""

    def __init__(self, channels: int) -> None:
        self.channels = channels
        self._columns: dict[str, NDArray[Any]] = {
            name: np.full(channels, fill, dtype) for name, (dtype, fill) in _STATE.items()
        }
        self._sequences = Sequences(channels)
        self._ring: NDArray[np.int64] = np.zeros((channels, RING), np.int64)
        self._scratch = np.zeros(channels, np.int64)
        self._settled = np.zeros(channels, np.bool_)  # last_boot is boot, and nothing was late

    def grow(self, channels: int) -> None:
        """Make room for channels up to the given number; the others are not disturbed."""
        more = channels - self.channels
        if more <= 0:
            return
        for name, (dtype, fill) in _STATE.items():
            self._columns[name] = np.concatenate([self._columns[name], np.full(more, fill, dtype)])
        self._sequences.grow(more)
        self._ring = np.concatenate([self._ring, np.zeros((more, RING), np.int64)])
        self._scratch = np.zeros(channels, np.int64)
        self._settled = np.concatenate([self._settled, np.zeros(more, np.bool_)])
        self.channels = channels

    def state(self) -> dict[str, NDArray[Any]]:
        """Return copies of the state's arrays, by name."""
        own = {k: v.copy() for k, v in self._columns.items()} | {"ring": self._ring.copy()}
        return own | self._sequences.state()

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Take up a state given by state(); the number of channels becomes that of the state."""
        self._ring = np.array(state["ring"], np.int64)
        self.channels = len(self._ring)
        self._sequences = Sequences.restored(state, self.channels)
        for name, (dtype, fill) in _STATE.items():
            held = state.get(name)  # a column younger than the state begins as if never told
            self._columns[name] = np.full(self.channels, fill, dtype)
            if held is not None:
                self._columns[name][:] = held
        self._scratch = np.zeros(self.channels, np.int64)
        self._settled = np.zeros(self.channels, np.bool_)

    def mark(self, rows: Readings, g: NDArray[np.int64]) -> Verdicts:
        """Judge rows of whole records in journal order; ``g`` is their position, int64[n]."""
        verdict = np.zeros(len(rows), np.uint8)
        if len(rows) == 0:
            none = np.empty(0, np.int64)
            return Verdicts(verdict, none, Segments(none, none, none, none, True))
        segments = segments_of(rows.channel, None, self._scratch)
        if len(segments.order) < len(rows):
            verdict[rows.channel < 0] = HEARD
        clean = self._mark_clean(rows, g, segments)
        epoch_rows: list[int] = []
        for s in np.flatnonzero(~clean):
            places = segments.order[segments.start[s] : segments.stop[s]]
            self._walk(int(segments.key[s]), places, rows, g, verdict, epoch_rows)
        return Verdicts(verdict, np.array(sorted(epoch_rows), np.int64), segments)

    # ---- whole columns ------------------------------------------------------------------------

    def _mark_clean(
        self, rows: Readings, g: NDArray[np.int64], segments: Segments
    ) -> NDArray[np.bool_]:
        """Find the segments in which all is new and newer, and take them up; bool[s]."""
        order, first, at = segments.order, segments.start, segments.at
        identity = segments.single and len(order) == len(rows)
        judged = rows.judged_ns if identity else rows.judged_ns[order]
        sequence = rows.sequence if identity else rows.sequence[order]
        boot = rows.boot if identity else rows.boot[order]
        state = self._columns
        begins = slice(None) if segments.single else first
        clean: NDArray[np.bool_] = judged[begins] > state["judged_ns"][at]
        known, lowest = state["boot"][at], sequence[begins]
        numbered = lowest >= 0
        mine = (known == boot[begins]) & (lowest > self._sequences.top[at])
        if not mine.all():
            first_boot = (known == NO_BOOT) & numbered
            mine = np.where(numbered, mine | first_boot, boot[begins] == 0)
        clean &= mine
        if not numbered.all():
            clean |= self._clean_hashes(judged, boot, segments, numbered)
        held = state["device"][at]
        clean &= (held == (rows.device if identity else rows.device[order])[begins]) | (
            held == NO_DEVICE
        )
        if not segments.single:
            odd = self._odd_inside(rows, g, segments, judged, boot, sequence)
            if odd is not None:
                clean &= ~odd
        self._take_up(rows, segments, clean, boot, sequence, judged)
        return clean

    def _clean_hashes(
        self,
        judged: NDArray[np.int64],
        boot: NDArray[np.int64],
        segments: Segments,
        numbered: NDArray[np.bool_],
    ) -> NDArray[np.bool_]:
        """Find segments of one row without sequence whose payload hash is not in the ring."""
        key, first = segments.key, segments.start
        fresh: NDArray[np.bool_] = ~numbered & (segments.length == 1) & (boot[first] != 0)
        fresh &= judged[first] > self._columns["judged_ns"][key]
        at = np.flatnonzero(fresh)
        fresh[at] = (self._ring[key[at]] != boot[first[at], None]).all(axis=1)
        return fresh

    @staticmethod
    def _odd_inside(
        rows: Readings,
        g: NDArray[np.int64],
        segments: Segments,
        judged: NDArray[np.int64],
        boot: NDArray[np.int64],
        sequence: NDArray[np.int64],
    ) -> NDArray[np.bool_] | None:
        """Tell segments whose rows do not simply rise: bool[s], or None where all do."""
        rises = (judged[1:] > judged[:-1]) & (sequence[1:] > sequence[:-1])
        rises &= boot[1:] == boot[:-1]
        device = rows.device[segments.order]
        rises &= device[1:] == device[:-1]
        rises[segments.start[1:] - 1] = True
        if rises.all():
            return None
        # a second look at the few: rows of one message, and readings without sequence or hash
        at = np.flatnonzero(~rises) + 1
        this, before = segments.order[at], segments.order[at - 1]
        same = rows.sequence[this] == rows.sequence[before]
        same &= (rows.index[this] > rows.index[before]) & (
            g[this] >> ROW_BITS == g[before] >> ROW_BITS
        )
        untold = (rows.sequence[this] < 0) & (rows.boot[this] == 0)
        untold &= rows.sequence[before] < 0
        fine = (same | untold) & (rows.boot[this] == rows.boot[before])
        fine &= rows.judged_ns[this] > rows.judged_ns[before]
        fine &= rows.device[this] == rows.device[before]
        result = np.zeros(len(segments.start), np.bool_)
        result[np.searchsorted(segments.start, at[~fine], side="right") - 1] = True
        return result

    def _take_up(
        self,
        rows: Readings,
        segments: Segments,
        clean: NDArray[np.bool_],
        boot: NDArray[np.int64],
        sequence: NDArray[np.int64],
        judged: NDArray[np.int64],
    ) -> None:
        """Move the state of clean segments to their last row."""
        state = self._columns
        every = bool(clean.all())
        key = segments.key if every else segments.key[clean]
        at = consecutive(key)
        last = (segments.stop - 1) if every else (segments.stop - 1)[clean]
        tail = segments.order[last]
        state["judged_ns"][at] = judged[last]
        state["value"][at] = rows.value[tail]
        state["device"][at] = rows.device[tail]
        top, number = sequence[last], boot[last]
        numbered = top >= 0
        if not numbered.all():
            self._take_up_unnumbered(
                key[~numbered], number[~numbered], rows.receive_ns[tail][~numbered]
            )
            key, top, number = key[numbered], top[numbered], number[numbered]
            at = consecutive(key)
        if not self._settled[at].all():
            state["boot"][at] = state["last_boot"][at] = number
            state["late_run"][at] = 0
            self._settled[at] = True
        self._sequences.rise(key, top)
        if not segments.single:
            self._mark_inner(segments, clean, sequence)

    def _take_up_unnumbered(
        self, key: NDArray[np.int64], number: NDArray[np.int64], receive_ns: NDArray[np.int64]
    ) -> None:
        """Note deliveries without sequence; ``number`` is their payload hash, or 0."""
        state = self._columns
        state["late_run"][key] = 0
        state["last_boot"][key] = number
        state["last_receive_ns"][key] = receive_ns
        self._settled[key] = False
        hashed = number != 0
        k = key[hashed]
        self._ring[k, 1:] = self._ring[k, :-1]
        self._ring[k, 0] = number[hashed]

    def _mark_inner(
        self, segments: Segments, clean: NDArray[np.bool_], sequence: NDArray[np.int64]
    ) -> None:
        """Take up the sequences before the last one of clean segments of several rows."""
        told = clean & (sequence[segments.start] >= 0)
        if told.all():
            self._sequences.fill(segments.key, segments.length, sequence)
            return
        chosen = np.flatnonzero(told)
        if len(chosen):
            places = ranges(segments.start[chosen], segments.length[chosen])
            self._sequences.fill(segments.key[chosen], segments.length[chosen], sequence[places])

    # ---- delivery by delivery -----------------------------------------------------------------

    def _walk(
        self,
        channel: int,
        places: NDArray[np.int64],
        rows: Readings,
        g: NDArray[np.int64],
        verdict: NDArray[np.uint8],
        epoch_rows: list[int],
    ) -> None:
        """Judge one channel's rows the obvious way."""
        boot, sequence = rows.boot[places].tolist(), rows.sequence[places].tolist()
        index, record = rows.index[places].tolist(), (g[places] >> ROW_BITS).tolist()
        judged = rows.judged_ns[places]
        receive = rows.receive_ns[places].tolist()
        state = {name: column[channel].item() for name, column in self._columns.items()}
        ring = self._ring[channel].tolist()
        devices = rows.device[places].tolist()
        n, begin = len(places), 0
        while begin < n:
            if devices[begin] != state["device"]:
                if state["device"] != NO_DEVICE:
                    state |= {name: int(_STATE[name][1]) for name in _OF_DEVICE}
                    self._sequences.forget(channel)
                    ring = [0] * RING
                state["device"] = devices[begin]
            end = begin + 1
            while (
                end < n
                and boot[end] == boot[begin]
                and sequence[end] == sequence[begin]
                and index[end] > index[end - 1]
                and devices[end] == devices[begin]
                and record[end] == record[begin]
            ):
                end += 1
            same_boot = boot[begin] == state["boot"]
            peak = int(self._sequences.top[channel]) if same_boot else None
            if self._is_duplicate(channel, state, ring, boot[begin], sequence[begin]):
                verdict[places[begin:end]] = DUPLICATE
            else:
                newest = int(judged[begin:end].max())
                delivery = (boot[begin], sequence[begin], receive[begin])
                if _opens_epoch(state, delivery, peak, newest):
                    epoch_rows.append(int(places[begin]))
                    state["judged_ns"] = int(NEVER)
                for i in range(begin, end):
                    at = places[i]
                    verdict[at] = _time_test(state, int(judged[i]), float(rows.value[at]))
            begin = end
        for name, column in self._columns.items():
            column[channel] = state[name]
        self._ring[channel] = ring
        self._settled[channel] = False

    def _is_duplicate(
        self, channel: int, state: dict[str, Any], ring: list[int], boot: int, sequence: int
    ) -> bool:
        """Tell a delivery that came before, and remember it otherwise."""
        if sequence == NO_SEQUENCE:
            if boot == 0:
                return False
            if boot in ring:
                return True
            ring.insert(0, boot)
            ring.pop()
            return False
        if boot != state["boot"]:
            if boot == state["previous_boot"]:
                return False
            state["previous_boot"], state["boot"] = state["boot"], boot
            self._sequences.forget(channel)
        return self._sequences.hear(channel, sequence) is False


def _opens_epoch(
    state: dict[str, Any], delivery: tuple[int, int, int], peak: int | None, newest_ns: int
) -> bool:
    """Count deliveries in which nothing is newer; the third in a rising row opens an epoch.

    ``peak`` is the highest sequence of the boot before this delivery, None if it began a boot.
    """
    boot, sequence, receive_ns = delivery
    if sequence >= 0:
        # only a new highest sequence of a boot that did not just begin: neither a redelivery
        # from beyond the horizon nor a stored backlog sent after live frames is a clock's fault
        rising = boot == state["last_boot"] and peak is not None and sequence > peak
    else:
        rising = receive_ns > state["last_receive_ns"]
        state["last_receive_ns"] = receive_ns
    state["last_boot"] = boot
    if newest_ns > state["judged_ns"]:
        state["late_run"] = 0
        return False
    state["late_run"] = state["late_run"] + 1 if rising else 1
    if state["late_run"] < EPOCH_FRAMES:
        return False
    state["late_run"] = 0
    return True


def _time_test(state: dict[str, Any], judged_ns: int, value: float) -> int:
    """Return the verdict of one row by its time, and take it up if it is the newest."""
    last = state["judged_ns"]
    if judged_ns > last:
        state["judged_ns"], state["value"] = judged_ns, value
        return JUDGED
    if judged_ns < last:
        return LATE
    held = state["value"]
    same = value == held or (value != value and held != held)  # noqa: PLR0124 - NaN equals NaN
    return DUPLICATE if same else CONFLICT
