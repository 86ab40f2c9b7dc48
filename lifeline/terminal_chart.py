"""A line over time in a terminal, with limits and marks. The only file that knows plotext."""

from __future__ import annotations

from typing import TYPE_CHECKING

import plotext

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


def draw(
    times: Sequence[float],
    values: Sequence[float],
    *,
    size: tuple[int, int],
    limits: Iterable[float],
    value_names: Mapping[float, str],
    time_names: Mapping[float, str],
    marks: Iterable[float] = (),
    span: tuple[float, float] | None = None,
) -> str:
    """Return lines of text, ``size`` (columns, rows); names stand at the axes.

    ``span`` is what of time is shown; default all there is.
    """
    plotext.clear_figure()
    plotext.theme("clear")
    plotext.limit_size(False, False)
    plotext.plot_size(*size)
    plotext.plot(list(times), list(values), marker="hd")
    for limit in limits:
        plotext.hline(limit)
    for at in marks:
        plotext.vline(at)
    if span is not None:
        plotext.xlim(*span)
    plotext.yticks(list(value_names), list(value_names.values()))
    plotext.xticks(list(time_names), list(time_names.values()))
    return str(plotext.uncolorize(plotext.build())).rstrip()
