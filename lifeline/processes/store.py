"""The InfluxDB writer as a process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ingest.store.service import run_store
from ingest.store.settings import InfluxSettings
from lifeline.errors import Missing
from lifeline.preflight import read_site

if TYPE_CHECKING:
    from lifeline.processes.context import Context


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
    registry = read_site(config, context.data).registry
    run_store(data=context.data, registry=registry, settings=settings, stop=context.stop)
