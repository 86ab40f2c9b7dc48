"""What `ingest` counts, for /metrics. One module, so that a name stands once."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

FRAMES = Counter("lifeline_frames_total", "Frames received, by transport", ["transport"])
READINGS = Counter("lifeline_readings_total", "Scalar rows journaled")
BLOCKS = Counter("lifeline_blocks_total", "Waveforms journaled")
REFUSED = Counter(
    "lifeline_frames_quarantined_total", "Frames refused whole and kept in quarantine", ["reason"]
)
PARTS_REFUSED = Counter(
    "lifeline_parts_quarantined_total", "Parts of frames refused while the rest counted", ["reason"]
)
REMARKS = Counter(
    "lifeline_admission_total",
    "Rows or messages admitted with a remark: out of range, fault, shifted, clock not set, …",
    ["remark"],
)
COMMITS = Counter("lifeline_journal_commits_total", "Group commits of the journal")
COMMIT_SECONDS = Histogram(
    "lifeline_journal_commit_seconds",
    "Time of a group commit, write and sync",
    buckets=(0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2),
)
JOURNAL_OFFSET = Gauge("lifeline_journal_durable_offset", "First journal offset not yet durable")
JOURNAL_LAG = Gauge(
    "lifeline_journal_lag_seconds", "Age of the oldest frame that waits for its commit"
)
QUEUE_BYTES = Gauge("lifeline_intake_queue_bytes", "Bytes received and not yet journaled")
QUEUE_LIMIT = Gauge("lifeline_intake_queue_limit_bytes", "Bytes at which sources stop reading")
QUEUE_FULL = Counter("lifeline_intake_queue_full_total", "Times the intake queue became full")
UNAVAILABLE = Counter(
    "lifeline_coap_unavailable_total", "CoAP requests answered 5.03: queue or disk full"
)
COAP_DROPS = Gauge(
    "lifeline_coap_kernel_drops", "Datagrams the kernel threw away: receive buffer full (Linux)"
)
DISK_FULL = Gauge("lifeline_disk_full", "1 while the disk is full: on the reserve, or not acked")
RAW_DROPPED = Counter(
    "lifeline_raw_frames_dropped_total", "Raw frames the side log had no room for"
)
CONTROLS = Counter("lifeline_control_requests_total", "Control requests", ["result"])
MQTT_CONNECTED = Gauge("lifeline_mqtt_connected", "1 while the broker is connected and subscribed")
MQTT_CONNECTS = Counter("lifeline_mqtt_connects_total", "Connections to the broker", ["result"])
MQTT_PAUSES = Counter(
    "lifeline_mqtt_pauses_total", "Times reading from the broker was paused: queue or disk full"
)
STALE_ACKS = Counter(
    "lifeline_mqtt_stale_acks_total", "Acknowledgements dropped because their connection is gone"
)
UNACKED_QOS0 = Counter(
    "lifeline_mqtt_qos0_total", "Messages published at QoS 0: journaled, but nobody would resend"
)
