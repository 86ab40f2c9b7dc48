"""A small picture in a terminal: values, limits, and marks in time. The only file with plotext."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import plotext

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
    plotext.clear_figure()
    plotext.theme("clear")
    plotext.limit_size(False, False)
    plotext.plot_size(width, HEIGHT)
    plotext.plot(list(minutes[thin]), list(values[thin]), marker="hd")
    for limit in limits.values():
        plotext.hline(limit)
    for at in marks.values():
        plotext.vline(at)
    plotext.yticks(list(named), list(named.values()))
    plotext.xticks(list(times), list(times.values()))
    return str(plotext.uncolorize(plotext.build())).rstrip()
