"""Suites → cases: each test with its rules compiled against its registry, and its names looked up.

What is wrong is noted in the suite's document: a test of a rule that judges nothing would prove
nothing, so that is an error here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from rules.language.compiler import compile_plan
from rules.language.loader import load_rules
from rules.problems import Invalid, Problem, listed, nearest
from rules.registry_file import registry_of
from rules.testing.entries import given_up
from rules.testing.registry import Names, invented

if TYPE_CHECKING:
    from rules.language.ruleset import RuleSet
    from rules.plan import ChannelRule, Plan
    from rules.registry import Registry
    from rules.testing.entries import ReadTest
    from rules.testing.files import Suite
    from rules.testing.models import Action, Expectation


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One test ready to run. Channels of ``inputs`` are rows, in the order of the test's input."""

    test: ReadTest
    plan: Plan
    registry: Registry
    names: Names
    start_ns: int
    inputs: tuple[int, ...]
    action_subjects: tuple[str, ...]
    subjects: tuple[str | None, ...]  # of each expectation; None: any
    members: tuple[frozenset[str] | None, ...]  # of each expectation
    golden: bytes | None

    @property
    def name(self) -> str:
        """Return the test's name."""
        return self.test.entry.name

    def slots(self, rule: str) -> list[tuple[ChannelRule, str, int]]:
        """Return side by side what a rule judges: its arrays, the subject, its place in them."""
        ids = self.registry.channels.id
        called = (*ids, *self.plan.subjects)
        return [
            (built, called[channel], place)
            for built in (*self.plan.channel_rules, *self.plan.composite_rules)
            if built.rule_id == rule
            for place, channel in enumerate(built.channel.tolist())
        ]

    def judged(self, rule: str) -> set[str]:
        """Return the subjects a rule may raise alarms about."""
        found = {subject for _, subject, _ in self.slots(rule)}
        for built in self.plan.deadman_rules:
            if built.rule_id == rule:
                found |= {self.registry.devices.id[d] for d in built.device.tolist()}
        return found


@dataclass(slots=True)
class _Making:
    """What tests of one suite share."""

    suite: Suite
    rules: dict[str, RuleSet | None] = field(default_factory=dict)  # by day
    shared: tuple[Registry, Names] | None = None

    def ruleset(self, start_ns: int) -> RuleSet | None:
        """Return the rules as of a day: overrides end by the test's own calendar."""
        day = str(np.datetime64(start_ns, "ns").astype("datetime64[D]"))
        if day not in self.rules:
            try:
                self.rules[day] = load_rules(self.suite.rules, today=day)
            except Invalid as invalid:
                self.rules[day] = None
                self.suite.document.problems += invalid.problems
        return self.rules[day]


def cases_of(suite: Suite) -> list[Case]:
    """Return the cases of a suite; those with errors are left out and noted in its problems."""
    making = _Making(suite)
    if suite.problems:
        return []
    made = [None if given_up(suite.document) else _case(making, test) for test in suite.tests]
    return [case for case in made if case is not None]


def _case(making: _Making, test: ReadTest) -> Case | None:
    suite = making.suite
    start_ns = suite.start_ns if test.entry.start is None else test.entry.start
    ruleset = making.ruleset(start_ns)
    found = _registry(making, test)
    if ruleset is None or found is None:
        return None
    registry, names = found
    try:
        plan, warnings = compile_plan(ruleset, registry)
    except Invalid as invalid:
        said = "the rules do not fit the test's registry: "
        for problem in invalid.problems:
            if problem.severity == "error":
                test.problem(("registry",), f"{said}{problem}", key=True)
        return None
    before = len(suite.document.problems)
    looked = _Looked(test, names)
    case = Case(
        test=test,
        plan=plan,
        registry=registry,
        names=names,
        start_ns=start_ns,
        inputs=tuple(looked.channel(i, x.sensor) for i, x in enumerate(test.input)),
        action_subjects=tuple(
            looked.subject(("actions", i), a) or "" for i, a in enumerate(test.actions)
        ),
        subjects=tuple(looked.subject(("expect", i), e) for i, e in enumerate(test.expect)),
        members=tuple(looked.members(i, e) for i, e in enumerate(test.expect)),
        golden=suite.golden.get(str(test.entry.events)),
    )
    _check_rules(case, ruleset, warnings)
    return case if len(suite.document.problems) == before else None


def _registry(making: _Making, test: ReadTest) -> tuple[Registry, Names] | None:
    suite = making.suite
    if test.registry is None and making.shared is not None:
        return making.shared
    if test.registry is None and suite.registry_texts:
        try:
            registry = registry_of(suite.registry_texts)
        except Invalid as invalid:
            suite.document.problems += invalid.problems
            return None
        making.shared = registry, Names(registry)
        return making.shared

    entries = suite.registry if test.registry is None else test.registry
    path: tuple[Any, ...] = () if test.registry is None else test.path
    who = "" if test.registry is None else test.entry.name

    def note(entry: int, key: str, said: str) -> None:
        at = (*path, "registry", *((entry,) if entry >= 0 else ()), *((key,) if key else ()))
        suite.document.problem(at, said, who=who, noun="test" if who else "rule")

    if not entries:
        test.problem((), "has no registry: write registry: [{sensor: A, quantity: ch4}]")
        return None
    found = invented(entries, note)
    if test.registry is None and found is not None:
        making.shared = found
    return found


@dataclass(frozen=True, slots=True)
class _Looked:
    """Looks up what a test calls things; what there is not is noted at its place."""

    test: ReadTest
    names: Names

    def channel(self, i: int, word: str) -> int:
        """Return the row of an input's channel, −1 after noting that there is none."""
        try:
            return self.names.channel(word)
        except ValueError as error:
            self.test.problem(("input", i, "sensor"), str(error))
            return -1

    def subject(self, where: tuple[str, int], of: Action | Expectation) -> str | None:
        """Return what an alarm's subject must be, None for any."""
        for key in ("sensor", "asset", "device", "zone"):
            word = getattr(of, key, None)
            if word is None:
                continue
            try:
                if key == "sensor":
                    return self.names.registry.channels.id[self.names.channel(word)]
                return str(getattr(self.names, key)(word))
            except ValueError as error:
                self.test.problem((*where, key), str(error))
                return ""
        return None

    def members(self, i: int, of: Expectation) -> frozenset[str] | None:
        """Return the ids of the channels that must have voted."""
        if of.members is None:
            return None
        found = set()
        for k, word in enumerate(of.members):
            try:
                found.add(self.names.registry.channels.id[self.names.channel(word)])
            except ValueError as error:
                self.test.problem(("expect", i, "members", k), str(error))
        return frozenset(found)


def _check_rules(case: Case, ruleset: RuleSet, warnings: list[Problem]) -> None:
    """Refuse expectations and actions that could never tell anything."""
    test, known = case.test, [rule.id for rule in ruleset.rules]
    levels = [level.name for level in case.plan.levels]
    about: list[tuple[tuple[str, int], Any, str | None]] = [
        (("expect", i), e, case.subjects[i]) for i, e in enumerate(test.expect)
    ]
    about += [(("actions", i), a, case.action_subjects[i]) for i, a in enumerate(test.actions)]
    for where, of, subject in about:
        if of.rule is None or subject == "":
            continue
        if of.rule not in known:
            test.problem((*where, "rule"), f"unknown rule {of.rule!r}{nearest(of.rule, known)}")
            continue
        judged = case.judged(of.rule)
        if not judged:
            why = [p.message for p in warnings if p.rule == of.rule]
            said = f"rule {of.rule!r} judges nothing in the test's registry: it could never fire"
            test.problem((*where, "rule"), said + (f" ({listed(why)})" if why else ""))
        elif subject is not None and subject not in judged:
            shown = listed(case.names.shown(name) for name in sorted(judged)[:4])
            said = f"rule {of.rule!r} does not judge it, it judges {shown}: see its select"
            test.problem(where, said)
        level = getattr(of, "level", None)
        if level is not None and level not in levels:
            said = f"unknown level {level!r}{nearest(level, levels)}: {listed(levels)}"
            test.problem((*where, "level"), said)
