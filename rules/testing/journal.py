"""A test's input as the journal would hold it: readings, blocks, actions, and the Clock's ticks.

Virtual time starts at the test's ``start``. What is received at one instant stands in one record;
at equal times official warnings come first, then readings, then actions, then the tick. The Clock
ticks every second, and every tick has its offset; ticks that no timer could ever be decided by need
not be played, which is what makes a month take a second (see ``ticks.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from rules.durations import format_duration
from rules.language.models import FLAGS
from rules.problems import Invalid
from rules.quantities import SITE_LEL_BASIS, canonical
from rules.readings import (
    QC_FAIL,
    QC_GOOD,
    QC_MISSING,
    QC_SUSPECT,
    Block,
    Control,
    Readings,
    Record,
    Tick,
)
from rules.testing.values import MAX_SAMPLES
from rules.testing.warned import said_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from rules.registry import Channels
    from rules.testing.cases import Case
    from rules.testing.models import Action

SECOND_NS: Final = 1_000_000_000
MAX_LASTS_NS: Final = 2 * 366 * 86_400 * SECOND_NS
BOOT: Final = 1


@dataclass(frozen=True, slots=True)
class Act:
    """An operator's action, to be made a Control when it is due."""

    number: int  # in the test's list
    action: Action


@dataclass(frozen=True, slots=True)
class Journal:
    """What comes in, by time received; ticks are not laid out yet. Times are ns since the start."""

    start_ns: int
    end_ns: int  # since the start; ticks go on until then
    at_ns: NDArray[np.int64]  # [n] of each body, rising
    part: NDArray[np.int64]  # [n] which piece of rows, block or action each is, numbered on
    rows: Readings  # all readings, in order of arrival
    starts: NDArray[np.int64]  # of the pieces of rows that arrive together
    others: tuple[Block | Act | Control, ...]

    def body(self, number: int) -> Readings | Block | Act | Control:
        """Return what arrives at ``at_ns[number]``."""
        part, pieces = int(self.part[number]), len(self.starts)
        if part >= pieces:
            return self.others[part - pieces]
        stop = self.starts[part + 1] if part + 1 < pieces else len(self.rows)
        return self.rows.take(slice(int(self.starts[part]), int(stop)))

    @property
    def last_tick(self) -> int:
        """Return the number of the last tick; tick k is at k seconds, tick 0 opens the journal."""
        return -(-self.end_ns // SECOND_NS)

    @property
    def offset(self) -> NDArray[np.int64]:
        """Return each body's offset: as many bodies and ticks of every second stand before it."""
        before = np.maximum(1, -(-self.at_ns // SECOND_NS))
        result: NDArray[np.int64] = np.arange(len(self.at_ns)) + before
        return result

    def tick_offset(self, ticks: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the offsets of ticks by number."""
        before = np.searchsorted(self.at_ns, ticks * SECOND_NS, side="right")
        result: NDArray[np.int64] = ticks + np.where(ticks > 0, before, 0)
        return result

    def records(self, ticks: NDArray[np.int64]) -> Entries:
        """Return bodies and the given ticks, in order."""
        offset = np.concatenate((self.offset, self.tick_offset(ticks)))
        order = np.argsort(offset, kind="stable")
        return Entries(self, ticks, offset[order], order)

    def until(self, at_ns: int) -> int:
        """Return the last offset of all that comes at or before ``at_ns`` since the start."""
        seconds = at_ns // SECOND_NS
        return int(seconds + np.searchsorted(self.at_ns, at_ns, side="right"))


@dataclass(frozen=True, slots=True)
class Entries:
    """Records of a journal, made one by one while they are gone through: a month is large."""

    journal: Journal
    ticks: NDArray[np.int64]
    offset: NDArray[np.int64]  # [n], rising
    order: NDArray[np.int64]  # [n] the number of a body, or as many more as a tick's number

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.offset)

    def is_tick(self) -> NDArray[np.bool_]:
        """Return which of them are ticks."""
        result: NDArray[np.bool_] = self.order >= len(self.journal.at_ns)
        return result

    def __iter__(self) -> Iterator[Record | Act]:
        """Give them in order."""
        journal, bodies = self.journal, len(self.journal.at_ns)
        tick_ns = (journal.start_ns + self.ticks * SECOND_NS).tolist()
        for offset, number in zip(self.offset.tolist(), self.order.tolist(), strict=True):
            if number >= bodies:
                yield Record(offset, Tick(tick_ns[number - bodies]))
            else:
                body = journal.body(number)
                yield body if isinstance(body, Act) else Record(offset, body)


@dataclass(frozen=True, slots=True)
class _Part:
    """Deliveries of one input, each of one sample."""

    columns: dict[str, NDArray[Any]]
    blocks: list[Block]


def journal_of(case: Case) -> Journal:
    """Return the journal of a case.

    Raises
    ------
    Invalid
        It is too long or too large, or a sample would come before it was measured.
    """
    test = case.test
    _refuse_too_much(case)
    sequences = _sequences(case)
    parts = [_part(case, i, sequences[i]) for i in range(len(test.input))]
    rows = _sorted(parts)
    rel = rows.receive_ns - case.start_ns
    blocks = [block for part in parts for block in part.blocks]
    block_ns = np.array([b.receive_ns for b in blocks], np.int64) - case.start_ns
    act_ns = np.array([action.at for action in test.actions], np.int64)
    said_ns = np.array([said.at for said in test.warnings], np.int64)
    starts = np.flatnonzero(np.diff(rel, prepend=-1))
    at_ns = np.concatenate((rel[starts], block_ns, act_ns, said_ns))
    later = np.arange(len(at_ns)) < len(at_ns) - len(said_ns)  # warnings come first of their time
    order = np.lexsort((np.arange(len(at_ns)), later, at_ns))
    end_ns = max(int(at_ns.max(initial=0)), *(e.at for e in test.expect), test.entry.lasts or 0, 0)
    if end_ns > MAX_LASTS_NS:
        raise _refused(case, (), _TOO_LONG)
    return Journal(
        start_ns=case.start_ns,
        end_ns=end_ns,
        at_ns=at_ns[order],
        part=order,
        rows=rows,
        starts=starts,
        others=(*blocks, *(Act(i, each) for i, each in enumerate(test.actions)), *said_of(case)),
    )


_TOO_LONG: Final = f"lasts longer than {format_duration(MAX_LASTS_NS)} of virtual time"


def _refuse_too_much(case: Case) -> None:
    """Look at how many samples there are, and until when, before they are laid out."""
    total = 0
    for i, given in enumerate(case.test.input):
        total += len(given.values.value)
        if given.start + len(given.values.value) * _interval(case, i) > MAX_LASTS_NS:
            raise _refused(case, ("input", i), f"{_TOO_LONG}: take a shorter interval")
    if total > MAX_SAMPLES:
        said = f"has more than {MAX_SAMPLES} samples in all: split the test"
        raise _refused(case, ("input",), said)


def _refused(case: Case, where: tuple[str | int, ...], said: str) -> Invalid:
    case.test.problem(where, said)
    return Invalid(case.test.document.problems)


def _interval(case: Case, i: int) -> int:
    given = case.test.input[i].interval or case.test.entry.interval
    return given or int(case.registry.channels.interval_ns[case.inputs[i]])


def _times(case: Case, i: int) -> NDArray[np.int64]:
    """Return when the samples of an input were measured, ns since the start."""
    given = case.test.input[i]
    times: NDArray[np.int64] = given.start + np.arange(
        len(given.values.value), dtype=np.int64
    ) * _interval(case, i)
    return times


def _sequences(case: Case) -> list[NDArray[np.int64]]:
    """Return numbers of the samples of each channel, by when they were measured."""
    found: list[Any] = [None] * len(case.inputs)
    for channel in set(case.inputs):
        mine = [i for i, held in enumerate(case.inputs) if held == channel]
        times = np.concatenate([_times(case, i) for i in mine])
        number = np.empty(len(times), np.int64)
        number[np.argsort(times, kind="stable")] = np.arange(len(times))
        lengths = [len(case.test.input[i].values.value) for i in mine]
        pieces = np.split(number, np.cumsum(lengths)[:-1])
        for i, piece in zip(mine, pieces, strict=True):
            found[i] = piece
    return found


def _part(case: Case, i: int, sequence: NDArray[np.int64]) -> _Part:
    """Lay out one input: canonical values, flags, and when each sample arrives."""
    given, channel = case.test.input[i], case.inputs[i]
    times = _times(case, i)
    raw, sent = given.values.value.copy(), given.values.sent.copy()
    faulty = np.zeros(len(raw), np.bool_)
    for span in given.fault_code:
        faulty |= span.holds(times)
    codes = case.registry.channels.fault_codes[channel]
    raw[faulty] = codes[0] if codes else np.nan
    sent |= faulty
    faulty |= np.isin(raw, codes)
    value = _canonical(case, channel, raw)
    arrival = times.copy()
    for way in given.arrive:
        inside = way.holds(times)
        arrival[inside] = times[inside] + way.by if way.at is None else way.at
    late = np.flatnonzero(sent & (arrival < times))
    if len(late):
        when = format_duration(int(times[late[0]]))
        said = f"the sample of {when} would come before it was measured"
        raise _refused(case, ("input", i, "arrive"), said)
    if given.block is not None:
        return _Part({}, _blocks(case, i, (times, value, sent, arrival), sequence))
    stamp = times.copy()
    for wrong in given.stamp:
        stamp[wrong.holds(times)] += wrong.by
    device = int(case.registry.channels.device[channel])
    columns: dict[str, NDArray[Any]] = {
        "channel": np.full(len(raw), channel, np.int32),
        "device": np.full(len(raw), device, np.int32),
        "event_ns": case.start_ns + stamp,
        "judged_ns": case.start_ns + np.minimum(stamp, arrival),  # admission shifts a message back
        "receive_ns": case.start_ns + arrival,
        "value": value,
        "qc_flag": _flags(case, i, times, value, faulty),
        "usable": ~faulty,
        "sequence": sequence,
    }
    parts = [{name: column[sent] for name, column in columns.items()}]
    for repeat in given.repeat:
        again = repeat.holds(times) & sent
        parts.append({name: column[again] for name, column in columns.items()})
        parts[-1]["receive_ns"] = parts[-1]["receive_ns"] + repeat.by
    return _Part({name: np.concatenate([p[name] for p in parts]) for name in columns}, [])


def basis_of(channels: Channels, row: int) -> float:
    """Return what 100 %LEL of a channel are, in %vol: its own, or the site's."""
    own = float(channels.lel_basis[row])
    return SITE_LEL_BASIS if np.isnan(own) else own


def _canonical(case: Case, channel: int, raw: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convert values as their device sends them, rounded once as admission does."""
    channels = case.registry.channels
    quantity, unit = channels.quantity[channel], channels.unit[channel]
    finite = np.isfinite(raw)
    few, inverse = np.unique(raw[finite], return_inverse=True)
    basis = basis_of(channels, channel)
    each = [canonical(quantity, unit, x, lel_basis=basis) for x in few.tolist()]
    known = np.array(each, np.float64)
    result = raw.copy()
    result[finite] = known[inverse]
    return result


def _flags(
    case: Case,
    i: int,
    times: NDArray[np.int64],
    value: NDArray[np.float64],
    faulty: NDArray[np.bool_],
) -> NDArray[np.uint8]:
    """Return the flags admission would give, and what the device itself says."""
    channels, channel = case.registry.channels, case.inputs[i]
    flag = np.full(len(value), QC_GOOD, np.uint8)
    for said in case.test.input[i].quality:
        flag[said.holds(times)] = FLAGS[said.flag]
    low, high = channels.range_lo[channel], channels.range_hi[channel]
    beyond = (value > high) | (value < low) | np.isinf(value)
    flag[beyond & (flag < QC_SUSPECT)] = QC_SUSPECT
    flag[faulty] = QC_FAIL
    flag[np.isnan(value)] = QC_MISSING
    return flag


def _blocks(
    case: Case,
    i: int,
    samples: tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.bool_], NDArray[np.int64]],
    sequence: NDArray[np.int64],
) -> list[Block]:
    """Cut a series into blocks; a sample that never comes ends one early."""
    times, value, sent, arrival = samples
    given, channel, interval = case.test.input[i], case.inputs[i], _interval(case, i)
    length = max(1, (given.block or 0) // interval)
    number = np.arange(len(times)) // length
    cut = np.ones(len(times), np.bool_)
    cut[1:] = (number[1:] != number[:-1]) | (sent[1:] != sent[:-1])
    starts = np.flatnonzero(cut)
    blocks = []
    for a, b in zip(starts.tolist(), [*starts[1:].tolist(), len(times)], strict=True):
        if not sent[a]:
            continue
        blocks.append(
            Block(
                channel=np.array([channel], np.int32),
                device=int(case.registry.channels.device[channel]),
                event_ns=case.start_ns + int(times[a]),
                judged_ns=case.start_ns + int(times[a]),
                receive_ns=case.start_ns + int(arrival[b - 1]) + interval,
                rate_hz=1e9 / interval,
                samples=value[None, a:b].astype(np.float32),
                boot=BOOT,
                sequence=int(sequence[a]),
            )
        )
    return blocks


def _sorted(parts: list[_Part]) -> Readings:
    """Return all readings by arrival; what arrives together in the order it was measured."""
    held = [part.columns for part in parts if part.columns]
    if not held:
        return Readings.empty()
    columns = {name: np.concatenate([part[name] for part in held]) for name in held[0]}
    columns["boot"] = np.full(len(columns["channel"]), BOOT, np.int64)
    rows = Readings.of(columns)
    return rows.take(np.lexsort((rows.sequence, rows.receive_ns)))
