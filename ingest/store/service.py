"""The store: journal and engine's logs into InfluxDB, each point once.

Readings have two, so that live ones do not wait for an outage's backlog: readings_input.py.
Each input has a thread, a cursor and a bucket of its own, so that none waits for another: readings
go on while the bucket of features is missing, alarms while a backlog of readings is written. An
input's cursor moves only after the server's answer for all of a batch, together with its state at
that place. What was sent after the last saved cursor is sent again after a crash, and is the same
points again.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import structlog

from ingest.store import metrics
from ingest.store.alarms_input import AlarmsInput
from ingest.store.asking import Return, Stopped
from ingest.store.backlog import Backlog
from ingest.store.follow import WAIT_S
from ingest.store.influx import InfluxWriter
from ingest.store.points import point
from ingest.store.readings_input import ReadingsInput
from ingest.store.refused import RefusedLines
from ingest.store.schema import PIPELINE
from ingest.store.sending import Sender
from ingest.store.series_input import FeaturesInput, SeriesInput
from ingest.store.waveform_input import WaveformInput

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from ingest.store.alarms_input import Say
    from ingest.store.settings import InfluxSettings
    from ingest.store.site_at import SiteAt
    from rules.registry import Registry

    Other = AlarmsInput | SeriesInput | WaveformInput
    Source = ReadingsInput | Other

log: Any = structlog.get_logger("store")

PIPELINE_S: Final = 10.0


def run_store(
    *,
    data: Path,
    registry: Registry,
    settings: InfluxSettings,
    stop: threading.Event,
    now_ns: Callable[[], int] = time.time_ns,
    say: Say | None = None,
) -> None:
    """Write until ``stop`` is set; returns within the server's time-out, with cursors saved.

    ``registry`` is the one in force where the journal names none; ``say`` gives an alarm's
    sentence in English and Chinese; ``now_ns`` is the Clock.

    Raises
    ------
    TokenUnreadable
        At the start; later it is waited for.
    CursorAhead, CursorDamaged, RegistryMissing
        The data folder does not fit together; each says what to do.
    """
    with contextlib.ExitStack() as stack:
        refused = RefusedLines(data / "quarantine" / "store")
        stack.callback(refused.close)

        backs: dict[str, Return] = defaultdict(Return)  # by bucket

        def to(bucket: str, *, waits: bool = True) -> Sender:
            named = settings.model_copy(update={"bucket": bucket})
            writer = InfluxWriter(named, stop=stop, waits=waits, back=backs[bucket])
            stack.callback(writer.close)
            return Sender(writer, refused, bucket=bucket, most_lines=settings.batch_rows, stop=stop)

        backlog = Backlog(data, registry)
        stack.callback(backlog.close)
        readings = ReadingsInput(data, registry, backlog=backlog)
        alarms = AlarmsInput(data, registry, say=say)
        others = _others(data, alarms, settings)
        parts: dict[str, tuple[Source, Sender]] = {
            "readings": (readings, to(settings.bucket, waits=False))
        }
        parts |= {name: (source, to(bucket)) for name, (source, bucket) in others.items()}
        pumps: dict[str, Callable[[], None]] = {
            "readings": lambda: readings.pump(parts["readings"][1], settings, stop),
            "backlog": partial(backlog.pump, to(settings.bucket), settings, stop),
        }
        pumps |= {n: partial(other.pump, parts[n][1], WAIT_S) for n, (other, _) in others.items()}
        for name, (source, _) in parts.items():
            stack.callback(source.close)
            metrics.LAG.labels(name).set_function(source.follower.lag)
        metrics.LAG.labels("backlog").set_function(backlog.lag)
        health = _Health(to(settings.bucket), alarms.site, parts, now_ns)
        _run_all(pumps | {"pipeline": lambda: health.pump(stop)}, stop)
        readings.save()


def _others(
    data: Path, alarms: AlarmsInput, settings: InfluxSettings
) -> dict[str, tuple[Other, str]]:
    """Return the inputs that read one after the other in order, and their buckets."""
    others: dict[str, tuple[Other, str]] = {
        "events": (alarms, settings.bucket),
        # before series: where it has no cursor yet, it begins at that one's
        "features": (FeaturesInput(data, alarms.site), settings.features_bucket),
        "series": (SeriesInput(data, alarms.site), settings.bucket),
    }
    if settings.waveforms:
        waves = WaveformInput(data, alarms.site)
        others["waveforms"] = (waves, settings.waveforms_bucket)
    return others


def _run_all(pumps: Mapping[str, Callable[[], None]], stop: threading.Event) -> None:
    """Run each pump in a thread until ``stop``; the first that fails stops all, and is raised."""
    failed: list[Exception] = []

    def run(pump: Callable[[], None]) -> None:
        try:
            with contextlib.suppress(Stopped):
                while not stop.is_set():
                    pump()
        except Exception as error:  # noqa: BLE001 - raised again in the thread that waits
            failed.append(error)
            stop.set()

    threads = [
        threading.Thread(target=run, args=(pump,), name=f"store-{name}")
        for name, pump in pumps.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


class _Health:
    """Writes how the store gets on, each PIPELINE_S of the wall clock."""

    def __init__(
        self,
        sender: Sender,
        site: SiteAt,
        parts: Mapping[str, tuple[Source, Sender]],
        now_ns: Callable[[], int],
    ) -> None:
        self._sender, self._site, self._parts, self._now_ns = sender, site, parts, now_ns

    def pump(self, stop: threading.Event) -> None:
        """Wait, then write a point a part."""
        if stop.wait(PIPELINE_S):
            return
        now_ns = self._now_ns()
        points = [self._point(name, now_ns, *part) for name, part in self._parts.items()]
        self._sender.send_points(points, "pipeline")

    def _point(self, name: str, now_ns: int, source: Source, sender: Sender) -> bytes:
        fields: dict[str, float | int] = {"lag_records": source.follower.lag()}
        if source.newest_ns:
            fields["lag_s"] = (now_ns - source.newest_ns) / 1e9
        counts = [sender.taken()]
        if isinstance(source, ReadingsInput):
            counts.append(source.taken())
        for counted in counts:
            for what, number in counted.items():
                fields[what] = int(fields.get(what, 0)) + number
        tagged = {"part": name, "sim": "1" if self._site.registry.simulation else ""}
        return point(PIPELINE, tagged, fields, now_ns)
