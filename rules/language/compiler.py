"""RuleSet × Registry → Plan: text becomes parameter arrays.

``compile_plan`` tells how each rule becomes arrays.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from rules.language.escalations import compile_escalations
from rules.language.holding import compile_holding
from rules.language.hours import at_hours, with_hours
from rules.language.kinds import KINDS
from rules.language.kinds.kind import Matched, slot_columns
from rules.language.life import compile_lives
from rules.language.loader import read_rules
from rules.language.messages import messages_of
from rules.language.quality_plan import compile_checks, masks
from rules.language.reach import Overlaps, channel_warnings, coverage, shadowed
from rules.language.ruleset import applied
from rules.language.selection import Selector
from rules.language.shadow import as_shadow, marked, unguarded
from rules.language.sources import read_sources
from rules.plan import ChannelRule, Plan
from rules.problems import Invalid, Problem, near_or_known
from rules.quantities import UnknownUnit
from rules.strict_models import plain_error
from rules.yaml_text import raise_errors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rules.language.kinds.kind import Groups, Kind
    from rules.language.limits import Side, SideProblem
    from rules.language.ruleset import Rule, RuleSet
    from rules.language.sources import Sources
    from rules.plan import DeadmanRule, Level
    from rules.registry import Registry
    from rules.strict_models import Path

DEFAULT_ACCEPT = (1, 2, 3)


def compile_plan(rules: RuleSet, registry: Registry) -> tuple[Plan, list[Problem]]:
    """Return the plan the engine runs, and warnings.

    Each rule on channels becomes one ``ChannelRule`` a side: a threshold or rate rule with both
    ``above`` and ``below`` becomes two (side +1 and −1), an ewma rule with ``side: both`` two with
    limits ±sigma. Limits stand in the quantity's canonical unit (a rate's per time, ewma's in
    sigma), converted exactly and rounded once. ``[n, L]`` arrays have one row a matched channel,
    in the order of registry rows, and one column a level of the site; a level the rule does not
    declare has NaN limits, no hold and no keep. ``clear_at`` is ``raise_at`` less the hysteresis
    on side +1, plus it on −1, or what ``clear`` says. ``hold_ns`` is NEVER_NS where only samples
    are given. ``3x`` is resolved against each channel's interval. Overrides give their channels
    other numbers in the same arrays: weaker match first (tags, domain, …, then asset, sensor,
    channel), later ones stronger among equals; one that is over (``RuleSet.expired``) is left
    out with a warning.
    A deadman rule becomes one ``DeadmanRule`` on device rows, ``missing_ns`` at least ``at_least``.
    A check of the quality section becomes one ``QualityRule``; one that could hide an alarm is an
    error.
    Live channels of quantity ``heartbeat`` become ``probe_channels`` and are judged by no rule.
    A rule that matches nothing gives no arrays. ``content_hash`` is that of the rules' text.

    Raises
    ------
    Invalid
        A unit does not fit a matched quantity, or levels are not in order; with all problems.
    """
    work = _Work(rules, registry, Selector(registry))
    for rule in sorted(rules.rules, key=lambda rule: KINDS[rule.body.kind].after):
        work.rule(rule)
    quality = compile_checks(rules.checks, work.selector, work.problems)
    judging = [at for r in (*work.channel_rules, *work.input_rules) for at in r.at_hours()]
    work.problems += masks(rules.checks, quality, judging, registry)
    inhibits, windows, odd = compile_holding(rules.holding, work.selector, registry, rules.levels)
    problems = [*work.problems, *odd, *coverage(work.selector, work.judged)]
    raise_errors(problems)
    plan = Plan(
        content_hash=rules.content_hash,
        levels=rules.levels,
        channel_rules=tuple(work.channel_rules),
        deadman_rules=tuple(work.deadman_rules),
        quality_rules=tuple(quality),
        composite_rules=tuple(work.composite_rules),
        input_rules=tuple(work.input_rules),
        inhibits=inhibits,
        maintenance=windows,
        lives=compile_lives(rules.rules, rules.levels),
        escalations=compile_escalations(rules.rules, rules.chains, rules.levels),
        subjects=tuple(work.subjects),
        runbooks=rules.runbooks,
        probe_channels=work.selector.probes,
    )
    plan = marked(plan, rules.rules)
    problems += unguarded(plan, rules.rules, registry)
    return plan, sorted(set(problems))


def check(
    folder_or_files: Sources,
    registry: Registry | None = None,
    *,
    today: str | None = None,
    shadow: Sources | None = None,
) -> list[Problem]:
    """Return every problem of the rules: of their text and, given a registry, against it.

    Never raises for what stands in the files; the rules that can be read are checked against the
    registry even when others are wrong.
    """
    try:
        trial = read_sources(shadow) if shadow is not None else {}
        rules, problems = read_rules(read_sources(folder_or_files), today=today, shadow=trial)
    except Invalid as invalid:
        return invalid.problems
    if registry is None:
        return problems
    try:
        found = compile_plan(rules, registry)[1]
    except Invalid as invalid:
        found = invalid.problems
    found = [replace(p, severity="error") if p.unreachable else p for p in found]
    if any(p.severity == "error" for p in (*problems, *found)):
        found = [p for p in found if p.rule]  # coverage says nothing while rules are left out
    return sorted({*problems, *found})


@dataclass(slots=True)
class _Work:
    """What is built while the rules are gone through."""

    rules: RuleSet
    registry: Registry
    selector: Selector
    channel_rules: list[ChannelRule] = field(default_factory=list)
    deadman_rules: list[DeadmanRule] = field(default_factory=list)
    composite_rules: list[ChannelRule] = field(default_factory=list)
    input_rules: list[ChannelRule] = field(default_factory=list)
    subjects: dict[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    judged: NDArray[np.bool_] = field(init=False)
    overlaps: Overlaps = field(init=False)

    def __post_init__(self) -> None:
        self.overlaps = Overlaps(self.registry)
        self.judged = np.zeros(len(self.registry.channels.id), np.bool_)

    @property
    def levels(self) -> tuple[Level, ...]:
        """Return the levels of the site."""
        return self.rules.levels

    def subject(self, name: str) -> int:
        """Return the number of what an alarm may be about beside channels, such as an asset."""
        return len(self.registry.channels.id) + self.subjects.setdefault(name, len(self.subjects))

    def rule(self, rule: Rule) -> None:
        body, kind = rule.body, KINDS[rule.body.kind]
        if kind.devices:
            rows = np.flatnonzero(self.selector.devices(body.select))
        else:
            mask = self.selector.channels(body.select)
            if kind.compile is None and body.mode == "live":
                self.judged |= mask
            rows = np.flatnonzero(mask)
        if not len(rows):
            unknown = self.selector.unknown(body.select)
            what = "device" if kind.devices else "channel"
            said = f"matches no registered {what}{': ' + unknown if unknown else ''}"
            self.problems.append(rule.problem(("select",), said, "warning", key=True))
        groups = self._groups(rule, rows)
        if kind.compile is not None:
            judged = self.judged.copy()
            kind.compile(self, rule, body, groups)
            if body.mode == "shadow":
                self.judged = judged  # it guards nothing
        else:
            self._channels(rule, kind, groups, rows)

    def _groups(self, rule: Rule, rows: NDArray[np.intp]) -> Groups:
        """Return the rows split by the overrides that hold for them, with the body each means."""
        overrides: list[Any] = list(rule.body.overrides)
        member = members(rule, self.rules, self.selector, rows)
        for i, override in enumerate(overrides):
            where = ("overrides", i)
            if is_over(override, self.rules):
                said = f"override expired on {override.until}: remove it, or give it a new until"
                self.problems.append(rule.problem((*where, "until"), said, "warning"))
                continue
            if len(rows) and not member[:, i].any():
                unknown = self.selector.unknown(override.match)
                said = (
                    f"override matches nothing the rule matches{': ' + unknown if unknown else ''}"
                )
                self.problems.append(rule.problem((*where, "match"), said, "warning"))
        if not member.any():
            return [(rule.body, rows)]
        order = weakest_first(rule)
        for i in shadowed([override.set for override in overrides], order, member):
            said = "override has no effect: stronger ones set all it sets, on all its channels"
            self.problems.append(rule.problem(("overrides", i, "set"), said, "warning"))
        sets, of = np.unique(member, axis=0, return_inverse=True)
        keys = [tuple(np.flatnonzero(some).tolist()) for some in sets]
        groups = []
        for number in sorted(range(len(keys)), key=keys.__getitem__):
            chosen = [overrides[i] for i in order if i in keys[number]]
            body = self._overridden(rule, chosen)
            if body is not None:
                groups.append((body, rows[of.ravel() == number]))
        return groups

    def _overridden(self, rule: Rule, chosen: list[Any]) -> Any:
        """Return the body under several overrides, the last of them the strongest."""
        try:
            raw = overridden(rule, chosen)
            body = type(rule.body).model_validate(raw)
            return as_shadow(body, rule.renames) if rule.renames else body
        except ValueError as error:  # pydantic's is one: each alone was fine, together not
            if len(rule.variants) == len(rule.body.overrides):  # else one alone is wrong, and told
                said = f"overrides do not fit together: {plain_error(error)}"
                self.problems.append(rule.problem(("overrides",), said, key=True))
            return None

    def _channels(self, rule: Rule, kind: Kind, groups: Groups, rows: NDArray[np.intp]) -> None:
        built = self._sides(rule, kind, groups)
        hours: list[dict[int, ChannelRule]] = []
        try:
            for at in at_hours(rule):
                hours.append(self._sides(at, kind, self._groups(at, rows)))  # noqa: PERF401
        except ValueError as error:  # pydantic's is one
            said = f"schedules do not fit together: {str(error).splitlines()[-1].strip()}"
            self.problems.append(rule.problem(("when",), said, key=True))
            hours = []
        for sign, side in built.items():
            whole = side
            others = [held[sign] for held in hours if sign in held]
            if others and len(others) == len(hours):
                whole, problems = with_hours(rule, side, others, self.levels)
                self.problems += problems
            self.channel_rules.append(whole)
            self.problems += channel_warnings(rule, side, self.registry, self.levels)
            for at, other in zip(at_hours(rule), others, strict=False):
                self.problems += channel_warnings(at, other, self.registry, self.levels)
            if rule.body.mode == "live":
                self.problems += self.overlaps.of(rule, side)

    def _sides(self, rule: Rule, kind: Kind, groups: Groups) -> dict[int, ChannelRule]:
        """Return the rule's sides by sign, where its groups have channels."""
        parts: list[tuple[Side, Matched, Any]] = []
        channels = self.registry.channels
        every = np.sort(np.concatenate([rows for _, rows in groups] or [np.zeros(0, np.intp)]))
        all_of = dict(self.selector.by_quantity(every))
        for variant, rows in groups:
            self._limits_known(rule, kind, variant)
            matches = self.selector.by_quantity(rows)
            for name, chosen in matches or [(name, rows) for name in _named(rule.body)]:
                try:
                    sides = kind.sides_of(variant, name, self.levels) if kind.sides_of else []
                except UnknownUnit as error:
                    found: SideProblem = (_limits_at(rule.body, kind), str(error), "error")
                    self.problems.append(_under(rule, variant, found, key=True))
                    continue
                among = all_of.get(name, chosen)
                interval = channels.interval_ns[chosen]
                matched = Matched(
                    chosen, interval, name, self.registry, among, self.channel_rules, self.levels
                )
                for side in sides:
                    self.problems += [_under(rule, variant, p) for p in side.problems]
                    parts.append((side, matched, variant))
        units = sorted({side.unit for side, _, _ in parts})
        if len(units) > 1:
            said = (
                f"matches quantities kept in different units ({', '.join(units)}): split the rule"
            )
            self.problems.append(rule.problem(("select",), said, key=True))
            return {}
        return self._assembled(rule, kind, parts)

    def _limits_known(self, rule: Rule, kind: Kind, variant: Any) -> None:
        """Note that the rule another takes its limits from does not exist, or has none."""
        name = kind.limit_rule(variant) if kind.limit_rule is not None else ""
        known = [r.id for r in self.rules.rules if r.body.kind == "threshold"]
        if name and name not in known:
            said = f"limit: no threshold rule {name!r}{near_or_known(name, known)}"
            self.problems.append(rule.problem(("limit",), said, key=True))

    def _assembled(
        self, rule: Rule, kind: Kind, parts: list[tuple[Side, Matched, Any]]
    ) -> dict[int, ChannelRule]:
        body: Any = rule.body
        sides: dict[int, ChannelRule] = {}
        for sign in (1, -1):
            held = [p for p in parts if p[0].sign == sign and len(p[1].rows)]
            if not held:
                continue
            rows = np.concatenate([matched.rows for _, matched, _ in held])
            pieces = [
                slot_columns(side, m.rows.astype(np.int32), m.interval_ns, variant, self.levels)
                for side, m, variant in held
            ]
            if kind.least_gap_of is not None:
                for piece, (_, _, variant) in zip(pieces, held, strict=True):
                    least = np.int64(kind.least_gap_of(variant))
                    piece["max_gap_ns"] = np.maximum(piece["max_gap_ns"], least)
            owns = [
                kind.own_of(variant, side, matched) if kind.own_of else {}
                for side, matched, variant in held
            ]
            order = np.argsort(rows, kind="stable")
            sides[sign] = ChannelRule(
                rule_id=rule.id, kind=body.kind, side=sign, klass=body.klass,
                fail_loud=body.fail_loud, accept=body.accept or DEFAULT_ACCEPT,
                over_range=getattr(body, "over_range", None) is not None,
                unit=held[0][0].unit, source=body.source, approved_by=body.approved_by,
                file=rule.file,
                options=kind.options_of(body) if kind.options_of else {},
                calendar=kind.calendar_of(body) if kind.calendar_of else (),
                own=_stacked(owns, order),
                **messages_of(body, kind.message), **_stacked(pieces, order),
            )  # fmt: skip
        return sides


def _under(rule: Rule, variant: Any, found: SideProblem, *, key: bool = False) -> Problem:
    """Return a problem of a rule's limits, at the override that brings it if one does."""
    where, said, severity = found
    if variant == rule.body:
        return rule.problem(where, said, severity, key=key)
    alone = [i for i, each in enumerate(rule.variants) if each == variant]
    at: Path = ("overrides", alone[0], "set") if alone else ("overrides",)
    return rule.problem(at, f"override: {said}", severity, key=not alone)


def _stacked(pieces: list[dict[str, Any]], order: NDArray[np.intp]) -> dict[str, Any]:
    """Return columns of several pieces as one, in the order of rows."""
    return {name: np.concatenate([piece[name] for piece in pieces])[order] for name in pieces[0]}


def _named(body: Any) -> list[str]:
    """Return the quantities a rule without matches names, so that its units are checked anyway."""
    return list(body.select.quantity or ())


def _limits_at(body: Any, kind: Kind) -> tuple[str]:
    """Return the key at which a wrong unit is reported: unit, or what has it."""
    if getattr(body, "unit", ""):
        return ("unit",)
    if getattr(body, "floor", None) is not None:
        return ("floor",)
    return (next(iter(kind.levels_of(body))),)


def is_over(override: Any, rules: RuleSet) -> bool:
    """Tell whether an override has ended."""
    return override.until is not None and bool(override.until <= rules.expired)


def members(
    rule: Rule, rules: RuleSet, selector: Selector, rows: NDArray[np.intp]
) -> NDArray[np.bool_]:
    """Return which overrides hold for which rows (channels, or devices) of a rule, [n, o]."""
    select = selector.devices if KINDS[rule.body.kind].devices else selector.channels
    member = np.zeros((len(rows), len(rule.body.overrides)), np.bool_)
    for i, override in enumerate(rule.body.overrides):
        if not is_over(override, rules):
            member[:, i] = select(override.match)[rows]
    return member


def weakest_first(rule: Rule) -> list[int]:
    """Return the numbers of a rule's overrides in the order they are put in: the last one wins."""
    overrides: list[Any] = list(rule.body.overrides)
    return sorted(range(len(overrides)), key=lambda i: (_strength(overrides[i].match), i))


def overridden(rule: Rule, chosen: list[Any]) -> dict[str, Any]:
    """Return the rule as written under several overrides, the last of them the strongest.

    Raises
    ------
    ValueError
        They do not fit together.
    """
    raw = {key: value for key, value in rule.raw.items() if key != "overrides"}
    for override in chosen:
        raw = applied(raw, override.set)
    return raw


def _strength(match: Any) -> int:
    """Return how particular a match is: a channel beats a sensor beats an asset beats the rest."""
    order = ("channel", "sensor", "device", "asset")
    given = match.model_fields_set
    return next((len(order) - i for i, name in enumerate(order) if name in given), 0)
