"""Counters and gauges of the store and the archive."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

WRITTEN = Counter("lifeline_store_lines_written_total", "Lines the server has answered for")
SKIPPED = Counter("lifeline_store_rows_skipped_total", "Rows that are no line, and why", ["reason"])
LOST = Counter("lifeline_store_lost_records_total", "Journal records gone before they were read")
LATE = Counter("lifeline_store_late_rows_total", "Late rows written, to a series of their own")
REQUESTS = Counter("lifeline_store_requests_total", "Answers of the server, by kind", ["answer"])
RETRIES = Counter("lifeline_store_retries_total", "Requests that were tried again", ["reason"])
BAD_LINES = Counter("lifeline_store_bad_lines_total", "Lines refused and put into quarantine")
DROPPED = Counter("lifeline_store_dropped_lines_total", "Lines the server dropped (422)")
QUARANTINE_REMOVED = Counter(
    "lifeline_store_quarantine_removed_total", "Quarantine segments removed at the limit"
)
LAG = Gauge("lifeline_store_lag_records", "Journal records not yet answered for", ["input"])
DOWN_SINCE = Gauge(
    "lifeline_store_down_since_seconds", "Unix time since when down; 0 = up", ["bucket"]
)

ARCHIVED = Counter("lifeline_archive_rows_total", "Rows archived, by verdict", ["verdict"])
ARCHIVE_FILES = Gauge("lifeline_archive_files", "Files the manifest names")
ARCHIVE_LAG = Gauge("lifeline_archive_lag_records", "Journal records not yet in the manifest")
ARCHIVE_ERRORS = Counter("lifeline_archive_errors_total", "Rolls that failed and are tried again")
COMPACTIONS = Counter("lifeline_archive_compactions_total", "Small files made into one")
ARCHIVE_EXPIRED = Counter(
    "lifeline_archive_expired_files_total", "Archive files removed by age or size"
)
NOT_REMOVED = Counter(
    "lifeline_store_not_removed_total", "Points that a correction should have replaced, and did not"
)
