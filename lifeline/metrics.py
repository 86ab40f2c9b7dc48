"""What `serve` counts, for /metrics. One module, so that a name stands once."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

EVENTS = Counter("lifeline_ledger_events_total", "Events taken into the ledger", ["type"])
MISMATCHES = Counter(
    "lifeline_ledger_mismatches_total", "Events that a re-run gave differently", ["kind"]
)
LEDGER_FAILURES = Counter(
    "lifeline_ledger_unavailable_total", "Times the ledger did not answer in its bounded wait"
)
LEDGER_DOWN_SINCE = Gauge(
    "lifeline_ledger_down_since_seconds",
    "Unix time since when the ledger cannot be written and a copy stands in; 0 = it can",
)
OPEN_ALARMS = Gauge("lifeline_alarms_open", "Alarms that are not over", ["severity", "word"])
WARNINGS = Counter("lifeline_warnings_total", "Official warnings that came", ["via", "result"])
COMMANDS = Counter("lifeline_commands_total", "Operators' commands", ["type", "result"])
MIRROR_PENDING = Gauge(
    "lifeline_commands_not_in_journal", "Commands accepted, not yet answered by ingest"
)
OUTBOX = Counter("lifeline_outbox_total", "Outbox rows by what became of them", ["status"])
OUTBOX_RETRIES = Counter(
    "lifeline_outbox_retries_total", "Attempts to tell the outside that failed", ["outlet"]
)
OUTBOX_PACED = Counter(
    "lifeline_outbox_paced_total", "Times an outlet waited for its messages a minute", ["outlet"]
)
BLIND = Gauge(
    "lifeline_blind", "1 when no heartbeat came through the whole chain for 3 of its intervals"
)
HEARTBEAT_AGE = Gauge("lifeline_heartbeat_age_seconds", "Wall time since the last heartbeat")
DATA_AGE = Gauge("lifeline_data_age_seconds", "Wall time since the journal's newest record")
CALIBRATION_OVERDUE = Gauge(
    "lifeline_calibration_overdue",
    "Living channels of fail_loud rules whose calibration is overdue: they count as unprotected",
    ["domain"],
)
PROOF_TESTS_DUE = Gauge(
    "lifeline_proof_tests",
    "Safety channels whose proof test is overdue, or whose last one failed",
    ["domain", "state"],
)
SIGNS_OF_LIFE = Counter(
    "lifeline_signs_of_life_total", "Signs of life to the watcher outside, by result", ["result"]
)
CERTIFICATE_ENDS = Gauge(
    "lifeline_certificate_ends_timestamp_seconds", "When a certificate of [tls] ends", ["name"]
)
STREAMS = Gauge("lifeline_page_streams", "Pages connected")
STREAMS_REFUSED = Counter("lifeline_page_streams_refused_total", "Pages over the limit")
HOT_ROWS = Counter("lifeline_hot_rows_total", "Readings put into the hot buffer")
READER_DAMAGE = Counter(
    "lifeline_serve_skipped_total", "Records serve had to skip, by where they stood", ["log"]
)
# Told as 0 from the start: a first one would otherwise come out of nothing, and alert nobody.
OUTBOX.labels("given_up")
SIGNS_OF_LIFE.labels("failed")
for _log in ("journal", "events", "event line", "retention"):
    READER_DAMAGE.labels(_log)
HTTP_REFUSED = Counter("lifeline_http_refused_total", "Requests refused by the page", ["reason"])
