"""Who is killed how, drawn from a seed: a list of lives for each process.

A life ends at a named point of the write path, the n-th time it is reached, or after a while
wherever the process is then, its start included. Every point is in every schedule that is long
enough; which moment of the machine's own time that is, no seed can say.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

MOST: Final[dict[str, dict[str, int]]] = {
    "ingest": {
        "received": 40,
        "segment-begun": 2,
        "before-fsync": 30,
        "after-fsync": 30,
        "before-ack": 30,
        "half-acked": 20,
        "after-ack": 20,
        "cursor-aside": 1,
        "cursor-renamed": 1,
    },
    "engine": {
        "before-fsync": 6,
        "after-fsync": 6,
        "snapshot-aside": 1,  # written by a fork, which counts from its parent's beginning
        "snapshot-renamed": 1,
        "cursor-aside": 1,
        "cursor-renamed": 1,
    },
    "serve": {
        "ledger-before-commit": 12,
        "ledger-after-commit": 12,
        "notified": 4,
    },
    "store": {
        "store-answered": 6,
        "cursor-aside": 3,
        "cursor-renamed": 3,
    },
    "archive": {
        "archive-aside": 1,
        "archive-renamed": 1,
        "cursor-aside": 1,
        "cursor-renamed": 1,
    },
}
"""Of each process the points it passes, and at which time at most it is killed there."""

SHARE: Final = {"ingest": 0.38, "engine": 0.24, "serve": 0.18, "store": 0.12, "archive": 0.08}
AT_A_POINT: Final = 0.6  # of the lives beyond the first of each point
LONGEST_LIFE_S: Final = 1.5
POINT_KINDS: Final = sum(len(points) for points in MOST.values())


@dataclass(frozen=True, slots=True)
class Life:
    """How one life of a process ends, and how long it is dead before the next."""

    point: str  # "" = wherever it is after ``after_s``
    count: int
    after_s: float
    dead_s: float


def draw_schedule(*, kills: int, seed: int) -> dict[str, list[Life]]:
    """Return the lives of each process, ``kills`` in sum.

    Raises
    ------
    ValueError
        Fewer kills than processes.
    """
    if kills < len(MOST):
        raise ValueError(
            f"{kills} kills: there are {len(MOST)} processes, ask for as many at least"
        )
    draw = random.Random(f"{seed}/schedule")
    counts = {name: max(1, round(kills * share)) for name, share in SHARE.items()}
    counts["ingest"] += kills - sum(counts.values())
    for name, points in MOST.items():  # where there are enough for all points, each has its own
        while kills >= POINT_KINDS and counts[name] < len(points):
            giver = max(counts, key=lambda each: counts[each] - len(MOST[each]))
            counts[giver] -= 1
            counts[name] += 1
    return {name: _lives(draw, MOST[name], counts[name]) for name in MOST}


def _lives(draw: random.Random, points: dict[str, int], count: int) -> list[Life]:
    first = draw.sample(list(points), len(points))
    chosen = first[:count]
    while len(chosen) < count:
        chosen.append(draw.choice(first) if draw.random() < AT_A_POINT else "")
    draw.shuffle(chosen)
    return [
        Life(
            point=point,
            count=draw.randint(1, points[point]) if point else 0,
            after_s=draw.uniform(0.02, LONGEST_LIFE_S),
            dead_s=draw.choice((0.0, 0.0, draw.uniform(0.0, 0.3))),
        )
        for point in chosen
    ]
