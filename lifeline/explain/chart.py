"""A small picture in a terminal: values, limits, and marks in time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lifeline.terminal_chart import draw

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HEIGHT: Final = 14
MOST_POINTS: Final = 2_000


def chart(
    minutes: Sequence[float],
    values: Sequence[float],
    *,
    limits: Mapping[str, float],
    marks: Mapping[str, float],
    width: int,
) -> str:
    """Return lines of text: ``values`` over ``minutes``, limits as lines across, marks upright.

    Limits and marks are named at their axes. Without values there is no picture: "".
    """
    if not values:
        return ""
    thin = slice(None, None, max(1, len(values) // MOST_POINTS))
    low, high = min(values), max(values)
    named = {low: f"{low:.4g}", high: f"{high:.4g}"} | {v: name for name, v in limits.items()}
    begin, end = minutes[0], minutes[-1]
    times = {begin: f"{begin:+.0f} min", end: f"{end:+.0f} min"}
    times |= {at: name for name, at in marks.items()}
    return draw(
        minutes[thin],
        values[thin],
        size=(width, HEIGHT),
        limits=limits.values(),
        value_names=named,
        time_names=times,
        marks=marks.values(),
    )
