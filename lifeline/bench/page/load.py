"""``lifeline bench page``: how long an alarm takes from its event to the screens of many pages.

The page's real process serves a city of a profile on one core; 50 streams of server-sent events
are read as a page reads them, and a real Chromium shows the page, on what else the machine has.
Times run from just before an event is written to the event log, until its alarm has come down each
stream, and until its row stands in the browser's document and the frame after it is drawn.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx
import numpy as np
import psutil

from lifeline.bench.page.browser import VIEW, chromium, first_paint, map_stands, pan, settle
from lifeline.bench.page.city import PageCity, served
from simulators.city import city_map, registry_of_city

if TYPE_CHECKING:
    from collections.abc import Callable

RED: Final = 2.7  # %vol
PATIENCE_S: Final = 20.0
LIMIT_MS: Final = 1_000.0
WATCH: Final = """() => {
  window.rows = {};
  const look = () => {
    for (const row of document.querySelectorAll("#unacked .row")) {
      const { id } = row.dataset;
      if (!window.rows[id]) {
        window.rows[id] = -1;
        requestAnimationFrame(() => setTimeout(() => { window.rows[id] = Date.now(); }));
      }
    }
  };
  new MutationObserver(look).observe(document.getElementById("unacked"), { childList: true });
  look();
}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What to measure."""

    profile: str = "hefei"
    pages: int = 50
    standing: int = 500
    alarms: int = 20
    every_s: float = 1.5
    seed: int = 1


@dataclass(slots=True)
class Came:
    """When alarms came down the streams: subject → Unix seconds, a number a stream."""

    at_s: dict[str, list[float]] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)  # subject → alarm
    open: int = 0
    nbytes: int = 0


async def _listen(url: str, came: Came, wanted: set[str]) -> None:
    async with (
        httpx.AsyncClient(timeout=None) as http,  # noqa: S113 - a stream has no end
        http.stream("GET", f"{url}/api/stream?changes=1") as answer,
    ):
        answer.raise_for_status()
        kind = ""
        async for line in answer.aiter_lines():
            came.nbytes += len(line)
            if line.startswith("event: "):
                kind = line[7:]
            elif line.startswith("data: ") and kind in ("state", "change"):
                now = time.time()
                came.open += kind == "state"
                for alarm in json.loads(line[6:])["alarms"]:
                    if alarm["subject"] in wanted:
                        came.at_s.setdefault(alarm["subject"], []).append(now)
                        came.ids[alarm["subject"]] = alarm["id"]


async def _until(true: Callable[[], bool], seconds: float) -> None:
    ends = time.monotonic() + seconds
    while not true() and time.monotonic() < ends:  # noqa: ASYNC110 - what comes is counted by many
        await asyncio.sleep(0.05)


async def _raise(city: PageCity, url: str, ask: Ask) -> tuple[dict[str, float], Came]:
    """Open the streams, raise the alarms one by one; return when each was written, what came."""
    step = max(2, len(city.gas) // (ask.alarms + 1))
    rows = city.gas[1::step][: ask.alarms]  # beside those that stand already
    names = [city.registry.channels.id[row] for row in rows]
    came, sent = Came(), {}
    streams = [asyncio.create_task(_listen(url, came, set(names))) for _ in range(ask.pages)]
    try:
        await _until(lambda: came.open >= ask.pages, 6 * PATIENCE_S)
        if came.open < ask.pages:
            raise RuntimeError(f"{came.open} of {ask.pages} streams were opened")
        for row, name in zip(rows, names, strict=True):
            sent[name] = time.time()
            city.send(np.array([row]), [RED])
            await asyncio.sleep(ask.every_s)
        await _until(
            lambda: sum(map(len, came.at_s.values())) >= ask.pages * len(names), PATIENCE_S
        )
    finally:
        for stream in streams:
            stream.cancel()
        for stream in streams:
            with suppress(asyncio.CancelledError, httpx.HTTPError):
                await stream
    return sent, came


def measure(ask: Ask) -> dict[str, Any]:
    """Run all of it and return the figures; times in milliseconds.

    Raises
    ------
    RuntimeError
        No browser, or streams that do not open.
    """
    cores = sorted(os.sched_getaffinity(0))
    registry = registry_of_city(ask.profile, ask.seed)
    with tempfile.TemporaryDirectory(prefix="lifeline-page-") as folder:
        data = Path(folder) / "data"
        city = PageCity(data, registry)
        (data / "map.geojson").write_text(json.dumps(city_map(ask.profile, ask.seed)))
        city.alarms(ask.standing)
        try:
            with (
                served(data, core=cores[0], max_listed=ask.standing + ask.alarms) as (url, pid),
                chromium() as browser,
            ):
                _apart(cores)
                found = _browsed(browser, url) | _loaded(browser, city, url, pid, ask)
        finally:
            os.sched_setaffinity(0, cores)
            city.close()
    return {
        "bench": "page",
        "ask": asdict(ask),
        "assets": len(registry.assets.id),
        "channels": len(registry.channels.id),
        "load_average": os.getloadavg()[0],
        **found,
    }


def _apart(cores: list[int]) -> None:
    """Leave the server's core to it: clients and browser take the others, if there are any."""
    others = set(cores[1:]) or set(cores)
    me = psutil.Process()
    for process in (me, *me.children(recursive=True)):
        if process is me or "chrom" in process.name() or "node" in process.name():
            with suppress(psutil.Error, OSError):
                process.cpu_affinity(sorted(others))


def _browsed(browser: Any, url: str) -> dict[str, Any]:
    """First paint beside an empty page with the same sheets, the map, a pan and zoom."""
    _ = first_paint(browser, f"{url}/", turns=1)  # the server's own first time
    ours = sorted(first_paint(browser, f"{url}/", turns=5))
    empty = sorted(first_paint(browser, f"{url}/static/empty.html", turns=5))
    page = browser.new_page(locale="en-US", viewport=VIEW)
    stands = map_stands(page, url)
    settle(page, 5)
    frames = pan(page, seconds=4, turns=4)
    page.close()
    return {
        "first_paint_ms": round(ours[2]),
        "empty_page_ms": round(empty[2]),
        "first_paint_ratio": round(ours[2] / max(empty[2], 1), 2),
        "map_stands_ms": round(stands),
        "pan": frames.as_json(),
    }


def _loaded(browser: Any, city: PageCity, url: str, pid: int, ask: Ask) -> dict[str, Any]:
    page = browser.new_page(locale="en-US", viewport=VIEW)
    map_stands(page, url)
    settle(page, 3)
    page.evaluate(WATCH)
    before = psutil.Process(pid).cpu_times()
    begun = time.monotonic()
    with ThreadPoolExecutor(1) as apart:  # Playwright has an event loop in this thread
        sent, came = apart.submit(lambda: asyncio.run(_raise(city, url, ask))).result()
    took_s = time.monotonic() - begun
    after = psutil.Process(pid).cpu_times()
    page.wait_for_timeout(2_000)
    drawn = {
        name: page.evaluate("(id) => window.rows[id] ?? -1", came.ids.get(name, ""))
        for name in sent
    }
    page.close()
    streams = [
        1e3 * (at - sent[name]) for name, all_ in came.at_s.items() for at in all_[: ask.pages]
    ]
    screen = [at - 1e3 * sent[name] for name, at in drawn.items() if at > 0]
    cpu_s = after.user + after.system - before.user - before.system
    return {
        "streams_ms": spread(streams),
        "screen_ms": spread(screen),
        "missing": ask.pages * len(sent) - len(streams) + len(sent) - len(screen),
        "server_core_share": round(cpu_s / took_s, 2),
        "sent_mb": round(came.nbytes / 1e6, 1),
    }


def spread(values: list[float]) -> dict[str, float]:
    """Return median, 95th percentile and worst of times."""
    if not values:
        return {}
    held = np.array(values)
    p50, p95 = np.percentile(held, [50, 95])
    return {
        "n": len(held),
        "p50": round(float(p50)),
        "p95": round(float(p95)),
        "worst": round(float(held.max())),
    }


def faults(told: dict[str, Any]) -> list[str]:
    """Return what was not kept, in words."""
    said = [f"{told['missing']} alarms did not come"] if told["missing"] else []
    said += [
        f"{name}: the slowest took {told[name]['worst']:.0f} ms"
        for name in ("streams_ms", "screen_ms")
        if told[name] and told[name]["worst"] >= LIMIT_MS
    ]
    if told["first_paint_ratio"] > 1.5:
        said.append(f"first paint is {told['first_paint_ratio']} × an empty page's")
    if told["pan"]["fps"] < 30:
        said.append(f"panning: {told['pan']['fps']} frames a second")
    return said
