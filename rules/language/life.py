"""How the alarms of a rule live, as a rule file says it: ``latch``, ``ack``, ``realarm``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from rules.alarm_life import USUAL, Life
from rules.durations import parse_duration
from rules.problems import nearest
from rules.strict_models import DurationNs, Strict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rules.language.ruleset import Rule
    from rules.plan import Level
    from rules.problems import Problem

ORANGE: Final = 3
DAY_NS: Final = 86_400_000_000_000
_CHATTER: Final = re.compile(r"(\d{1,2}) in (\S{1,16})", re.ASCII)


def _shelf(shelve_max_ns: int) -> int:
    if not 0 < shelve_max_ns <= 7 * DAY_NS:
        raise ValueError(
            "must be more than 0s and at most 7d: longer is out of service, not shelved"
        )
    return shelve_max_ns


def _chatter(value: object) -> tuple[int, int]:
    found = _CHATTER.fullmatch(value) if isinstance(value, str) else None
    if found is None or not 2 <= int(found[1]) <= 16:
        raise ValueError(
            f"{str(value)[:32]!r}: write 3 in 1m: 2 to 16 raises, and within what time"
        )
    return int(found[1]), parse_duration(found[2])


def _realarm(value: object) -> int:
    return 0 if value == "never" else parse_duration(value)


ShelveMax = Annotated[DurationNs, AfterValidator(_shelf)]
Chatter = Annotated[tuple[int, int], BeforeValidator(_chatter, json_schema_input_type=str)]
Realarm = Annotated[int, BeforeValidator(_realarm, json_schema_input_type=str)]


def _hold(value: object) -> object:
    if value != "hold":
        raise ValueError("must be hold: silence never clears an alarm")
    return value


class LifeKeys(Strict):
    """The keys of a rule, or of ``defaults``, that its alarms live by."""

    latch: bool | dict[str, bool] | None = None
    ack: Literal["required", "comment", "none"] | None = None
    shelve_max: ShelveMax | None = None
    chatter: Chatter | None = None
    realarm: Realarm | None = None
    join: DurationNs | None = Field(None)
    on_gap: Annotated[Literal["hold"], BeforeValidator(_hold)] | None = None


def life_of(keys: LifeKeys, levels: Sequence[Level]) -> Life:
    """Return how the alarms of a rule live; ``levels`` by severity rising."""
    told: dict[str, Any] = {
        "ack": keys.ack,
        "shelve_max_ns": keys.shelve_max,
        "realarm_ns": keys.realarm,
        "join_ns": keys.join,
    }
    if keys.chatter is not None:
        told["chatter_count"], told["chatter_ns"] = keys.chatter
    if isinstance(keys.latch, bool):
        told["latch"] = (keys.latch,) * 4
    elif keys.latch is not None:
        latch = list(USUAL.latch)
        for level in levels:
            latch[level.severity - 1] = keys.latch.get(level.name, latch[level.severity - 1])
        told["latch"] = tuple(latch)
    said = {name: value for name, value in told.items() if value is not None}
    return Life(**said) if said else USUAL


def life_problems(rules: Sequence[Rule], levels: Sequence[Level]) -> list[Problem]:
    """Return what is wrong: unknown levels, and danger that would go away unseen."""
    problems = []
    known = [level.name for level in levels]
    for rule in rules:
        keys = rule.body
        if isinstance(keys.latch, dict):
            for word in keys.latch:
                if word not in known:
                    said = f"latch: unknown level {word!r}{nearest(word, known)}"
                    problems.append(rule.problem(("latch", word), said))
        if not getattr(rule.body, "fail_loud", False):
            continue
        life = life_of(keys, levels)
        if keys.ack == "none":
            said = "ack: none: the alarms of a fail_loud rule are seen by somebody: write required"
            problems.append(rule.problem(("ack",), said))
        elif not all(life.latch[ORANGE - 1 :]):
            said = "latch: orange and red of a fail_loud rule wait to be seen: leave them true"
            problems.append(rule.problem(("latch",), said))
    return problems


def compile_lives(rules: Sequence[Rule], levels: Sequence[Level]) -> dict[str, Life]:
    """Return how the alarms of each rule live that says anything of it, by rule."""
    lives = {rule.id: life_of(rule.body, levels) for rule in rules}
    return {rule: life for rule, life in lives.items() if life != USUAL}
