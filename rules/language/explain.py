"""Why a rule means what it means on a channel: each value, where it was said, who overrode it.

Everything comes from the compiler: the values are the plan's own, the overrides are found and put
in order by what compiles them. Only the places are looked up here.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from rules.language.compiler import compile_plan, is_over, members, weakest_first
from rules.language.hours import at_hours
from rules.language.kinds import KINDS
from rules.language.models import FLAGS
from rules.language.selection import OF_ASSET, Selector
from rules.plan import NEVER_NS

if TYPE_CHECKING:
    from rules.language.ruleset import Rule, RuleSet
    from rules.plan import ChannelRule, DeadmanRule, Level, Plan
    from rules.registry import Registry
    from rules.strict_models import Path

PROGRAM: Final = "the program"
_BY_SIDE: Final = {1: ("above", "shift_above", "future"), -1: ("below", "shift_below", "past")}
_TOLD: Final = ("id", "kind", "extends", "select", "when", "overrides", "message", "message_zh")
_ALIASES: Final = {"hold": "for", "klass": "class"}
Value = float | int | str | bool | None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value was said, and by what: rule, template x, defaults, override 1, the program."""

    by: str
    text: str = ""  # as written
    at: str = ""  # gas.yaml:12:3
    reason: str = ""
    until: str = ""


@dataclass(frozen=True, slots=True)
class Meant:
    """One effective value: as the plan has it, in ``unit``, where it was said, and what it beat."""

    key: str  # above.red, clear.red, for.red, max_gap, window, …
    value: Value
    unit: str
    said: Place
    before: tuple[Place, ...] = ()  # what it overrode, the strongest first


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """One side of one rule on the channel (or on its device)."""

    rule: str
    kind: str
    side: int
    subject: str
    file: str
    values: tuple[Meant, ...]
    mode: str = "live"  # or shadow: told to nobody


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """All that judges a channel, and why the other rules do not."""

    channel: str
    rules: tuple[Explained, ...]
    checks: tuple[str, ...]  # quality checks that look at it, with their places
    across: tuple[str, ...]  # rules that only join other rules here, with their places
    idle: dict[str, str] = field(default_factory=dict)  # an override that does not hold: why
    others: dict[str, str] = field(default_factory=dict)  # a rule that does not match: why

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def explain(
    rules: RuleSet, registry: Registry, channel: str, rule_id: str | None = None
) -> Explanation:
    """Return what holds on a channel of the registry, by all rules or by one.

    Raises
    ------
    Invalid
        The rules do not fit the registry.
    """
    plan, _ = compile_plan(rules, registry)
    row = registry.channel_row[channel]
    work = _Work(rules, registry, plan, Selector(registry), row)
    for rule in rules.rules:
        if rule_id in (None, rule.id):
            work.take(rule)
    checks = [f"{c.rule_id} ({c.kind}) {c.file}" for c in plan.quality_rules if row in c.channel]
    return Explanation(
        channel=channel,
        rules=tuple(work.found),
        checks=tuple(checks),
        across=tuple(work.across),
        idle=work.idle,
        others=work.others,
    )


@dataclass(slots=True)
class _Work:
    rules: RuleSet
    registry: Registry
    plan: Plan
    selector: Selector
    row: int
    found: list[Explained] = field(default_factory=list)
    across: list[str] = field(default_factory=list)
    idle: dict[str, str] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)

    def take(self, rule: Rule) -> None:
        """Explain one rule, or why it does not match."""
        body, devices = rule.body, KINDS[rule.body.kind].devices
        row = int(self.registry.channels.device[self.row]) if devices else self.row
        mask = (
            self.selector.devices(body.select) if devices else self.selector.channels(body.select)
        )
        if row < 0 or not mask[row]:
            self.others[rule.id] = self._why_not(rule, row, devices=devices)
            return
        holds = members(rule, self.rules, self.selector, np.array([row]))[0]
        self._idle(rule, row, holds, devices=devices)
        chosen = [i for i in weakest_first(rule) if holds[i]]
        told = len(self.found)
        if devices:
            for silent in self.plan.deadman_rules:
                if silent.rule_id == rule.id:
                    self.found.append(_silence(rule, silent, row, chosen, self))
        for built in (*self.plan.channel_rules, *self.plan.composite_rules):
            if built.rule_id == rule.id and row in built.channel:
                values = _Values(rule, chosen, self.rules.levels).of(built, row)
                values += _by_hours(rule, chosen, self.rules.levels, built, row, values)
                self.found.append(
                    Explained(
                        rule=rule.id, kind=built.kind, side=built.side, file=rule.file,
                        subject=self.registry.channels.id[row], values=tuple(values),
                        mode=body.mode,
                    )
                )  # fmt: skip
        if len(self.found) == told:
            self.across.append(f"{rule.id} ({body.kind}) {rule.file}")

    def _why_not(self, rule: Rule, row: int, *, devices: bool) -> str:
        if row < 0:
            return "the channel has no device"
        said = []
        for key in self.selector.failing(rule.body.select, row):
            wanted = rule.raw["select"].get("class" if key == "klass" else key.partition(".")[0])
            said.append(f"{_ALIASES.get(key, key)} is {self._has(key, row, devices=devices)!r}, "
                        f"not {wanted}")  # fmt: skip
        return "; ".join(said) or "the channel is no longer registered, or a heartbeat"

    def _has(self, key: str, row: int, *, devices: bool) -> Any:
        """Return what the channel or device has where a select asks for ``key``."""
        table: Any = self.registry.devices if devices else self.registry.channels
        if key.startswith("tags."):
            return table.tags[row].get(key.partition(".")[2])
        if key in OF_ASSET:
            asset = int(table.asset[row])
            return getattr(self.registry.assets, OF_ASSET[key])[asset] if asset >= 0 else ""
        if key == "sensor":
            return table.id[row].rpartition("/")[0]
        if key == "device" and not devices:
            return self.registry.devices.id[int(table.device[row])]
        return table.id[row] if key in ("channel", "device") else getattr(table, key)[row]

    def _idle(self, rule: Rule, row: int, holds: Any, *, devices: bool) -> None:
        overrides: list[Any] = list(rule.body.overrides)
        for i, override in enumerate(overrides):
            if holds[i]:
                continue
            at = _at(rule, rule.place(("overrides", i)))
            if is_over(override, self.rules):
                self.idle[at] = f"{rule.id}: over since {override.until}"
            else:
                failing = self.selector.failing(override.match, row)
                has = {key: self._has(key, row, devices=devices) for key in failing}
                said = ", ".join(f"{_ALIASES.get(k, k)} is {v!r}" for k, v in has.items())
                self.idle[at] = f"{rule.id}: {said}"


def _by_hours(
    rule: Rule,
    chosen: list[int],
    levels: tuple[Level, ...],
    built: ChannelRule,
    row: int,
    always: list[Meant],
) -> list[Meant]:
    """Return what is other while schedules hold, under keys such as ``above.blue [night]``."""
    known = {meant.key: meant.value for meant in always}
    told = []
    pairs = zip(at_hours(rule), list(built.at_hours())[1:], strict=True)
    for mask, (at, variant) in enumerate(pairs, start=1):
        names = [s.name for i, s in enumerate(rule.schedules) if mask >> i & 1]
        told += [
            replace(meant, key=f"{meant.key} [{' + '.join(names)}]")
            for meant in _Values(at, chosen, levels).of(variant, row)
            if meant.value != known.get(meant.key, meant.value)
        ]
    return told


class _Values:
    """The values of one rule under the overrides that hold, the strongest last."""

    def __init__(self, rule: Rule, chosen: list[int], levels: tuple[Level, ...]) -> None:
        self._rule, self._chosen, self._levels = rule, chosen, levels

    def of(self, built: ChannelRule, row: int) -> list[Meant]:
        """Return every value of one side at a channel."""
        at = int(np.flatnonzero(built.channel == row)[0])
        told = []
        for column, level in enumerate(self._levels):
            limit = float(built.raise_at[at, column])
            if np.isnan(limit):
                continue
            key = self.limit_key(built.side, level.name)
            told += [
                self.meant((key, level.name), limit, built.unit),
                self._clear(level.name, float(built.clear_at[at, column]), limit, built.unit),
                self.meant(("for", level.name), *_hold(built, at, column)),
                self.meant(("keep_firing_for", level.name), built.keep_ns[at, column] / 1e9, "s"),
            ]
        told.append(self.meant(("max_gap",), built.max_gap_ns[at] / 1e9, "s"))
        names = [name for name, flag in FLAGS.items() if flag in built.accept]
        accept = "every usable sample" if built.fail_loud else " ".join(names)
        plain: dict[str, Value] = {
            "unit": built.unit, "accept": accept, "class": built.klass, "source": built.source,
            "fail_loud": built.fail_loud, "approved_by": built.approved_by,
            **_said(built),
        }  # fmt: skip
        told += [self.meant((key,), value, "") for key, value in plain.items()]
        keys = dict.fromkeys([*self._rule.raw, *self._settings()])
        known = {meant.key.partition(".")[0] for meant in told} | {*_TOLD, "clear", "hysteresis"}
        told += [self.meant((key,), None, "") for key in keys if key not in known]
        own = {name: np.asarray(column[at]).ravel().tolist() for name, column in built.own.items()}
        inner = Place(PROGRAM, "worked out of the keys above")
        told += [
            Meant(f"plan.{name}", " ".join(f"{number:.12g}" for number in numbers), "", inner)
            for name, numbers in sorted(own.items())
        ]
        return told

    def limit_key(self, side: int, level: str) -> str:
        """Return the key under which a level's limit stands."""
        maps = KINDS[self._rule.body.kind].levels_of(self._rule.body)
        keys = list(maps) or ["level"]
        return next((key for key in _BY_SIDE[side] if level in maps.get(key, {})), keys[0])

    def _clear(self, level: str, value: float, limit: float, unit: str) -> Meant:
        given = self.meant(("clear", level), value, unit)
        if given.said.by != PROGRAM:
            return given
        band = self.meant(("hysteresis", level), value, unit)
        if band.said.by == PROGRAM and value == limit:
            return Meant(f"clear.{level}", value, unit, Place(PROGRAM, "the limit itself"))
        said, *before = (
            replace(each, text=f"hysteresis {each.text}") for each in (band.said, *band.before)
        )
        return Meant(f"clear.{level}", value, unit, said, tuple(before))

    def _settings(self) -> list[str]:
        overrides: list[Any] = list(self._rule.body.overrides)
        return [key.partition(".")[0] for i in self._chosen for key in overrides[i].set]

    def meant(self, path: Path, value: Value, unit: str) -> Meant:
        """Return a value with where it was said: the strongest override, else the rule's text."""
        rule, key = self._rule, ".".join(map(str, path))
        said: list[Place] = []
        overrides: list[Any] = list(rule.body.overrides)
        for i in reversed(self._chosen):
            override = overrides[i]
            for name in (key, str(path[0])):
                if name in override.set and _has_level(override.set[name], path, name):
                    where = rule.place(("overrides", i, "set", name))
                    inside = (
                        path[1:] if name != key and isinstance(override.set[name], dict) else ()
                    )
                    text = _written(override.set[name], inside)
                    said.append(
                        Place(f"override {i + 1}", text, _at(rule, (*where, *inside)),
                              override.reason, override.until or "")
                    )  # fmt: skip
                    break
        if path[0] in rule.raw and _has_level(rule.raw[path[0]], path, str(path[0])):
            where = rule.place(path)
            by = {"rules": "rule", "templates": f"template {where[1]}"}.get(str(where[0]))
            if "when" in where and path[0] != "when":
                by = f"schedule {where[where.index('when') + 1]}"
            text = _written(rule.raw[path[0]], path[1:])
            said.append(Place(by or str(where[0]), text, _at(rule, where)))
        if not said:
            said.append(Place(PROGRAM, "its default"))
        return Meant(key, value, unit, said[0], tuple(said[1:]))


def _has_level(said: Any, path: Path, name: str) -> bool:
    """Tell whether what stands under a key says something about the level in the path."""
    if len(path) < 2 or name.count(".") or not isinstance(said, dict):
        return True
    return path[1] in said or "samples" in said or "segments" in said


def _written(said: Any, inside: Path) -> str:
    for step in inside:
        if isinstance(said, dict) and step in said:
            said = said[str(step)]
    return str(said)


def _at(rule: Rule, path: Path) -> str:
    line, column = rule.document.at(path)
    return f"{rule.document.name}:{line}:{column}"


def _said(built: ChannelRule | DeadmanRule) -> dict[str, Value]:
    """Return what a rule says of itself: maturity, runbook, labels, known false positives."""
    return {
        "status": built.status,
        "source_text": built.source_text,
        "runbook": built.runbook,
        "labels": " ".join(f"{name}={text}" for name, text in sorted(built.labels.items())),
        "known_false_positives": "; ".join(built.known_false_positives),
    }


def _hold(built: ChannelRule, at: int, column: int) -> tuple[Value, str]:
    """Return how long a breach must last."""
    hold_ns, samples = int(built.hold_ns[at, column]), int(built.hold_samples[at, column])
    if samples and hold_ns == NEVER_NS:
        return samples, "samples"
    if samples:
        return f"{samples} samples or {hold_ns / 1e9:g}", "s"
    return hold_ns / 1e9, "s"


def _silence(
    rule: Rule, silent: DeadmanRule, row: int, chosen: list[int], work: _Work
) -> Explained:
    """Return what a dead-man rule means on the device of the channel."""
    levels = work.rules.levels
    at = int(np.flatnonzero(silent.device == row)[0])
    values = _Values(rule, chosen, levels)
    told = [
        values.meant(("missing", level.name), int(silent.missing_ns[at, column]) / 1e9, "s")
        for column, level in enumerate(levels)
        if silent.missing_ns[at, column] < NEVER_NS
    ]
    told += [values.meant((key,), None, "") for key in ("at_least", "source", "approved_by")]
    plain: dict[str, Value] = {"class": silent.klass, **_said(silent)}
    told += [values.meant((key,), value, "") for key, value in plain.items()]
    subject = work.registry.devices.id[row]
    return Explained(
        rule=rule.id,
        kind="deadman",
        side=1,
        subject=subject,
        file=rule.file,
        values=tuple(told),
        mode=rule.body.mode,
    )
