"""How many series InfluxDB is given: a few a channel, whatever the size of the city."""

from __future__ import annotations

from ingest.store.alarm_book import AlarmBook
from ingest.store.limits import Limits
from ingest.store.schema import prefix
from ingest.store.site_at import SiteAt
from lifeline.bench.city import city_of
from lifeline.bench.city_run import shipped_plan
from rules.engine import Engine

CHANNELS = 4_000


def test_a_city_gives_at_most_four_series_a_channel(tmp_path):
    registry = city_of(CHANNELS).registry
    site = SiteAt(tmp_path, registry)
    site.plan = shipped_plan(registry)
    lines = [*Limits(site).at(1), *AlarmBook(site).assets(1)]
    lines += [
        prefix(registry, channel, quality=quality, late=False)
        for channel in range(CHANNELS)
        for quality in (1, 3)
    ]
    series = {line.split(b" ", 1)[0] for line in lines}
    readout = Engine(site.plan, registry, reads_out=True).readout
    assert readout is not None
    scores = sum(len(minute) for minute in readout.minute.values())
    assert 2 * CHANNELS < len(series) + scores < 4 * CHANNELS
