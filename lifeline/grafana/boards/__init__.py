"""One file a family of dashboards; ``boards`` lists them all, in the order of the menu."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifeline.grafana.boards.bridge import modal
from lifeline.grafana.boards.detail import asset, channel
from lifeline.grafana.boards.drain import rain_and_drainage
from lifeline.grafana.boards.figures import alarm_figures
from lifeline.grafana.boards.lifelines import lifeline
from lifeline.grafana.boards.overview import overview
from lifeline.grafana.boards.pipeline import pipeline_health
from lifeline.grafana.boards.quality import data_quality
from lifeline.grafana.boards.water import metered_areas
from lifeline.grafana.words import LIFELINES

if TYPE_CHECKING:
    from lifeline.grafana.city import City
    from lifeline.grafana.shapes import Board


def boards(city: City) -> tuple[Board, ...]:
    """Return every dashboard of a city."""
    return (
        overview(city),
        *(lifeline(city, domain) for domain in LIFELINES),
        asset(city),
        channel(city),
        modal(city),
        metered_areas(city),
        rain_and_drainage(city),
        data_quality(city),
        alarm_figures(city),
        pipeline_health(city),
    )
