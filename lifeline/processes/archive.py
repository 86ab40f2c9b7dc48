"""The archive's writer as a process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ingest.store.archive import ArchiveLimits, run_archive
from lifeline.preflight import read_site

if TYPE_CHECKING:
    from lifeline.processes.context import Context

ROLL_S = 60.0  # of city time; a fast city is archived as often as a slow one
LEAST_ROLL_S = 2.0


def run(context: Context) -> None:
    """Write Parquet until stopped."""
    config = context.config()
    registry, entry = read_site(config, context.data).registry, config.entry.archive
    roll_s = context.checkpoint_s or max(ROLL_S / context.origin.factor, LEAST_ROLL_S)
    limits = ArchiveLimits(
        keep_ns=entry.keep, max_bytes=entry.max_gb << 30 if entry.max_gb else None
    )
    run_archive(
        data=context.data, registry=registry, stop=context.stop, roll_s=roll_s, limits=limits
    )
