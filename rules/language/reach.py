"""Warnings that need the registry: limits out of reach, holds too short, channels unwatched."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from rules.language.kinds import KINDS
from rules.plan import NEVER_NS
from rules.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from rules.language.ruleset import Rule
    from rules.language.selection import Selector
    from rules.plan import ChannelRule, Level
    from rules.registry import Registry


def channel_warnings(
    rule: Rule, built: ChannelRule, registry: Registry, levels: Sequence[Level]
) -> list[Problem]:
    """Return what is odd about one side of a rule on its channels, one warning a kind of oddity."""
    warn = _Warnings(rule, registry, built.channel)
    interval = registry.channels.interval_ns[built.channel]
    kind = KINDS[built.kind]
    if kind.warn is not None:
        kind.warn(warn, built, registry, levels)
    holding = ((built.hold_ns > 0) & (built.hold_ns < NEVER_NS)).any(axis=1)
    stuck = holding & (built.max_gap_ns < interval) & (built.hold_samples == 0).any(axis=1)
    said = "max_gap is shorter than the sampling interval: the hold can never run"
    warn.some(stuck, ("max_gap",), said)
    if not built.fail_loud:
        short = (built.hold_ns > 0) & (built.hold_ns < 2 * interval[:, None])
        short &= ~np.isnan(built.raise_at) & (built.hold_samples == 0)
        names = ", ".join(lv.name for i, lv in enumerate(levels) if short[:, i].any())
        said = f"for: a hold shorter than two sampling intervals waits for one sample only: {names}"
        warn.some(short.any(axis=1), ("for",), said)
    return warn.problems


class Overlaps:
    """Tells where two threshold rules watch the same side of a channel: each alarm comes twice."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._owner = {sign: np.full(len(registry.channels.id), -1) for sign in (1, -1)}
        self._rules: list[Rule] = []

    def of(self, rule: Rule, built: ChannelRule) -> list[Problem]:
        """Return a warning for each earlier rule this one meets, and remember it."""
        if built.kind != "threshold":
            return []
        owner = self._owner[built.side]
        held = owner[built.channel]
        problems = []
        for number in np.unique(held[held >= 0]).tolist():
            other = self._rules[number]
            said = f'overlaps rule "{other.id}" ({other.file}): each alarm comes twice'
            warn = _Warnings(rule, self._registry, built.channel)
            warn.some(held == number, ("select",), said)
            problems += warn.problems
        owner[built.channel] = len(self._rules)
        self._rules.append(rule)
        return problems


def shadowed(
    sets: Sequence[Collection[str]], order: Sequence[int], member: NDArray[np.bool_]
) -> list[int]:
    """Return the overrides that change nothing anywhere: stronger ones say all they say.

    ``sets`` are the keys each override sets, ``order`` has the weakest first, and ``member``
    [rows, overrides] says for whom each holds.
    """
    found = []
    for place, number in enumerate(order):
        rows = np.flatnonzero(member[:, number])
        effective = np.zeros(len(rows), np.bool_)
        for key in sets[number]:
            said_again = np.zeros(len(rows), np.bool_)
            for stronger in order[place + 1 :]:
                if any(key == k or key.startswith(f"{k}.") for k in sets[stronger]):
                    said_again |= member[rows, stronger]
            effective |= ~said_again
        if len(rows) and not effective.any():
            found.append(number)
    return found


class _Warnings:
    """Collects warnings about some of a rule's channels, naming the first of them."""

    def __init__(self, rule: Rule, registry: Registry, channel: NDArray[np.int32]) -> None:
        self.rule, self.registry, self.channel = rule, registry, channel
        self.problems: list[Problem] = []

    def some(
        self, which: Any, where: tuple[str, ...], said: str, *, unreachable: bool = False
    ) -> None:
        rows = np.flatnonzero(which)
        if len(rows):
            first = self.registry.channels.id[self.channel[rows[0]]]
            more = f" and {len(rows) - 1} more" if len(rows) > 1 else ""
            text = f"{said} ({first}{more})"
            problem = self.rule.problem(where, text, "warning", key=True)
            self.problems.append(replace(problem, unreachable=unreachable))


def coverage(selector: Selector, judged: NDArray[np.bool_]) -> list[Problem]:
    """Return one warning for each kind of safety channel that no rule judges.

    A waveform is judged where a feature of it is.
    """
    registry = selector.registry
    judged = judged.copy()
    for row, derived in enumerate(registry.channels.derived):
        if derived and judged[row] and derived["from"] in registry.channel_row:
            judged[registry.channel_row[derived["from"]]] = True
    safety = selector.channel_codes("klass").among(["safety"])
    missed = np.flatnonzero(selector.live_channels & safety & ~judged)
    words = [selector.channel_codes(name) for name in ("domain", "asset_type", "quantity")]
    kind = np.stack([word.codes[missed] for word in words], axis=1)
    _, first, of = np.unique(kind, axis=0, return_index=True, return_inverse=True)
    kinds = {}
    for number in np.argsort(first).tolist():
        texts = [list(w.code)[c] for w, c in zip(words, kind[first[number]].tolist(), strict=True)]
        kinds[tuple(texts)] = missed[of.ravel() == number].tolist()
    problems = []
    for (domain, asset_type, quantity), rows in kinds.items():
        first = registry.channels.id[rows[0]]
        said = (
            f"no rule judges {len(rows)} channel{'s' if len(rows) > 1 else ''} of class safety:"
            f" {quantity} of {asset_type} in {domain}, such as {first}"
        )
        problems.append(Problem("registry", 0, 0, "", said, "warning"))
    return problems
