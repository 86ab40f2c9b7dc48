"""Kinds ``all``, ``any`` and ``sequence``: conditions of one zone or asset, joined.

docs/kinds/composites.md. An input is a ballot of many slots, those of its members; all else is as
of votes: changes in journal order, what ceased counts for ``within``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from rules.engine.kinds.vote import BITS, Votes, accepted_rows, rank_of
from rules.segments import ranges

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rules.engine.kinds.vote import Changes, Points
    from rules.engine.lifecycle import SlotRows
    from rules.engine.outcome import SlotEvents
    from rules.engine.part import Part
    from rules.engine.slots import Slots

MEMBERS: Final = 128  # places of an input's members among those of a group
_SINCE: Final = -(2**61) - 1  # before any judged time: steps are held as time since then


@dataclass(frozen=True, slots=True)
class Came:
    """Inputs that came on in a part, by ballot, then position."""

    ballot: NDArray[np.int64]
    rank: NDArray[np.int64]  # among the rows and ticks of the part
    place: NDArray[np.int64]  # of each among the part's Changes
    g: NDArray[np.int64]
    channel: NDArray[np.int64]  # the member that brought it on
    score: NDArray[np.float64]
    t_ns: NDArray[np.int64]  # judged time of the row that decided
    reached: NDArray[np.int64]  # of a sequence: when its step was, since _SINCE; 0 = not


NO_CAME = Came(*(np.zeros(0, np.int64),) * 5, np.zeros(0), *(np.zeros(0, np.int64),) * 2)


class Joint(Votes):
    """T groups of up to K inputs; ballot ``track · K + input`` is the slots of all its members."""

    def __init__(self, slots: Slots) -> None:
        super().__init__(slots)
        shape = self.ballot.shape
        self.state: dict[str, NDArray[Any]] = {
            "on_row": np.zeros(shape, np.int64),  # channel + 1 that last brought it on, 0 = none
            "on_score": np.zeros(shape),
            "on_ns": np.zeros(shape, np.int64),
        }
        self._earlier = self.state  # as it stood before the part taken last
        self._came = NO_CAME
        self._moves: tuple[NDArray[np.int64], NDArray[np.int64]]  # events that add a member

    def _lay_ballots(self, of: Sequence[str], at_least: Sequence[str]) -> None:
        """Find the slots of each input's members, and the channels that concern each group."""
        slots, width = self.slots, self.members.shape[1] // MEMBERS
        rules = [text.split() for text in of]
        least = [[int(word) for word in text.split()] for text in at_least]
        self.names = [text.split() for text in self.tracks.option("inputs")]
        track, place = np.nonzero(self.members >= 0)
        channel, inside = self.members[track, place], place // MEMBERS
        tracks = len(self.members)
        each = np.arange(width)
        known = each < np.array([len(held) for held in rules], np.int64)[:, None]
        ballot = np.arange(tracks)[:, None] * width + each
        self.ballot = np.where(known, ballot, -1)
        self.at_least = np.ones(tracks * width, np.int64)
        self.at_least[self.ballot[known]] = [x for held in least for x in held]
        self.voters, self.pointer = (
            np.arange(tracks * width) // width,
            np.arange(tracks * width + 1),
        )
        names = sorted({name for held in rules for name in held})
        number = {name: i for i, name in enumerate(names)}
        wanted = np.full((tracks, width), -1)
        wanted[known] = [number[name] for held in rules for name in held]
        rule_of = np.array([number.get(r.rule_id, -1) for r in slots.rules], np.int64)
        held = np.flatnonzero(rule_of[slots.parameters.rule] >= 0)
        key = rule_of[slots.parameters.rule[held]] * len(slots.subjects)
        key += slots.parameters.channel[held]
        order = np.argsort(key, kind="stable")
        key, held = key[order], held[order]
        mine = wanted[track, inside] * len(slots.subjects) + channel
        first, last = np.searchsorted(key, mine), np.searchsorted(key, mine, "right")
        slot = held[ranges(first, last - first)]
        self._lay_members(slot, np.repeat(track * width + inside, last - first), tracks * width)

    def _lay_members(
        self, slot: NDArray[np.int64], ballot: NDArray[np.int64], ballots: int
    ) -> None:
        """Index slots by ballot, ballots by slot, and channels by group."""
        slots = self.slots
        order = np.argsort(ballot, kind="stable")
        self.slot_by_ballot = slot[order]
        self.slots_from = np.searchsorted(ballot[order], np.arange(ballots + 1))
        order = np.argsort(slot, kind="stable")
        self.ballot_by_slot = ballot[order]
        self.ballots_from = np.searchsorted(slot[order], np.arange(len(slots) + 1))
        p = slots.parameters
        fed = np.stack([self.voters[ballot], p.channel[slot], p.accept[slot]], axis=1)
        fed = np.unique(fed, axis=0)
        self.fed_channel, self.fed_accept = fed[:, 1], fed[:, 2]
        self.fed_from = np.searchsorted(fed[:, 0], np.arange(len(self.members) + 1))
        levels = slots.severity[: len(slots.levels)]
        high = levels >= self.at_least[:, None]
        self.wanted = (high << np.arange(len(levels))).sum(axis=1)  # [ballots] levels, as bits

    # ---- a part -------------------------------------------------------------------------------

    def _standing(self, ballot: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return how many slots of each ballot stand at or above its level now."""
        flat = ballot.ravel()
        first = self.slots_from[flat]
        each = self.slots_from[flat + 1] - first
        mask = self.slots.state.mask[self.slot_by_ballot[ranges(first, each)]]
        owner = np.repeat(np.arange(len(flat)), each)
        hit = (mask & self.wanted[flat][owner]) != 0
        return np.bincount(owner[hit], minlength=len(flat)).reshape(ballot.shape)

    def _steps(
        self, columns: SlotEvents
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return level events that take a member over or under its level: ±1, in order.

        Of several at one position those on lower channels come first, the low side first.
        """
        first = self.ballots_from[columns.slot]
        each = self.ballots_from[columns.slot + 1] - first
        each[columns.ordinal != 0] = 0  # CONFIRMED is no change of level
        at = np.repeat(np.arange(len(columns.slot)), each)
        ballot = self.ballot_by_slot[ranges(first, each)]
        least = self.at_least[ballot]
        step = (columns.severity[at] >= least).astype(np.int64)
        step -= columns.previous[at] >= least
        moved = np.flatnonzero(step)
        at, ballot, step = at[moved], ballot[moved], step[moved]
        p, slot = self.slots.parameters, columns.slot[at]
        order = np.lexsort((p.sign[slot], p.channel[slot], columns.g[at], ballot))
        at, ballot, step = at[order], ballot[order], step[order]
        self._moves = at[step > 0], ballot[step > 0]
        return at, ballot, step

    def _changes(self, part: Part, columns: SlotEvents) -> Changes:
        """Find where inputs began and ceased to stand, and take up what brought them on."""
        changes = super()._changes(part, columns)
        place = np.flatnonzero(changes.on)
        ballot, rank = changes.ballot[place], changes.rank[place]
        at = np.zeros(0, np.int64)
        if len(place):
            event, of = self._moves
            key = (of << BITS) | rank_of(part, columns.g[event])
            at = event[np.searchsorted(key, (ballot << BITS) | rank)]
        self._came = Came(
            ballot=ballot,
            rank=rank,
            place=place,
            g=changes.g[place],
            channel=self.slots.parameters.channel[columns.slot[at]].astype(np.int64),
            score=columns.score[at],
            t_ns=columns.event_ns[at],
            reached=np.zeros(len(place), np.int64),
        )
        return changes

    def rows(self, part: Part, columns: SlotEvents | None) -> SlotRows | None:
        """Score the groups of a part whose members' slots have been advanced; remember them."""
        self._came, self._earlier = NO_CAME, self.state
        rows = super().rows(part, columns)
        came = self._came
        if len(came.ballot):
            last = np.append(came.ballot[1:] != came.ballot[:-1], True)
            at = np.divmod(came.ballot[last], self.ballot.shape[1])
            self.state = {name: column.copy() for name, column in self.state.items()}
            for name, column in self._taken_up(came).items():
                self.state[name][at] = column[last]
        return rows

    def _taken_up(self, came: Came) -> dict[str, NDArray[Any]]:
        """Return what is remembered of inputs that came on, by name."""
        return {"on_row": came.channel + 1, "on_score": came.score, "on_ns": came.t_ns}

    def _member_rows(
        self, part: Part, chosen: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the rows of members that a slot takes, and the groups they concern."""
        segments = part.segments
        first = self.fed_from[chosen]
        each = self.fed_from[chosen + 1] - first
        fed, track = ranges(first, each), np.repeat(chosen, each)
        most = max(int(segments.key.max(initial=-1)), int(self.fed_channel.max(initial=-1)))
        where = np.full(most + 1, -1)
        where[segments.key] = np.arange(len(segments.key))
        segment = where[self.fed_channel[fed]]
        some = segment >= 0
        fed, track, segment = fed[some], track[some], segment[some]
        return accepted_rows(part, segment, track, self.fed_accept[fed])

    def named(self, slot: int, votes: float, g: int) -> dict[str, list[Any]]:
        """Return which inputs were on, and what last made each of them stand up to a position."""
        track, bits = int(self.slots.track[slot]), int(votes)
        found: dict[str, list[Any]] = {"inputs": [], "channels": [], "scores": [], "times_ns": []}
        for place, name in enumerate(self.names[track]):
            if not bits >> place & 1:
                continue
            channel, score, t_ns = self._brought(track, place, g)
            found["inputs"].append(name)
            found["channels"].append(self.slots.subjects[channel] if channel >= 0 else "")
            found["scores"].append(score if channel >= 0 else None)
            found["times_ns"].append(t_ns)
        return found

    def _brought(self, track: int, place: int, g: int) -> tuple[int, float, int]:
        """Return channel, score and time of what brought an input on; −1 where it is not known."""
        came, ballot = self._came, track * self.ballot.shape[1] + place
        first = int(np.searchsorted(came.ballot, ballot))
        stop = int(np.searchsorted(came.ballot, ballot, "right"))
        at = first + int(np.searchsorted(came.g[first:stop], g, "right")) - 1
        if at >= first:
            return int(came.channel[at]), float(came.score[at]), int(came.t_ns[at])
        held = {name: column[track, place] for name, column in self._earlier.items()}
        return int(held["on_row"]) - 1, float(held["on_score"]), int(held["on_ns"])

    # ---- snapshots ----------------------------------------------------------------------------

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the state's arrays by name."""
        return {"off_ns": self.off_ns, **self.state}

    def restore(self, name: str, column: NDArray[Any]) -> None:
        """Put an array in place; it may have another width, and 0 where nothing was."""
        if name == "off_ns":
            super().restore(name, column)
        else:
            self.state[name] = self._fitted(column, 0)


class AllOf(Joint):
    """All inputs at once."""

    kernel: ClassVar[str] = "all"


class AnyOf(Joint):
    """At least one input."""

    kernel: ClassVar[str] = "any"


class InOrder(Joint):
    """One input after another."""

    kernel: ClassVar[str] = "sequence"

    def __init__(self, slots: Slots) -> None:
        super().__init__(slots)
        self.state["reached"] = np.zeros(self.ballot.shape, np.int64)

    def _taken_up(self, came: Came) -> dict[str, NDArray[Any]]:
        """Return what is remembered of inputs that came on, their steps too."""
        return super()._taken_up(came) | {"reached": came.reached}

    def _score(
        self, points: Points, votes: NDArray[np.int64], changes: Changes
    ) -> NDArray[np.float64]:
        """Return the highest step that is reached and whose input is on."""
        came, width = self._came, self.ballot.shape[1]
        done = self.state["reached"][points.track] > 0
        if len(came.ballot):
            self._reach(changes)
            key = (came.ballot << BITS) | came.rank
            ballot = points.track[:, None] * width + np.arange(width)
            wanted = (ballot << BITS) | points.rank[:, None]
            at = np.searchsorted(key, wanted.ravel(), "right").reshape(wanted.shape) - 1
            mine = (at >= 0) & (came.ballot[np.maximum(at, 0)] == ballot)
            done = np.where(mine, came.reached[at] > 0, done)
        step = np.arange(1, width + 1)
        on = (votes[:, None] >> np.arange(width)) & 1
        highest: NDArray[np.int64] = (step * (on & done)).max(axis=1)
        return highest.astype(np.float64)

    def _reach(self, changes: Changes) -> None:
        """Find what each input that came on reached: change by change, in order of position.

        Changes are few: as many as the events of as many rules.
        """
        came, width = self._came, self.ballot.shape[1]
        ceased, reached = self.off_ns.reshape(-1), self.state["reached"].reshape(-1)
        newly_ceased: dict[int, int] = {}
        newly_reached: dict[int, int] = {}
        number = np.full(len(changes.on), -1)
        number[came.place] = np.arange(len(came.place))
        order = np.lexsort((changes.ballot, changes.rank, changes.ballot // width))
        columns = (number[order], changes.ballot[order], changes.receive_ns[order])
        for mine, ballot, now in zip(*(column.tolist() for column in columns), strict=True):
            if mine < 0:
                newly_ceased[ballot] = now
                continue
            t = int(came.t_ns[mine]) - _SINCE
            within = int(self.within_ns[ballot // width])
            before = newly_reached.get(ballot - 1, int(reached[ballot - 1]))
            held = newly_reached.get(ballot, int(reached[ballot]))
            if ballot % width == 0 or (before and 0 <= t - before <= within):
                held = t
            elif now - newly_ceased.get(ballot, int(ceased[ballot])) > within:
                held = 0
            newly_reached[ballot] = held
            came.reached[mine] = held


JOINTS: tuple[type[Joint], ...] = (AllOf, AnyOf, InOrder)
