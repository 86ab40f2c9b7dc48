"""One /metrics for all processes: each writes its own to ``run/metrics/``, serve adds them up.

Every sample gets a label ``process``. What the interpreter says of itself (python_*, process_*)
is left out: it would be taken for the whole city's.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from typing import TYPE_CHECKING, Any

import structlog
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

LOG: Any = structlog.get_logger("metrics")
EVERY_S = 2.0
_ENDING = ".prom"
_LEFT_OUT = ("python_", "process_")


def metrics_folder(data: Path) -> Path:
    """Return where the processes of a data folder write theirs."""
    return data / "run" / "metrics"


class MetricsFile(threading.Thread):
    """Writes this process's metrics every EVERY_S, so that serve can show them."""

    def __init__(
        self,
        data: Path,
        name: str,
        *,
        stop: threading.Event,
        registry: CollectorRegistry = REGISTRY,
    ) -> None:
        super().__init__(name="metrics", daemon=True)
        self._path = metrics_folder(data) / f"{name}{_ENDING}"
        self._stop_event = stop
        self._registry = registry

    def run(self) -> None:
        """Write until stopped; what cannot be written is told once and tried again."""
        told, wait_s = "", EVERY_S
        while not self._stop_event.wait(wait_s):
            begun_s = time.monotonic()
            try:
                self._write(generate_latest(self._registry))
                told = ""
            except OSError as error:
                if told != str(error):
                    told = str(error)
                    LOG.warning("metrics not written; the page shows old ones", cause=told)
            # thousands of channels with a count each take a while: never more than a twentieth
            wait_s = max(EVERY_S, 20 * (time.monotonic() - begun_s))
        self._path.unlink(missing_ok=True)  # one that was stopped counts nothing any more

    def _write(self, text: bytes) -> None:
        """Replace the file as a whole; on a full disk write over it, so that it can be told."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        aside = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            aside.write_bytes(text)
            aside.replace(self._path)
        except OSError as error:
            aside.unlink(missing_ok=True)
            if error.errno != errno.ENOSPC or not self._path.exists():
                raise
            held = self._path.stat()
            if len(text) > held.st_blocks * 512:
                raise
            with self._path.open("r+b") as file:  # its blocks are there; no torn line remains
                file.write(text.rstrip(b"\n").ljust(held.st_size - 1) + b"\n")


class _Merged:
    """A registry of families from several processes, each name once."""

    def __init__(self) -> None:
        self._families: dict[str, Metric] = {}

    def add(self, process: str, families: Iterable[Any]) -> None:
        for family in families:
            if family.name.startswith(_LEFT_OUT):
                continue
            held = self._families.setdefault(
                family.name, Metric(family.name, family.documentation, family.type)
            )
            for sample in family.samples:
                held.samples.append(sample._replace(labels={**sample.labels, "process": process}))

    def collect(self) -> Iterator[Metric]:
        yield from self._families.values()


def all_metrics(data: Path, *, own: str = "serve") -> bytes:
    """Return the text of every process's metrics; this process is ``own``."""
    merged = _Merged()
    merged.add(own, REGISTRY.collect())
    for path in sorted(metrics_folder(data).glob(f"[!.]*{_ENDING}")):
        if path.stem != own:
            text = path.read_text(encoding="utf-8")
            merged.add(path.stem, text_string_to_metric_families(text))
    registry: Any = merged
    return generate_latest(registry)
