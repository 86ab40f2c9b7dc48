"""The InfluxDB writer as a process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ingest.store.service import run_store
from ingest.store.settings import InfluxSettings
from lifeline.console.sentences import words
from lifeline.errors import Missing
from lifeline.site import Site

if TYPE_CHECKING:
    from lifeline.processes.context import Context
    from rules.alarms import Alarm
    from rules.plan import Plan
    from rules.registry import Registry


def run(context: Context) -> None:
    """Write points until stopped."""
    config = context.config()
    entry = config.entry.influx
    if entry is None:
        raise Missing(f"{context.site}: no [influx] table: there is no server to write to")
    settings = InfluxSettings(
        url=entry.url,
        org=entry.org,
        bucket=entry.bucket,
        # Where it stands, not what it is: the store names it in its remedy and reads it again.
        token_file=config.path(entry.token_file) if entry.token_file else None,
        token_env=entry.token_env or "",
        ca_file=config.path(entry.ca_file) if entry.ca_file else None,
        verify_tls=entry.verify_tls,
    )
    registry = context.texts(config).registry
    run_store(
        data=context.data,
        registry=registry,
        settings=settings,
        stop=context.stop,
        now_ns=context.origin.clock().now_ns,
        say=Sentences(config.entry.site.timezone),
    )


class Sentences:
    """What alarms say in English and Chinese, in the words of the console."""

    def __init__(self, zone: str) -> None:
        self._zone = zone
        self._site: Site | None = None

    def __call__(self, alarm: Alarm, registry: Registry, plan: Plan) -> tuple[str, str]:
        """Return both sentences."""
        site = self._site
        if site is None or site.registry is not registry or site.plan is not plan:
            site = self._site = Site(registry, plan)
        said = [words(alarm, site, language, zone=self._zone) for language in ("en", "zh")]
        return said[0].sentence, said[1].sentence
