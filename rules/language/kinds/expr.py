"""``kind: expr``: arithmetic and comparisons over the channels of one asset."""

from __future__ import annotations

import re
from collections import defaultdict
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import numpy as np
from pydantic import AfterValidator, model_validator

from rules.language.amounts import Amount, Limits, Span, SpanValue
from rules.language.formula import Formula, formula_of, measure_of
from rules.language.kinds.kind import Kind, limit_levels, slot_columns, spans_of
from rules.language.limits import limit_sides
from rules.language.messages import messages_of
from rules.language.models import ChannelBody, LevelName
from rules.plan import ChannelRule
from rules.problems import nearest
from rules.quantities import UnknownUnit
from rules.units import parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rules.language.formula import Measure
    from rules.language.kinds.kind import Found, Groups, Work
    from rules.language.limits import Side
    from rules.language.ruleset import Rule
    from rules.plan import Level

MAX_INPUTS: Final = 8
_NOT_A_NAME: Final = re.compile(r"[^A-Za-z0-9_]")


def _formula(text: str) -> str:
    formula = formula_of(text)
    if not formula.names:
        raise ValueError("names no channel")
    return text


class ExprRule(ChannelBody):
    """A truth with a level, or a number against limits."""

    kind: Literal["expr"]
    expr: Annotated[str, AfterValidator(_formula)]
    level: LevelName | None = None
    max_age: SpanValue = Span(times=3.0)
    unit: str = ""
    above: Limits | None = None
    below: Limits | None = None
    clear: Limits | None = None

    @model_validator(mode="after")
    def _whole(self) -> ExprRule:
        truth = formula_of(self.expr).result.truth
        limits = self.above is not None or self.below is not None
        if truth and (self.level is None or limits):
            raise ValueError("expr is true or false: it needs level: orange, and no limits")
        if not truth and (self.level is not None or not limits):
            raise ValueError("expr is a number: it needs above or below, and no level")
        if truth and (self.hysteresis is not None or self.clear is not None):
            raise ValueError("a truth has no hysteresis: use for and keep_firing_for")
        if self.clear is not None and self.hysteresis is not None:
            raise ValueError("has both hysteresis and clear: keep one")
        if self.clear is not None and self.above is not None and self.below is not None:
            raise ValueError("clear does not say which side: use hysteresis, or two rules")
        if self.overrides:
            raise ValueError("overrides do not go with expr: write a second rule")
        return self


def _levels_of(body: Any) -> dict[str, dict[str, Any]]:
    return limit_levels(body) if body.level is None else {"level": {body.level: Amount(1.0)}}


def _check(body: Any, levels: Sequence[Level]) -> Iterable[Found]:  # noqa: ARG001 - the protocol
    if body.fail_loud:
        yield ("fail_loud",), "fail_loud does not go with expr: write a threshold rule beside it"


def _compile(work: Work, rule: Rule, body: Any, groups: Groups) -> None:
    rows = np.concatenate([rows for _, rows in groups] or [np.zeros(0, np.intp)])
    read = formula_of(body.expr).names
    found = _assets(work, rule, rows, read)
    if not found:
        return
    channels = work.registry.channels
    first = next(iter(found.values()))
    measures = {
        name: measure_of(channels.quantity[held]) if isinstance(held, int) else None
        for name, held in first.items()
    }
    try:
        formula = formula_of(body.expr, measures)
        sides = _sides(body, formula, work.levels)
    except ValueError as error:
        key = "expr"
        if isinstance(error, UnknownUnit):
            key = "unit" if body.unit else "above" if body.above is not None else "below"
        work.problems.append(rule.problem((key,), f"{key}: {error}", key=True))
        return
    inputs = [name for name in read if isinstance(first[name], int)]
    if len(inputs) > MAX_INPUTS:
        work.problems.append(
            rule.problem(("expr",), f"expr: reads more than {MAX_INPUTS} channels: split it")
        )
        return
    table = np.array([[held[name] for name in inputs] for held in found.values()], np.int64)
    for side in sides:
        work.problems += [rule.problem(*p) for p in side.problems]
        work.composite_rules.append(_built(work, (rule, body), (formula, side), (found, table)))
    work.judged[table.ravel()] = True


def _built(
    work: Work,
    what: tuple[Rule, Any],
    meant: tuple[Formula, Side],
    where: tuple[dict[int, dict[str, Any]], Any],
) -> ChannelRule:
    """Return the arrays of one side: a row an asset."""
    (rule, body), (formula, side), (found, table) = what, meant, where
    first = next(iter(found.values()))
    attributes = [name for name in formula.names if not isinstance(first[name], int)]
    inputs = [name for name in formula.names if isinstance(first[name], int)]
    interval = work.registry.channels.interval_ns[table].max(axis=1)
    constants = np.array(
        [[*formula.constants, *(held[name] for name in attributes)] for held in found.values()],
        np.float64,
    ).reshape(len(found), -1)
    word = {f"n{i}": _word(name, formula, inputs) for i, name in enumerate(formula.names)}
    subjects = [work.subject(work.registry.assets.id[asset]) for asset in found]
    columns: Any = slot_columns(side, np.array(subjects, np.int32), interval, body, work.levels)
    return ChannelRule(
        rule_id=rule.id,
        kind="expr",
        side=side.sign,
        klass=body.klass,
        accept=body.accept or (1, 2, 3),
        unit=side.unit,
        source=body.source,
        approved_by=body.approved_by,
        file=rule.file,
        options={
            "program": " ".join(word.get(each, each) for each in formula.program),
            "inputs": " ".join(inputs),
        },
        own={
            "inputs": table,
            "constants": constants,
            "max_age_ns": spans_of(body.max_age, interval),
        },
        **messages_of(body, EXPR.message),
        **columns,
    )


def _word(name: str, formula: Formula, inputs: list[str]) -> str:
    """Return how the program reads a name: an input, or one of the constants after the numbers."""
    if name in inputs:
        return f"i{inputs.index(name)}"
    attributes = [each for each in formula.names if each not in inputs]
    return f"c{len(formula.constants) + attributes.index(name)}"


def _sides(body: Any, formula: Formula, levels: Sequence[Level]) -> list[Side]:
    measure = formula.result.measure
    if body.level is not None:
        truth: Any = _Truth(body.level)
        return limit_sides(truth, levels, (_plain, _plain), "1")

    def converted(amount: Amount) -> float:
        return _converted(amount, body.unit, measure)

    unit = measure.text if measure is not None else body.unit or "1"
    return limit_sides(body, levels, (converted, converted), unit)


class _Truth:
    """The limits of a truth: 1 is a breach, 0 is clear."""

    below = clear = hysteresis = None

    def __init__(self, level: str) -> None:
        self.above = {level: Amount(1.0)}


def _plain(amount: Amount) -> float:
    return amount.number


def _converted(amount: Amount, of_rule: str, measure: Measure | None) -> float:
    """Return a limit in the expression's own unit."""
    text = amount.unit or of_rule
    if measure is None or (not text and not measure.dimension):
        return amount.number
    if not text:
        said = f"{amount.number:g} has no unit: write unit: {measure.text!r}, as the expression is"
        raise UnknownUnit(said)
    unit = parse(text)
    tag = ((f"%{unit.tag}", 1),) if unit.tag else ()
    dimension = tuple(sorted((*unit.dimension, *tag)))
    if dimension != measure.dimension or (measure.absolute and text != measure.text):
        raise UnknownUnit(f"unit {text!r} does not fit the expression, which is in {measure.text}")
    return float(Fraction(repr(amount.number)) * unit.scale / measure.scale)


def _assets(
    work: Work, rule: Rule, rows: Any, read: list[str]
) -> dict[int, dict[str, int | float]]:
    """Return, for each asset that has all names: a channel's row, or an attribute's number.

    Assets that lack a name, or have it twice or of another quantity, are told of and left out.
    """
    by_asset: dict[int, list[int]] = defaultdict(list)
    for row in sorted(rows.tolist()):
        by_asset[int(work.registry.channels.asset[row])].append(row)
    found: dict[int, dict[str, int | float]] = {}
    said: dict[str, list[str]] = defaultdict(list)
    kinds: list[str] | None = None
    for asset, own in sorted(by_asset.items()):
        names = _names(work, asset, own)
        wrong = [name for name in read if len(names.get(name, ())) != 1]
        if wrong:
            many = len(names.get(wrong[0], ())) > 1
            hint = nearest(wrong[0], sorted(names))
            text = f"{wrong[0]} names several channels" if many else f"no {wrong[0]}{hint}"
            said[text].append(work.registry.assets.id[asset])
            continue
        held = {name: names[name][0] for name in read}
        quantity = work.registry.channels.quantity
        own_kinds = [quantity[h] if isinstance(h, int) else "" for h in held.values()]
        if not any(own_kinds):
            said["no channel is read, only attributes"].append(work.registry.assets.id[asset])
        elif kinds is not None and own_kinds != kinds:
            said["a name means another quantity there"].append(work.registry.assets.id[asset])
        else:
            kinds, found[asset] = own_kinds, held
    for text, ids in said.items():
        more = f" and {len(ids) - 1} more" if len(ids) > 1 else ""
        told = f"expr: {text}: not judged ({ids[0]}{more})"
        work.problems.append(rule.problem(("expr",), told, "warning", key=True))
    return found


def _names(work: Work, asset: int, rows: list[int]) -> dict[str, list[int | float]]:
    """Return what each name may mean: a quantity, sensor_channel, channel, or an attribute."""
    registry = work.registry
    names: dict[str, list[int | float]] = {}
    ids = registry.channels.id
    for called in (
        [registry.channels.quantity[row] for row in rows],
        [_NOT_A_NAME.sub("_", ids[row].split("/", 1)[1]) for row in rows],
        [_NOT_A_NAME.sub("_", ids[row].rpartition("/")[2]) for row in rows],
    ):
        held: dict[str, list[int | float]] = defaultdict(list)
        for name, row in zip(called, rows, strict=True):
            held[name].append(row)
        names = {**held, **names}
    for name, value in registry.assets.attributes[asset].items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            names.setdefault(name, [float(value)])
    return names


EXPR = Kind(
    name="expr",
    model=ExprRule,
    message=(
        "{{ asset.name }}: {{ rule }} holds ({{ score }}, limit {{ limit }})",
        "{{ asset.name_zh }}：{{ rule }} 成立（{{ score }}，限值 {{ limit }}）",
    ),
    levels_of=_levels_of,
    check=_check,
    compile=_compile,
)
