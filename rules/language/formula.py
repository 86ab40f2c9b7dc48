"""Expressions over channels: ``power > 0.2 and flow < 0.05 * rated_flow`` as a postfix program.

Python's parser reads the text, a whitelist of its nodes is all there is, and nothing is ever
evaluated here: no call but abs, min and max, no attribute, no string, no power, bounded size.
"""

from __future__ import annotations

import ast
import math
import warnings
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from rules.quantities import QUANTITIES
from rules.units import Dimension, parse

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_TEXT: Final = 1000
MAX_DEPTH: Final = 24
MAX_WORDS: Final = 128  # of the program
MAX_CONSTANTS: Final = 32
FUNCTIONS: Final = {"abs": (1, 1), "min": (2, 8), "max": (2, 8)}  # least and most arguments

_BINARY: Final[dict[type[ast.operator], str]] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
}
_COMPARE: Final[dict[type[ast.cmpop], str]] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}


@dataclass(frozen=True, slots=True)
class Measure:
    """What a number is measured in: ``scale`` base units of ``dimension``."""

    scale: Fraction
    dimension: Dimension
    text: str
    absolute: bool = False  # a temperature on the scale of Cel, not a difference of two


@dataclass(frozen=True, slots=True)
class Result:
    """What a part of the expression gives: a truth, or a number (in no unit of its own: None)."""

    truth: bool
    measure: Measure | None = None


@dataclass(slots=True)
class Formula:
    """A checked expression: its program, the names it reads, and its constants."""

    names: list[str] = field(default_factory=list)  # in order of their first use
    constants: list[float] = field(default_factory=list)
    program: list[str] = field(default_factory=list)  # ``n0`` is names[0], ``c0`` constants[0]
    result: Result = field(default_factory=lambda: Result(truth=False))


def measure_of(quantity: str) -> Measure:
    """Return what a quantity's values are kept in."""
    text = QUANTITIES[quantity].unit
    unit = parse(text)
    tag = ((f"%{unit.tag}", 1),) if unit.tag else ()
    dimension = tuple(sorted((*unit.dimension, *tag)))
    return Measure(unit.scale, dimension, text, absolute=unit.offset != 0)


def formula_of(text: str, measures: Mapping[str, Measure | None] | None = None) -> Formula:
    """Return the checked expression.

    ``measures`` says in what names are measured; without it names of quantities are known and
    all others may be anything.

    Raises
    ------
    ValueError
        With the column and the remedy.
    """
    if len(text) > MAX_TEXT:
        raise ValueError(f"is longer than {MAX_TEXT} characters: split the rule")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text.strip(), mode="eval")
    except SyntaxError as error:
        said = f"is no expression ({error.msg} at column {error.offset or 1})"
        raise ValueError(f"{said}: write such as power > 0.2 and flow < 5") from None
    except (ValueError, RecursionError, MemoryError, OverflowError):
        raise ValueError("is no expression: nested too deeply, or an absurd number") from None
    work = _Work(Formula(), measures)
    work.formula.result = work.take(tree.body, 0)
    if len(work.formula.program) > MAX_WORDS:
        raise ValueError(f"has more than {MAX_WORDS} steps: split the rule")
    return work.formula


@dataclass(slots=True)
class _Work:
    formula: Formula
    measures: Mapping[str, Measure | None] | None

    def take(self, node: ast.expr, depth: int) -> Result:
        """Append the program of a node, operands first."""
        if depth > MAX_DEPTH:
            raise _wrong(node, "is nested too deeply")
        if isinstance(node, ast.Constant):
            return self.constant(node)
        if isinstance(node, ast.Name):
            return self.name(node)
        if isinstance(node, ast.UnaryOp):
            return self.unary(node, depth)
        if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
            return self.binary(node, depth)
        if isinstance(node, ast.BoolOp):
            return self.logic(node, depth)
        if isinstance(node, ast.Compare):
            return self.compare(node, depth)
        if isinstance(node, ast.Call):
            return self.call(node, depth)
        raise _wrong(node, "only names, numbers, + - * / ( ), comparisons, and, or, not")

    def constant(self, node: ast.Constant) -> Result:
        if isinstance(node.value, bool) or not isinstance(node.value, int | float):
            raise _wrong(node, "only numbers can stand here")
        try:
            value = float(node.value)
        except OverflowError:
            value = math.inf
        if not math.isfinite(value):
            raise _wrong(node, "is too large a number")
        self.put_constant(value)
        return Result(truth=False)

    def put_constant(self, value: float) -> None:
        held = self.formula.constants
        if value not in held:
            held.append(value)
        if len(held) > MAX_CONSTANTS:
            raise ValueError(f"has more than {MAX_CONSTANTS} different numbers: split the rule")
        self.formula.program.append(f"c{held.index(value)}")

    def name(self, node: ast.Name) -> Result:
        if node.id in FUNCTIONS:
            raise _wrong(node, f"{node.id} is a function: write {node.id}(…)")
        if self.measures is not None:
            measure = self.measures.get(node.id)
        else:
            measure = measure_of(node.id) if node.id in QUANTITIES else None
        if node.id not in self.formula.names:
            self.formula.names.append(node.id)
        self.formula.program.append(f"n{self.formula.names.index(node.id)}")
        return Result(truth=False, measure=measure)

    def number(self, node: ast.expr, depth: int) -> Measure | None:
        """Take a node that must give a number."""
        result = self.take(node, depth + 1)
        if result.truth:
            raise _wrong(node, "is a truth, where a number is needed")
        return result.measure

    def unary(self, node: ast.UnaryOp, depth: int) -> Result:
        if isinstance(node.op, ast.Not):
            if not self.take(node.operand, depth + 1).truth:
                raise _wrong(node.operand, "not needs a comparison")
            self.formula.program.append("not")
            return Result(truth=True)
        if isinstance(node.op, ast.Invert):
            raise _wrong(node, "only names, numbers, + - * / ( ), comparisons, and, or, not")
        measure = self.number(node.operand, depth)
        if isinstance(node.op, ast.USub):
            self.formula.program.append("neg")
        return Result(truth=False, measure=measure)

    def binary(self, node: ast.BinOp, depth: int) -> Result:
        word = _BINARY[type(node.op)]
        left = self.number(node.left, depth)
        right = self.number(node.right, depth)
        if word in "+-":
            measure = self.alike(node, left, right)
            if measure is not None and word == "-" and left and right:
                measure = Measure(measure.scale, measure.dimension, measure.text)
        else:
            measure = _product(left, right, 1 if word == "*" else -1)
        self.formula.program.append(word)
        return Result(truth=False, measure=measure)

    def alike(self, node: ast.expr, left: Measure | None, right: Measure | None) -> Measure | None:
        """Bring the operand just taken to the other's unit; numbers are of any."""
        if left is None or right is None:
            return left or right
        if left.dimension != right.dimension:
            said = f"{left.text} and {right.text} cannot be added or compared"
            raise _wrong(node, said)
        if left.scale != right.scale:
            self.put_constant(float(right.scale / left.scale))
            self.formula.program.append("*")
        return left

    def logic(self, node: ast.BoolOp, depth: int) -> Result:
        word = "and" if isinstance(node.op, ast.And) else "or"
        for i, operand in enumerate(node.values):
            if not self.take(operand, depth + 1).truth:
                raise _wrong(operand, f"{word} needs comparisons on both sides")
            if i:
                self.formula.program.append(word)
        return Result(truth=True)

    def compare(self, node: ast.Compare, depth: int) -> Result:
        operands = [node.left, *node.comparators]
        for i, op in enumerate(node.ops):
            word = _COMPARE.get(type(op))
            if word is None:
                raise _wrong(node, "only < <= > >= == != compare")
            left = self.number(operands[i], depth)
            right = self.number(operands[i + 1], depth)
            self.alike(node, left, right)
            self.formula.program.append(word)
            if i:
                self.formula.program.append("and")
        return Result(truth=True)

    def call(self, node: ast.Call, depth: int) -> Result:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name not in FUNCTIONS or node.keywords:
            raise _wrong(node, f"only {', '.join(FUNCTIONS)} can be called")
        least, most = FUNCTIONS[name]
        if not least <= len(node.args) <= most:
            raise _wrong(node, f"{name} takes {least} … {most} numbers")
        measure = self.number(node.args[0], depth)
        if name == "abs":
            self.formula.program.append("abs")
        for argument in node.args[1:]:
            measure = self.alike(node, measure, self.number(argument, depth))
            self.formula.program.append(name)
        return Result(truth=False, measure=measure)


def _product(left: Measure | None, right: Measure | None, power: int) -> Measure | None:
    """Return what a product (power 1) or quotient (−1) is measured in."""
    if right is None:
        return left
    if left is None and power == 1:
        return right
    one = left or Measure(Fraction(1), (), "1")
    exponents = dict(one.dimension)
    for base, exponent in right.dimension:
        exponents[base] = exponents.get(base, 0) + power * exponent
    dimension = tuple(sorted((b, e) for b, e in exponents.items() if e))
    text = f"{one.text}{'.' if power == 1 else '/'}{right.text}"
    return Measure(one.scale * right.scale**power, dimension, text)


def _wrong(node: ast.expr, said: str) -> ValueError:
    return ValueError(f"column {node.col_offset + 1}: {said}")
