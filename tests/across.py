"""What random rules across channels are drawn from: parameters, and programs of the kind expr."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tests.small_city import SECOND_NS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

ACROSS: dict[str, dict[str, Sequence[Any]]] = {
    "neighbour": {
        "neighbours": ((1, 2, 3, 4), (0, 2, -1, -1), (4, 3, 0, 1), (3, -1, -1, -1), (0, 1, 4, -1)),
        "max_age_ns": [s * SECOND_NS for s in (0, 5, 60, 600)],
        "min_members": (0, 1, 2, 3),
        "floor": (0.0, 0.25),
    },
    "expr": {
        "inputs": ((0, 1, 2), (0, 1, 2), (3, 4, 0), (2, 2, 4)),
        "constants": ((0.0, 1.0), (2.0, -0.5), (4.0, math.inf), (0.5, -0.0)),
        "max_age_ns": [s * SECOND_NS for s in (0, 5, 60, 600)],
    },
    "vote": {
        "members": ((0, 1, 2, 3, 4), (0, 2, 4, -1, -1), (1, 3, -1, -1, -1), (4, 2, 1, 0, -1)),
        "within_ns": [s * SECOND_NS for s in (0, 5, 60, 300)],
    },
    **{
        kind: {"within_ns": [s * SECOND_NS for s in (0, 3, 10, 40)]}
        for kind in ("all", "any", "sequence")
    },
}

OPERATORS = ("+", "-", "*", "/", "min", "max", "neg", "abs")
COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")


def arithmetic(random: Random, depth: int) -> list[str]:
    """A postfix program that gives a number."""
    if depth == 0 or random.random() < 0.3:
        return [random.choice(("i0", "i0", "i1", "i2", "c0", "c1"))]
    word = random.choice(OPERATORS)
    right = [] if word in ("neg", "abs") else arithmetic(random, depth - 1)
    return [*arithmetic(random, depth - 1), *right, word]


def logic(random: Random, depth: int) -> list[str]:
    """A postfix program that gives a truth."""
    if depth == 0 or random.random() < 0.3:
        return [*arithmetic(random, 1), *arithmetic(random, 1), random.choice(COMPARISONS)]
    word = random.choice(("and", "or", "not"))
    right = [] if word == "not" else logic(random, depth - 1)
    return [*logic(random, depth - 1), *right, word]
