"""``kind: vote``: so many members around a place have an alarm of another rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import numpy as np
from pydantic import Field, model_validator

from rules.language.amounts import Holds, Keeps, SpanValue
from rules.language.kinds.kind import Kind, slot_columns
from rules.language.limits import Side
from rules.language.messages import messages_of
from rules.language.models import Body, ChannelSelect, LevelName, RuleClass, RuleId
from rules.language.nearby import Hops, Near, Nearby, Scope, one_way, padded
from rules.plan import ChannelRule
from rules.problems import near_or_known
from rules.strict_models import DurationNs, Strict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from rules.language.kinds.kind import Found, Groups, Work
    from rules.language.ruleset import Rule
    from rules.plan import Level

MAX_MEMBERS: Final = 48
"""The place itself and the nearest others. One width for all: see kind neighbour."""
_NO_SCORES: Final = ("deadman", "expr", "vote", "transient")


class Of(Strict):
    """What is voted on: an alarm of a rule on channels, from a level upwards."""

    rule: RuleId
    at_least: LevelName


class Need(Strict):
    """How many must vote, of how many registered at least."""

    count: Annotated[int, Field(ge=1, le=MAX_MEMBERS)]
    min_members: Annotated[int, Field(ge=1, le=MAX_MEMBERS)] | None = None  # default: count

    @model_validator(mode="after")
    def _enough(self) -> Need:
        if self.min_members is not None and self.min_members < self.count:
            raise ValueError("min_members below count: so few members can never reach it")
        return self


class VoteRule(Body):
    """Members near a place that have an alarm at the same time."""

    kind: Literal["vote"]
    select: ChannelSelect = ChannelSelect.model_validate({})  # of the other rule's channels
    klass: RuleClass = Field("safety", alias="class")
    of: Of
    near: Near | None = None
    network: str | None = None
    hops: Hops | None = None
    scope: Scope | None = None
    need: Need
    within: DurationNs = 0
    level: LevelName
    max_gap: SpanValue | None = None
    hold: Holds | None = Field(None, alias="for")
    keep_firing_for: Keeps | None = None

    @model_validator(mode="after")
    def _whole(self) -> VoteRule:
        one_way(self.near, self.network, self.hops, self.scope)
        for key, held in (("for", self.hold), ("keep_firing_for", self.keep_firing_for)):
            if held is not None and held.each is None:
                raise ValueError(f"{key}: a vote has one level: write one duration")
        if self.overrides:
            raise ValueError("overrides do not go with vote: write a second rule")
        return self


def _check(body: Any, levels: Sequence[Level]) -> Iterable[Found]:
    known = [level.name for level in levels]
    if body.of.at_least not in known:
        hint = near_or_known(body.of.at_least, known)
        yield ("of", "at_least"), f'of: unknown level "{body.of.at_least}"{hint}'


def _compile(work: Work, rule: Rule, body: Any, groups: Groups) -> None:
    if not _votable(work, rule, body):
        return
    judged = [r.channel for r in work.channel_rules if r.rule_id == body.of.rule]
    selected = np.concatenate([rows for _, rows in groups] or [np.zeros(0, np.intp)])
    rows = np.intersect1d(selected, np.concatenate([np.zeros(0, np.int32), *judged]))
    near = Nearby(work.registry, rows).of(rows, body)
    members = [[row, *others] for row, others in zip(rows.tolist(), near, strict=True)]
    least = body.need.min_members or body.need.count
    enough = np.array([len(held) >= least for held in members], np.bool_)
    lonely = rows[~enough]
    if len(lonely) or not len(rows):
        some = work.registry.channels.id[lonely[0]] if len(lonely) else "nothing is selected"
        said = f"need: {len(lonely)} of {len(rows)} places have fewer than {least} members ({some})"
        work.problems.append(rule.problem(("need",), said, "warning", key=True))
    if enough.any():
        table = padded([held for held in members if len(held) >= least], MAX_MEMBERS)
        work.composite_rules.append(_built(work, rule, body, table))


def _votable(work: Work, rule: Rule, body: Any) -> bool:
    """Tell whether the rule voted on is one on channels; note it where it is not."""
    known = {each.id: each.body.kind for each in work.rules.rules}
    kind = known.get(body.of.rule)
    if kind is not None and kind not in _NO_SCORES:
        return True
    if kind is None:
        said = f"of: unknown rule {body.of.rule!r}{near_or_known(body.of.rule, known)}"
    else:
        said = f"of: {body.of.rule} is of kind {kind}: only rules on readings of channels can be"
        said = f"{said} voted on"
    work.problems.append(rule.problem(("of",), said, key=True))
    return False


def _built(work: Work, rule: Rule, body: Any, members: NDArray[np.int64]) -> ChannelRule:
    """Return the arrays: a row a place, its own channel the first member."""
    levels = [level.name for level in work.levels]
    limit = np.full(len(levels), np.nan)
    limit[levels.index(body.level)] = body.need.count
    at_least = work.levels[levels.index(body.of.at_least)].severity
    every = work.registry.channels.interval_ns
    interval = np.where(members >= 0, every[np.maximum(members, 0)], 0).max(axis=1)
    side = Side(1, limit, limit, "1")
    channel = members[:, 0].astype(np.int32)
    columns: Any = slot_columns(side, channel, interval, body, work.levels)
    return ChannelRule(
        rule_id=rule.id,
        kind="vote",
        side=1,
        klass=body.klass,
        unit="1",
        source=body.source,
        approved_by=body.approved_by,
        file=rule.file,
        options={"of": body.of.rule, "at_least": at_least},
        own={
            "members": members,
            "within_ns": np.full(len(members), body.within, np.int64),
        },
        **messages_of(body, VOTE.message),
        **columns,
    )


VOTE = Kind(
    name="vote",
    model=VoteRule,
    message=(
        "{{ asset.name }}: {{ score }} sensors around it in alarm (limit {{ limit }})",
        "{{ asset.name_zh }}：周边 {{ score }} 个测点同时报警（限值 {{ limit }}）",
    ),
    levels_of=lambda body: {"level": {body.level: body.need.count}},
    check=_check,
    compile=_compile,
    follows=True,
)
