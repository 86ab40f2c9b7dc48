"""What `ingest` counts, for /metrics. One module, so that a name stands once."""

from __future__ import annotations

from collections import Counter as Counts
from typing import TYPE_CHECKING

import numpy as np
from prometheus_client import REGISTRY, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

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
COAP_FORGOTTEN = Counter(
    "lifeline_coap_blocks_forgotten_total", "Requests half sent in blocks that were given up"
)
COAP_DROPS = Gauge(
    "lifeline_coap_kernel_drops", "Datagrams the kernel threw away: receive buffer full (Linux)"
)
DISK_FULL = Gauge("lifeline_disk_full", "1 while the disk is full: on the reserve, or not acked")
RAW_DROPPED = Counter(
    "lifeline_raw_frames_dropped_total", "Raw frames the side log had no room for"
)
CONTROLS = Counter("lifeline_control_requests_total", "Control requests", ["result"])
MQTT_DOWN_SINCE = Gauge(
    "lifeline_mqtt_down_since_seconds", "Unix time since when not connected; 0 = connected"
)
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
PULLS = Counter("lifeline_pulls_total", "Documents asked for at an address", ["source", "result"])
PULLED_AT = Gauge("lifeline_pulled_at_seconds", "Unix time of the last one that came", ["source"])
SHED_STEP = Gauge(
    "lifeline_shed_step", "What is shed: 0 nothing, 1 waveforms, 2 and info, 3 and maintenance"
)
ENGINE_BEHIND = Gauge(
    "lifeline_engine_behind_seconds", "Since when the engine owes the oldest record not judged"
)


class ShedCounts(Collector):
    """What was given up in overload, by channel; only channels of which something was."""

    def __init__(self) -> None:
        self._held: list[tuple[tuple[str, ...], dict[str, NDArray[np.int64]]]] = []

    def attach(self, channels: tuple[str, ...]) -> dict[str, NDArray[np.int64]]:
        """Return counts of a registry's channels to be added to, by form; older ones stand."""
        counts = {form: np.zeros(len(channels), np.int64) for form in ("readings", "samples")}
        self._held = [held for held in self._held if any(c.any() for c in held[1].values())]
        self._held.append((channels, counts))
        return counts

    def total(self, form: str) -> int:
        """Return how much was shed of all channels."""
        return sum(int(counts[form].sum()) for _, counts in self._held)

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Give /metrics what there is."""
        family = CounterMetricFamily(
            "lifeline_shed", "Given up in overload, by channel", labels=["channel", "form"]
        )
        found: Counts[tuple[str, str]] = Counts()
        for channels, counts in list(self._held):
            for form, column in counts.items():
                rows = np.flatnonzero(column).tolist()
                found.update({(channels[row], form): int(column[row]) for row in rows})
        for names, count in found.items():
            family.add_metric(names, count)
        yield family


SHED = ShedCounts()
REGISTRY.register(SHED)


def admitted(readings: int, blocks: int, remarks: Mapping[str, int]) -> None:
    """Count what a group of frames gave."""
    READINGS.inc(readings)
    BLOCKS.inc(blocks)
    for remark, count in remarks.items():
        if count:
            REMARKS.labels(remark).inc(count)


def committed(seconds: float, end: int) -> None:
    """Count a group commit of the journal, which ends before offset ``end``."""
    COMMIT_SECONDS.observe(seconds)
    COMMITS.inc()
    JOURNAL_OFFSET.set(end)
