"""Kind ``vote``: how many members around a place have an alarm of another rule.

docs/kinds/composites.md. Runs after the members' lifecycle, over its changes in journal order; the
rows it makes go through the same lifecycle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from rules.engine.lifecycle import SlotRows
from rules.engine.slots import NO_NS
from rules.events import EventType
from rules.segments import ranges

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rules.engine.outcome import SlotEvents
    from rules.engine.part import Part
    from rules.engine.slots import Slots

MAX_MEMBERS = 48  # so that who voted fits a float exactly, as bits
CHUNK = 1 << 18  # members looked at at once: bounds memory
BITS = 32


@dataclass(frozen=True, slots=True)
class Changes:
    """Members that began or ceased to vote in a part, by ballot, then position."""

    ballot: NDArray[np.int64]
    rank: NDArray[np.int64]  # among the rows and ticks of the part
    g: NDArray[np.int64]
    receive_ns: NDArray[np.int64]
    on: NDArray[np.bool_]  # after it
    off_ns: NDArray[np.int64]  # when it last ceased in this part, NO_NS = not in this part
    head: NDArray[np.bool_]  # the first of its ballot


@dataclass(frozen=True, slots=True)
class Points:
    """Where votes are counted: by track, then position."""

    track: NDArray[np.int64]
    rank: NDArray[np.int64]  # among the rows and ticks of the part
    g: NDArray[np.int64]
    receive_ns: NDArray[np.int64]
    by_tick: NDArray[np.bool_]


def rank_of(part: Part, g: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where positions of a part stand among its rows and ticks: small numbers, in order."""
    rank: NDArray[np.int64] = np.searchsorted(part.g, g) + np.searchsorted(part.ticks.g, g)
    return rank


def accepted_rows(
    part: Part, segment: NDArray[np.int64], track: NDArray[np.int64], accept: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return rows of segments that their acceptance classes take, none NaN, and their tracks."""
    segments = part.segments
    length = segments.length[segment]
    places = ranges(segments.start[segment], length)
    keep = ~np.isnan(part.value[places])
    if any(mask is not None for mask in part.accepted):
        classes = np.repeat(accept, length)
        for number, mask in enumerate(part.accepted):
            if mask is not None:
                keep &= (classes != number) | mask[segments.order[places]]
    return segments.order[places[keep]], np.repeat(track, length)[keep]


def _bits(voting: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return each row of truths as the bits of one number, the first the lowest."""
    whole = np.zeros((len(voting), 8), np.uint8)
    packed = np.packbits(voting, axis=1, bitorder="little")
    whole[:, : packed.shape[1]] = packed
    return whole.view("<u8")[:, 0].astype(np.int64)


NO_CHANGES = Changes(
    *(np.zeros(0, np.int64),) * 4,
    np.zeros(0, np.bool_),
    np.zeros(0, np.int64),
    np.zeros(0, np.bool_),
)


class Votes:
    """Members of T places; a ballot is what rule and level is voted on, by one channel."""

    kernel: ClassVar[str] = "vote"

    def __init__(self, slots: Slots) -> None:
        self.slots = slots
        tracks = self.tracks = slots.tracks[self.kernel]
        self.members = tracks.own("members", fill=-1).astype(np.int64)  # [T, k]
        self.within_ns = tracks.own("within_ns").astype(np.int64)
        self.need = slots.parameters.lowest[tracks.slot[:-1]]
        self.ballot: NDArray[np.int64]  # [T, k], −1 = none
        self._lay_ballots(tracks.option("of"), tracks.option("at_least"))
        self.off_ns = np.full(self.ballot.shape, NO_NS)  # [T, k] when a member ceased
        self.warm = np.ones(len(tracks), np.bool_)  # somebody votes, or may

    def _lay_ballots(self, of: Sequence[str], at_least: Sequence[Any]) -> None:
        """Find the slots that each member's ballot looks at."""
        slots = self.slots
        elections = sorted(set(zip(of, at_least, strict=True)))
        channels = max(int(self.members.max(initial=-1)) + 1, 1)
        election = np.array([elections.index(each) for each in zip(of, at_least, strict=True)])
        self.ballot = np.where(self.members >= 0, election[:, None] * channels + self.members, -1)
        self.at_least = np.repeat([severity for _, severity in elections], channels)
        # [ballots, 2]: of the high and the low side; −1 = none
        self.slot_of = np.full((len(self.at_least), 2), -1)
        self.ballots_of: list[NDArray[np.int64]] = []  # by election: ballot of each slot, or −1
        names = np.array([rule.rule_id for rule in slots.rules], object)[slots.parameters.rule]
        for number, (name, _) in enumerate(elections):
            mine = (names == name) & (slots.parameters.channel < channels)
            slot = np.flatnonzero(mine)
            ballot = number * channels + slots.parameters.channel[slot].astype(np.int64)
            self.slot_of[ballot, (slots.parameters.sign[slot] < 0).astype(np.int64)] = slot
            table = np.full(len(slots), -1)
            table[slot] = ballot
            self.ballots_of.append(table)
        track, place = np.nonzero(self.ballot >= 0)
        order = np.argsort(self.ballot[track, place], kind="stable")
        self.voters = track[order]  # tracks, by the ballot that concerns them
        each = np.arange(len(self.at_least) + 1)
        self.pointer = np.searchsorted(self.ballot[track, place][order], each)

    # ---- a part -------------------------------------------------------------------------------

    def rows(self, part: Part, columns: SlotEvents | None) -> SlotRows | None:
        """Count the votes of a part whose members' slots have been advanced; remember them."""
        changes = NO_CHANGES if columns is None else self._changes(part, columns)
        active = self.warm | (self.tracks.busy > 0)
        active[self._tracks_of(changes.ballot)] = True
        chosen = np.flatnonzero(active)
        if not len(chosen):
            return None
        points = self._points(part, chosen, changes)
        votes = self._votes(points, changes, chosen)
        count = self._score(points, votes, changes)
        self._remember(chosen, changes, part)
        keep = ~points.by_tick | (count >= self.need[points.track])
        track, count, votes = points.track[keep], count[keep], votes[keep]
        if not len(track):
            return None
        begins = np.append(True, track[1:] != track[:-1])
        start = np.flatnonzero(begins)
        receive_ns = points.receive_ns[keep]
        return SlotRows(
            slot=self.tracks.slot[track[start]],
            length=np.diff(np.append(start, len(track))),
            g=points.g[keep],
            judged_ns=receive_ns,
            receive_ns=receive_ns,
            value=count,
            score=count,
            over=np.zeros(len(track), np.bool_),
            aux=votes.astype(np.float64)[:, None],
        )

    def _score(
        self,
        points: Points,  # noqa: ARG002 - of use where order matters
        votes: NDArray[np.int64],
        changes: Changes,  # noqa: ARG002
    ) -> NDArray[np.float64]:
        """Return what is compared with the limit, of who votes as bits."""
        return np.bitwise_count(votes).astype(np.float64)

    def _tracks_of(self, ballot: NDArray[np.int64]) -> NDArray[np.int64]:
        first = self.pointer[ballot]
        return self.voters[ranges(first, self.pointer[ballot + 1] - first)]

    def _standing(self, ballot: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return how many sides of each ballot stand at or above its level now."""
        slots, levels = self.slots, len(self.slots.levels)
        held = self.slot_of[ballot]
        mask = slots.state.mask[np.maximum(held, 0)] & ((1 << levels) - 1)
        above = np.zeros(len(slots.levels) + 2, np.int64)
        for severity in range(len(above)):
            high = slots.severity[:levels] >= severity
            above[severity] = int((np.int64(1) << np.flatnonzero(high)).sum())
        wanted = above[np.minimum(self.at_least[ballot], len(above) - 1)]
        sides: NDArray[np.int64] = (((mask & wanted[..., None]) != 0) & (held >= 0)).sum(axis=-1)
        return sides

    def _changes(self, part: Part, columns: SlotEvents) -> Changes:
        """Find where members began and ceased to vote."""
        at, ballot, step = self._steps(columns)
        if not len(at):
            return NO_CHANGES
        begin = np.append(True, ballot[1:] != ballot[:-1])
        start, run = np.flatnonzero(begin), np.cumsum(begin) - 1
        total = np.cumsum(step)
        before = self._standing(ballot[start]) - np.add.reduceat(step, start)
        sides = before[run] + total - (total[start] - step[start])[run]
        g, receive_ns = columns.g[at], columns.receive_ns[at]
        # both sides may move at one position: only what stands after it counts
        last = np.append((ballot[1:] != ballot[:-1]) | (g[1:] != g[:-1]), True)
        ballot, g, receive_ns, on = ballot[last], g[last], receive_ns[last], sides[last] > 0
        earlier = np.append(False, on[:-1])
        earlier[np.append(True, ballot[1:] != ballot[:-1])] = before > 0
        turned = on != earlier  # one side may begin while the other stands
        ballot, g, receive_ns, on = ballot[turned], g[turned], receive_ns[turned], on[turned]
        ceased = np.where(on, -1, np.arange(len(on)))
        head = np.append(True, ballot[1:] != ballot[:-1])[: len(on)]
        floor = np.maximum.accumulate(np.where(head, np.arange(len(on)), 0))
        newest = np.maximum.accumulate(ceased)
        off_ns = np.where(newest >= floor, receive_ns[np.maximum(newest, 0)], NO_NS)
        return Changes(ballot, rank_of(part, g), g, receive_ns, on, off_ns, head)

    def _steps(
        self, columns: SlotEvents
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return level events that take a side over or under its ballot's level: ±1, in order."""
        none = np.zeros(0, np.int64)
        level = np.array([kind is not EventType.CONFIRMED for kind in columns.kind], np.bool_)
        found = [np.flatnonzero(level & (table[columns.slot] >= 0)) for table in self.ballots_of]
        at = np.concatenate([none, *found])
        ballot = np.concatenate(
            [none, *(t[columns.slot[f]] for t, f in zip(self.ballots_of, found, strict=True))]
        )
        least = self.at_least[ballot]
        step = (columns.severity[at] >= least).astype(np.int64)
        step -= columns.previous[at] >= least
        moved = np.flatnonzero(step)
        order = moved[np.lexsort((columns.g[at[moved]], ballot[moved]))]
        return at[order], ballot[order], step[order]

    def _points(self, part: Part, chosen: NDArray[np.int64], changes: Changes) -> Points:
        """Return where the chosen tracks are counted: rows of members, and ticks that raised."""
        row, track = self._member_rows(part, chosen)
        tick = np.flatnonzero(np.isin(changes.g, part.ticks.g))
        each = self.pointer[changes.ballot[tick] + 1] - self.pointer[changes.ballot[tick]]
        late = np.repeat(tick, each)
        rank = np.concatenate([rank_of(part, part.g)[row], changes.rank[late]])
        track = np.concatenate([track, self._tracks_of(changes.ballot[tick])])
        key = (track << BITS) | rank
        order = np.argsort(key)
        first = np.append(True, np.diff(key[order]) != 0)[: len(order)]
        order = order[first]  # two members raised by one tick are counted once
        g = np.concatenate([part.g[row], changes.g[late]])
        receive_ns = np.concatenate([part.rows.receive_ns[row], changes.receive_ns[late]])
        return Points(track[order], rank[order], g[order], receive_ns[order], order >= len(row))

    def _member_rows(
        self, part: Part, chosen: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the rows of members that their slots take, and the tracks they concern."""
        at, place = np.nonzero(self.ballot[chosen] >= 0)
        track = chosen[at]
        slot = self.slot_of[self.ballot[track, place]].max(axis=1)
        segments = part.segments
        most = max(int(segments.key.max(initial=-1)), int(self.members.max()))
        where = np.full(most + 1, -1)
        where[segments.key] = np.arange(len(segments.key))
        segment = np.where(slot >= 0, where[self.members[track, place]], -1)
        some = segment >= 0
        track, slot, segment = track[some], slot[some], segment[some]
        return accepted_rows(part, segment, track, self.slots.parameters.accept[slot])

    def _votes(
        self, points: Points, changes: Changes, chosen: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Return who votes at each point, as bits."""
        ballot = self.ballot[chosen]
        known = np.maximum(ballot, 0)
        stands = (self._standing(known) > 0) & (ballot >= 0)
        off_ns, within_ns = self.off_ns[chosen], self.within_ns[chosen]
        head = np.flatnonzero(changes.head)
        moves = np.zeros(ballot.shape, np.bool_)
        if len(head):
            # a member that changes in this part stood before its first change the other way
            first = np.minimum(np.searchsorted(changes.ballot[head], known), len(head) - 1)
            moves = changes.ballot[head][first] == ballot
            stands = np.where(moves, ~changes.on[head][first], stands)
        at = np.searchsorted(chosen, points.track)
        votes = np.zeros(len(at), np.int64)
        step = max(1, CHUNK // ballot.shape[1])
        for begin in range(0, len(at), step):
            rows = slice(begin, begin + step)
            of = at[rows]
            on, off = stands[of], off_ns[of]
            if len(head):
                self._put_changes(changes, (moves[of], ballot[of], points.rank[rows]), on, off)
            since = points.receive_ns[rows] - within_ns[of]
            votes[rows] = _bits(on | (off >= since[:, None]))
        return votes

    @staticmethod
    def _put_changes(
        changes: Changes,
        of: tuple[NDArray[np.bool_], NDArray[np.int64], NDArray[np.int64]],
        on: NDArray[np.bool_],
        off_ns: NDArray[np.int64],
    ) -> None:
        """Write over what stood before the part what changed in it, up to each point."""
        moves, ballot, rank = of
        point, place = np.nonzero(moves)
        mine = ballot[point, place]
        key = (changes.ballot << BITS) | changes.rank
        found = np.searchsorted(key, (mine << BITS) | rank[point], "right") - 1
        here = (found >= 0) & (changes.ballot[np.maximum(found, 0)] == mine)
        point, place, found = point[here], place[here], found[here]
        on[point, place] = changes.on[found]
        fell = changes.off_ns[found] != NO_NS
        off_ns[point[fell], place[fell]] = changes.off_ns[found[fell]]

    def _remember(self, chosen: NDArray[np.int64], changes: Changes, part: Part) -> None:
        """Keep when members ceased, and which places may still have voters."""
        end = np.append(changes.ballot[1:] != changes.ballot[:-1], True)[: len(changes.ballot)]
        ceased = np.flatnonzero(end & (changes.off_ns != NO_NS))
        ballot = self.ballot[chosen]
        if len(ceased):
            at = np.searchsorted(changes.ballot[ceased], ballot)
            at = ceased[np.minimum(at, len(ceased) - 1)]
            mine = changes.ballot[at] == ballot
            self.off_ns[chosen] = np.where(mine, changes.off_ns[at], self.off_ns[chosen])
        now = max(
            int(part.rows.receive_ns[-1]) if len(part.rows) else int(NO_NS),
            int(part.ticks.tick_ns[-1]) if len(part.ticks.g) else int(NO_NS),
        )
        warm = (ballot >= 0) & (self._standing(np.maximum(ballot, 0)) > 0)
        warm |= self.off_ns[chosen] >= now - self.within_ns[chosen][:, None]
        self.warm[chosen] = warm.any(axis=1)

    def named(self, slot: int, votes: float, g: int) -> dict[str, list[Any]]:  # noqa: ARG002
        """Return who voted, as evidence of an event at a position of the part taken last."""
        track = int(self.slots.track[slot])
        bits = int(votes)
        return {
            "members": [
                self.slots.subjects[channel]
                for place, channel in enumerate(self.members[track].tolist())
                if bits >> place & 1
            ]
        }

    # ---- snapshots ----------------------------------------------------------------------------

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the state's arrays by name."""
        return {"off_ns": self.off_ns}

    def restore(self, name: str, column: NDArray[Any]) -> None:
        """Put an array in place; it may have another width, and 0 where nothing was."""
        held = self._fitted(column, 0)
        setattr(self, name, np.where(held == 0, NO_NS, held))

    def _fitted(self, column: NDArray[Any], fill: float) -> NDArray[Any]:
        """Return an array of a snapshot, as wide as the ballots of a track now."""
        held = np.full(self.ballot.shape, fill, column.dtype)
        width = min(held.shape[1], column.shape[1])
        held[:, :width] = column[:, :width]
        return held
