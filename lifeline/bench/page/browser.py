"""A real Chromium on the page: what is painted first, when the map stands, how smoothly it pans.

Playwright drives it, which is a dependency of developers; the browser is the machine's own.
"""

from __future__ import annotations

import os
import shutil
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS: Final = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
                    "--disable-background-networking", "--disable-component-update")  # fmt: skip
VIEW: Final = {"width": 1920, "height": 1080}
FIRST_PAINT: Final = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"
PAN: Final = """async ([seconds, turns]) => {
  const map = document.getElementById("map"), box = map.getBoundingClientRect();
  const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
  const at = (clientX, clientY) => (
    { bubbles: true, cancelable: true, clientX, clientY, button: 0, buttons: 1, view: window });
  const fire = (type, ...where) => pane.dispatchEvent(new MouseEvent(type, at(...where)));
  const took = [];
  let pane, before = await new Promise(requestAnimationFrame);
  const frame = async () => {
    const now = await new Promise(requestAnimationFrame);
    took.push(now - before);
    before = now;
  };
  for (let turn = 0; turn < turns; turn += 1) {
    pane = document.elementFromPoint(x, y);
    fire("mousedown", x, y);
    const begun = before;
    while (before - begun < 1000 * seconds) { // there and back, a third of the map each way
      const share = Math.sin((before - begun) / 1000 * Math.PI) / 3;
      fire("mousemove", x + share * box.width, y + share * box.height / 2);
      await frame();
    }
    fire("mouseup", x, y);
    map.dispatchEvent(new WheelEvent("wheel", { ...at(x, y), deltaY: -240 }));
    for (let i = 0; i < 20; i += 1) await frame();
  }
  return took;
}"""


@dataclass(frozen=True, slots=True)
class Frames:
    """Frames of a pan and zoom: how many a second, their times, and what they cost."""

    frames: int
    fps: float
    p50_ms: float
    p95_ms: float
    worst_ms: float
    cpu_ms: float  # of all the browser's processes, a frame: what a quiet machine would wait for

    def as_json(self) -> dict[str, Any]:
        """Return it for a file."""
        return asdict(self)


@contextmanager
def chromium(*arguments: str) -> Iterator[Any]:
    """Give a browser of Playwright's.

    Raises
    ------
    RuntimeError
        Playwright or a browser is not there; the message says what to install.
    """
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415 - developers have it
    except ImportError as error:
        raise RuntimeError("Playwright is not installed: make setup") from error
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        raise RuntimeError(f"none of {', '.join(NAMES)} is installed: apt-get install chromium")
    with sync_playwright() as playwright:
        held = playwright.chromium.launch(executable_path=found, args=[*ARGUMENTS, *arguments])
        try:
            yield held
        finally:
            held.close()


def first_paint(browser: Any, url: str, *, turns: int) -> list[float]:
    """Return when something was first painted, ms after the navigation began, of fresh profiles."""
    taken = []
    for _ in range(turns):
        context = browser.new_context(viewport=VIEW)
        page = context.new_page()
        page.goto(url, wait_until="commit")
        taken.append(_painted(page))
        context.close()
    return taken


def _painted(page: Any) -> float:
    """Ask until something is painted; the page's policy forbids Playwright's own waiting."""
    ends = time.monotonic() + 60.0
    while time.monotonic() < ends:
        if (at_ms := float(page.evaluate(FIRST_PAINT))) > 0:
            return at_ms
        time.sleep(0.02)
    raise RuntimeError("nothing was painted within a minute")


def map_stands(page: Any, url: str) -> float:
    """Open the page; return when the map and the first alarms stand on it, ms."""
    page.goto(url, wait_until="commit")
    page.wait_for_selector("canvas.city-layer", timeout=60_000)
    page.wait_for_selector(".pin", timeout=60_000)
    return float(page.evaluate("performance.now()"))


def pan(page: Any, *, seconds: float, turns: int) -> Frames:
    """Drag the map there and back for ``seconds`` at each of so many zooms, each nearer."""
    cpu_s, took = _cpu_s(), []
    took = sorted(page.evaluate(PAN, [seconds, turns]))
    cpu_s, n = _cpu_s() - cpu_s, len(took)
    return Frames(
        frames=n,
        fps=round(1_000 * n / sum(took), 1),
        p50_ms=round(took[n // 2], 1),
        p95_ms=round(took[int(n * 0.95)], 1),
        worst_ms=round(took[-1], 1),
        cpu_ms=round(1_000 * cpu_s / n, 1),
    )


def _cpu_s() -> float:
    """Return the CPU seconds of the browsers this process has started, children included."""
    total = 0.0
    for process in psutil.Process(os.getpid()).children(recursive=True):
        try:
            if "chrom" in process.name():
                times = process.cpu_times()
                total += times.user + times.system
        except psutil.Error:  # it has ended meanwhile
            continue
    return total


def settle(page: Any, seconds: float) -> None:
    """Let the first screen come to rest: libraries that come late, the first trend."""
    page.evaluate("() => 0")
    time.sleep(seconds)
