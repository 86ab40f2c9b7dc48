"""``kind: all``, ``any``, ``sequence``: several conditions of one zone or asset."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from rules.language.amounts import AmountValue, Holds, Keeps, SpanValue
from rules.language.kinds.kind import Kind, slot_columns, spans_of
from rules.language.limits import Side, difference_of, unit_of
from rules.language.messages import messages_of
from rules.language.models import Accept, Body, ChannelSelect, LevelName, RuleClass, RuleId
from rules.language.nearby import Scope
from rules.plan import ChannelRule
from rules.problems import near_or_known
from rules.quantities import QUANTITIES, UnknownUnit, canonical, quantity
from rules.strict_models import DurationNs, Strict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from rules.language.amounts import Amount
    from rules.language.kinds.kind import Found, Groups, Work
    from rules.language.ruleset import Rule
    from rules.plan import Level

    Members = dict[str, list[int]]  # group → rows of channels, rising

MAX_INPUTS: Final = 8
MAX_MEMBERS: Final = 128
"""Of an input in one group. One width for all, so that a new sensor changes no other's meaning."""
ROWS: Final = 64  # what the engine keeps of a window
DEFAULT_ACCEPT: Final = (1, 2, 3)
_CHANGES: Final = ("rise", "drop")
_NO_SCORES: Final = ("deadman", "expr", "vote", "all", "any", "sequence")
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,23}")


class Input(Strict):
    """A condition of channels of a quantity, or an alarm of another rule on channels."""

    quantity: Annotated[str, AfterValidator(lambda text: quantity(text).name)] | None = None
    select: ChannelSelect | None = None
    stat: Literal["last", "min", "max", "median", "range", "rise", "drop"] | None = None
    window: SpanValue | None = None
    above: AmountValue | None = None
    below: AmountValue | None = None
    rule: RuleId | None = None
    at_least: LevelName | None = None

    @model_validator(mode="after")
    def _whole(self) -> Input:
        if (self.rule is None) == (self.quantity is None):
            raise ValueError("is either {rule: …, at_least: …} or {quantity: …, stat: …, above: …}")
        if (self.rule is None) != (self.at_least is None):
            raise ValueError("rule and at_least belong together")
        mine = (self.stat, self.window, self.above, self.below, self.select)
        if self.rule is not None:
            if any(key is not None for key in mine):
                raise ValueError("an alarm of a rule has no stat, window, select or limit here")
            return self
        if self.stat is None:
            raise ValueError('key "stat" is missing: last, min, max, median, range, rise or drop')
        if (self.window is None) != (self.stat == "last"):
            raise ValueError("last has no window" if self.window else "stat needs a window: 5m")
        if (self.above is None) == (self.below is None):
            raise ValueError("needs one limit: above or below")
        if self.stat in (*_CHANGES, "range") and self.above is not None and self.above.number <= 0:
            raise ValueError(f"a {self.stat} above {self.above.number:g} is nothing unusual")
        if self.stat in _CHANGES and self.below is not None:
            raise ValueError("a rise or drop has a limit above: for the other way write the other")
        return self


class JointRule(Body):
    """Conditions that hold at once, or one after another, within one zone or asset."""

    kind: Literal["all", "any", "sequence"]
    select: ChannelSelect = ChannelSelect.model_validate({})
    klass: RuleClass = Field("safety", alias="class")
    scope: Scope
    inputs: Annotated[dict[str, Input], Field(min_length=1, max_length=MAX_INPUTS)]
    within: DurationNs = 0
    level: LevelName
    accept: Accept | None = None
    max_gap: SpanValue | None = None
    hold: Holds | None = Field(None, alias="for")
    keep_firing_for: Keeps | None = None

    @model_validator(mode="after")
    def _joined(self) -> JointRule:
        for name in self.inputs:
            if not _NAME.fullmatch(name):
                raise ValueError(f"inputs: {name[:40]!r} is no name: a-z, then a-z 0-9 and _")
        if self.kind != "any" and len(self.inputs) == 1:
            raise ValueError(f"{self.kind} joins at least two inputs")
        if self.kind == "sequence" and self.within == 0:
            raise ValueError("sequence needs within: how long after the one before each may come")
        for key, held in (("for", self.hold), ("keep_firing_for", self.keep_firing_for)):
            if held is not None and held.each is None:
                raise ValueError(f"{key}: the rule has one level: write one duration")
        if self.overrides:
            raise ValueError(f"overrides do not go with {self.kind}: write a second rule")
        return self


def _check(body: Any, levels: Sequence[Level]) -> Iterable[Found]:
    known = [level.name for level in levels]
    for name, held in body.inputs.items():
        if held.at_least is not None and held.at_least not in known:
            said = f'{name}: unknown level "{held.at_least}"{near_or_known(held.at_least, known)}'
            yield ("inputs", name, "at_least"), said


def _compile(work: Work, rule: Rule, body: Any, groups: Groups) -> None:
    selected = np.zeros(len(work.registry.channels.id), np.bool_)
    selected[np.concatenate([rows for _, rows in groups] or [np.zeros(0, np.intp)])] = True
    joint = _Joint(work, rule, body)
    found = [joint.members(name, held, selected) for name, held in body.inputs.items()]
    names = joint.whole(dict(zip(body.inputs, found, strict=True)))
    if not names:
        return
    table = np.full((len(names), len(found) * MAX_MEMBERS), -1, np.int64)
    for i, name in enumerate(names):
        for k, members in enumerate(found):
            rows = members.get(name, [])[:MAX_MEMBERS]
            table[i, k * MAX_MEMBERS : k * MAX_MEMBERS + len(rows)] = rows
    conditions = []
    for k, (name, held) in enumerate(body.inputs.items()):
        if held.rule is None:
            mine = table[:, k * MAX_MEMBERS : (k + 1) * MAX_MEMBERS]
            conditions.append(joint.condition(name, held, np.unique(mine[mine >= 0])))
    inputs = [built for built in conditions if built is not None]
    if len(inputs) < len(conditions):
        return
    for built in inputs:
        work.judged[built.channel] = True
    work.input_rules += inputs
    work.composite_rules.append(joint.built(names, table))


@dataclass(frozen=True, slots=True)
class _Joint:
    """One rule while it becomes arrays."""

    work: Work
    rule: Rule
    body: Any

    def note(self, where: tuple[str, ...], said: str, *, error: bool = False) -> None:
        """Note what is wrong or odd about the rule."""
        severity: Literal["error", "warning"] = "error" if error else "warning"
        self.work.problems.append(self.rule.problem(where, said, severity, key=True))

    def members(self, name: str, held: Any, selected: NDArray[np.bool_]) -> Members:
        """Return the channels an input is about, by group."""
        channels, assets = self.work.registry.channels, self.work.registry.assets
        if held.rule is None:
            mask = self.work.selector.channel_codes("quantity").among([held.quantity]) & selected
            if held.select is not None:
                mask &= self.work.selector.channels(held.select)
        else:
            mask = self._judged(name, held.rule) & selected
        group_of = assets.zone if self.body.scope == "zone" else assets.id
        found: Members = defaultdict(list)
        for row in np.flatnonzero(mask).tolist():
            group = group_of[channels.asset[row]] if channels.asset[row] >= 0 else ""
            if group:
                found[group].append(row)
        many = [group for group, rows in found.items() if len(rows) > MAX_MEMBERS]
        if many:
            said = f"{name}: only the first {MAX_MEMBERS} of {len(found[many[0]])} channels count"
            self.note(("inputs", name), f"{said} ({many[0]})")
        return found

    def _judged(self, name: str, of: str) -> NDArray[np.bool_]:
        """Return the channels of another rule; note it where it is none on channels."""
        mask = np.zeros(len(self.work.registry.channels.id), np.bool_)
        known = {each.id: each.body.kind for each in self.work.rules.rules}
        kind = known.get(of)
        if kind is None:
            said = f"{name}: unknown rule {of!r}{near_or_known(of, known)}"
            self.note(("inputs", name, "rule"), said, error=True)
        elif kind in _NO_SCORES:
            said = f"{name}: {of} is of kind {kind}: only rules on channels can be joined"
            self.note(("inputs", name, "rule"), said, error=True)
        for built in self.work.channel_rules:
            if built.rule_id == of:
                mask[built.channel] = True
        return mask

    def whole(self, found: dict[str, Members]) -> list[str]:
        """Return the groups that have what the rule needs; tell of those that lack some of it."""
        every = sorted(set().union(*found.values()))
        if self.body.kind == "any":
            names, partial = every, []
        else:
            names = [group for group in every if all(group in held for held in found.values())]
            partial = [group for group in every if group not in names]
        scope = self.body.scope
        if not names:
            self.note(("inputs",), f"no {scope} has channels of every input: it never fires")
        elif partial:
            lack = next(name for name, held in found.items() if partial[0] not in held)
            more = f" and {len(partial) - 1} more" if len(partial) > 1 else ""
            said = f"{scope}s without channels of {lack} are not judged ({partial[0]}{more})"
            self.note(("inputs",), said)
        return names

    def condition(self, name: str, held: Any, rows: NDArray[np.int64]) -> ChannelRule | None:
        """Return the arrays of a condition of its own, or None after noting a wrong unit."""
        limit = held.above if held.above is not None else held.below
        key = "above" if held.above is not None else "below"
        share = held.stat in _CHANGES and limit.unit == "%"
        try:
            at = limit.number if share else _converted(held.stat, limit, held.quantity)
        except UnknownUnit as error:
            self.note(("inputs", name, key), f"{name}: {error}", error=True)
            return None
        interval = self.work.registry.channels.interval_ns[rows]
        window = spans_of(held.window, interval)
        if held.stat != "last":
            self._warn_of_window(name, held, window / interval)
        if not share:
            self._warn_of_range(name, held, at, rows)
        raise_at = self._at_level(at)
        unit = "%" if share else QUANTITIES[held.quantity].unit
        side = Side(1 if held.above is not None else -1, raise_at, raise_at, unit)
        columns: Any = slot_columns(
            side, rows.astype(np.int32), interval, _Plain(), self.work.levels
        )
        return ChannelRule(
            rule_id=f"{self.rule.id}/{name}",
            kind="stat",
            side=side.sign,
            klass="info",
            accept=self.body.accept or DEFAULT_ACCEPT,
            unit=unit,
            source=self.body.source,
            file=self.rule.file,
            options={"method": f"{held.stat}_share" if share else held.stat},
            own={"window_ns": window},
            **columns,
        )

    def _warn_of_window(self, name: str, held: Any, samples: NDArray[np.float64]) -> None:
        where = ("inputs", name, "window")
        if (samples > ROWS).any():
            self.note(where, f"{name}: only the newest {ROWS} samples of a window count")
        if held.stat in (*_CHANGES, "range") and (samples <= 1).any():
            self.note(where, f"{name}: window never holds two samples: it never holds")

    def _warn_of_range(self, name: str, held: Any, at: float, rows: NDArray[np.int64]) -> None:
        """Warn of a condition that no value within the sensors' ranges fulfils."""
        channels = self.work.registry.channels
        low, high = channels.range_lo[rows], channels.range_hi[rows]
        if held.stat in (*_CHANGES, "range"):
            low, high = np.zeros(len(rows)), high - low
        never = at > high if held.above is not None else at < low
        if len(rows) and never.all():
            key = "above" if held.above is not None else "below"
            said = f"{name}: {key} is beyond the sensors' range: the condition never holds"
            self.note(("inputs", name, key), said)

    def _at_level(self, limit: float) -> NDArray[np.float64]:
        levels = [level.name for level in self.work.levels]
        at = np.full(len(levels), np.nan)
        at[levels.index(self.body.level)] = limit
        return at

    def built(self, names: list[str], table: NDArray[np.int64]) -> ChannelRule:
        """Return the arrays: a row a group."""
        body, work = self.body, self.work
        severity = {level.name: level.severity for level in work.levels}
        every = work.registry.channels.interval_ns
        interval = np.where(table >= 0, every[np.maximum(table, 0)], 0).max(axis=1)
        limit = self._at_level(1.0 if body.kind == "any" else float(len(body.inputs)))
        subjects = np.array([work.subject(name) for name in names], np.int32)
        side = Side(1, limit, limit, "1")
        columns: Any = slot_columns(side, subjects, interval, body, work.levels)
        least = [severity[held.at_least or body.level] for held in body.inputs.values()]
        return ChannelRule(
            rule_id=self.rule.id,
            kind=body.kind,
            side=1,
            klass=body.klass,
            unit="1",
            source=body.source,
            approved_by=body.approved_by,
            file=self.rule.file,
            options={
                "inputs": " ".join(body.inputs),
                "of": " ".join(h.rule or f"{self.rule.id}/{n}" for n, h in body.inputs.items()),
                "at_least": " ".join(map(str, least)),
            },
            own={"members": table, "within_ns": np.full(len(names), body.within, np.int64)},
            **messages_of(body, MESSAGES[body.kind]),
            **columns,
        )


class _Plain:
    """What a condition has of the keys of a rule: nothing."""

    hold = keep_firing_for = max_gap = None


def _converted(stat: str, limit: Amount, name: str) -> float:
    """Return a limit in the quantity's unit: a difference for what compares two values."""
    if stat in (*_CHANGES, "range"):
        return difference_of(limit, "", name)
    return canonical(name, unit_of(limit, "", QUANTITIES[name].unit), limit.number)


MESSAGES: Final = {
    "all": (
        "{{ asset.name }}: all {{ score }} conditions of {{ rule }} hold",
        "{{ asset.name_zh }}：{{ rule }} 的 {{ score }} 个条件同时成立",
    ),
    "any": (
        "{{ asset.name }}: {{ score }} of the conditions of {{ rule }} hold",
        "{{ asset.name_zh }}：{{ rule }} 的条件有 {{ score }} 个成立",
    ),
    "sequence": (
        "{{ asset.name }}: {{ score }} steps of {{ rule }} came one after another",
        "{{ asset.name_zh }}：{{ rule }} 的 {{ score }} 个步骤依次发生",
    ),
}

ALL, ANY, SEQUENCE = (
    Kind(
        name=name,
        model=JointRule,
        message=MESSAGES[name],
        levels_of=lambda body: {"level": {body.level: 1}},
        check=_check,
        compile=_compile,
        follows=True,
    )
    for name in ("all", "any", "sequence")
)
