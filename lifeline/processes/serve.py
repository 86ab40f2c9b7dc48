"""The page, ledger and webhook as a process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifeline import metrics
from lifeline.certificates import ends_in
from lifeline.console.guard import Proxy
from lifeline.notify.sign_of_life import SignOfLifeSettings
from lifeline.notify.webhook import WebhookSettings
from lifeline.serve import ServeSettings, run_serve
from rules.flood import FloodLimits

if TYPE_CHECKING:
    from lifeline.config import CityConfig
    from lifeline.processes.context import Context


def run(context: Context) -> None:
    """Serve until stopped."""
    config = context.config()
    page, site = config.entry.page, config.entry.site
    settings = ServeSettings(
        host=page.bind,
        port=page.port,
        proxy=_proxy(config),
        certificate=config.page_certificate,
        zone=site.timezone,
        simulation=site.simulation,
        webhook=_webhook(config),
        ledger_url=config.ledger_url,
        flood=FloodLimits(
            begins=config.entry.alarms.flood_begins, ends=config.entry.alarms.flood_ends
        ),
        sign_of_life=_sign_of_life(config),
        map_file=context.site / "map.geojson",
        folder=context.site,
    )
    if config.entry.tls is not None:
        for name, ends in ends_in(config.path(config.entry.tls.folder)).items():
            metrics.CERTIFICATE_ENDS.labels(name).set(ends.timestamp())
    clock = context.origin.clock()
    run_serve(data=context.data, settings=settings, clock=clock, stop=context.stop)


def _proxy(config: CityConfig) -> Proxy | None:
    page = config.entry.page
    if page.origin is None:
        return None
    return Proxy(origin=page.origin, token=config.secret(page.token_file, page.token_env))


def _webhook(config: CityConfig) -> WebhookSettings | None:
    entry = config.entry.webhook
    if entry is None:
        return None
    return WebhookSettings(
        url=entry.url,
        secret=config.secret(entry.secret_file, entry.secret_env).encode(),
        ca_file=str(config.path(entry.ca_file)) if entry.ca_file else None,
        min_severity=entry.min_severity,
    )


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
