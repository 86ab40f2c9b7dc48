"""The page, ledger and outlets as a process."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from lifeline import metrics
from lifeline.certificates import ends_in
from lifeline.console.city_map import Tiles
from lifeline.console.guard import Proxy
from lifeline.notify.outlets import cap_outlet_of, cap_sender_of, outlets_of, webhook_of
from lifeline.notify.routing import routing_of
from lifeline.notify.sign_of_life import SignOfLifeSettings
from lifeline.notify.targets import department_names
from lifeline.people.doorman import LoginRules
from lifeline.serve import ServeSettings, run_serve
from lifeline.settings.duty_entries import duty_of
from lifeline.settings.weather_entries import feed_of, topic_of, warnings_key_of
from rules.flood import FloodLimits

if TYPE_CHECKING:
    from lifeline.processes.context import Context
    from lifeline.settings.config import CityConfig


def run(context: Context) -> None:
    """Serve until stopped."""
    config = context.config()
    page, site = config.entry.page, config.entry.site
    settings = ServeSettings(
        host=page.bind,
        port=page.port,
        proxy=_proxy(config),
        login=config.entry.login.rules if config.entry.login else LoginRules(),
        origin=page.origin or "",
        certificate=config.page_certificate,
        zone=site.timezone,
        simulation=site.simulation,
        ledger_url=config.ledger_url,
        flood=FloodLimits(
            begins=config.entry.alarms.flood_begins, ends=config.entry.alarms.flood_ends
        ),
        targets=config.entry.incidents.targets(),
        webhook=webhook_of(config),
        outlets=outlets_of(config),
        routing=partial(routing_of, config.entry),
        departments=department_names(config.entry),
        cap=cap_sender_of(config),
        cap_outlet=cap_outlet_of(config),
        duty=duty_of(config.entry),
        work_orders=_work_orders(config),
        warnings_key=warnings_key_of(config),
        warning_senders=tuple(config.entry.warnings.senders) if config.entry.warnings else (),
        warning_feed=feed_of(config),
        warning_topic=topic_of(config),
        public_url=config.page_url,
        sign_of_life=_sign_of_life(config),
        map_file=context.site / "map.geojson",
        tiles=_tiles(config),
        photos=config.entry.photos.limits,
        folder=context.site,
    )
    if config.entry.tls is not None:
        for name, ends in ends_in(config.path(config.entry.tls.folder)).items():
            metrics.CERTIFICATE_ENDS.labels(name).set(ends.timestamp())
    clock = context.origin.clock()
    run_serve(data=context.data, settings=settings, clock=clock, stop=context.stop)


def _proxy(config: CityConfig) -> Proxy | None:
    page = config.entry.page
    if page.origin is None or not (page.token_file or page.token_env):
        return None
    return Proxy(origin=page.origin, token=config.secret(page.token_file, page.token_env))


def _tiles(config: CityConfig) -> Tiles | None:
    entry = config.entry.map
    if entry is None:
        return None
    return Tiles(url=entry.tiles, attribution=entry.attribution, max_zoom=entry.max_zoom)


def _work_orders(config: CityConfig) -> bytes | None:
    """Return the key of the work-order system, None where there is none."""
    entry = config.entry.work_orders
    return None if entry is None else config.secret(entry.secret_file, entry.secret_env).encode()


def _sign_of_life(config: CityConfig) -> SignOfLifeSettings | None:
    entry, site = config.entry.heartbeat, config.entry.site
    if entry is None:
        return None
    return SignOfLifeSettings(
        url=config.secret(entry.url_file, entry.url_env),
        every_s=entry.every / 1e9,
        city=site.name,
        simulation=site.simulation,
        ca_file=str(config.path(entry.ca_file)) if entry.ca_file else None,
    )
