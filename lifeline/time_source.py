"""Is our own time right? The kernel's word on synchronisation, steps of the clock, zone data.

Receive times and ticks come from this machine's clock, so a clock that drifts, or is set by hand,
makes `for`, trends and dead-man rules wrong without any reading being so. Nothing here corrects
it: that is chrony's or systemd-timesyncd's work. It is measured, and told as a maintenance alarm.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import TZPATH, ZoneInfo, ZoneInfoNotFoundError

import structlog
from prometheus_client import Counter, Gauge

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

LOG: Any = structlog.get_logger("time")
EVERY_S: Final = 5.0
STEP_S: Final = 0.5  # NTP slews at most 0.5 ms a second: more at once is a step
SETTLE_S: Final = 300.0  # so long without synchronisation before it is told: a start takes a while
STEP_TOLD_S: Final = 600.0  # how long a step stays told
OLD_ZONES_YEARS: Final = 2
UNSYNCHRONISED_RULE: Final = "clock-unsynchronised"
STEP_RULE: Final = "clock-step"
UNSYNCHRONISED = Gauge("lifeline_clock_unsynchronised", "1 when nobody disciplines our clock")
MAX_ERROR = Gauge("lifeline_clock_max_error_seconds", "The kernel's bound of the clock's error")
STEPS = Counter("lifeline_clock_steps_total", "Steps of the wall clock against the monotonic one")
LAST_STEP = Gauge("lifeline_clock_last_step_seconds", "Size of the last step, + is forward")

_STA_UNSYNC: Final = 0x40
_STA_NANO: Final = 0x2000
_TIME_ERROR: Final = 5


class _Timex(ctypes.Structure):
    """struct timex of Linux's adjtimex(2); what we do not read is only room."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),  # µs
        ("esterror", ctypes.c_long),  # µs
        ("status", ctypes.c_int),
        ("constant", ctypes.c_long),
        ("precision", ctypes.c_long),
        ("tolerance", ctypes.c_long),
        ("time_s", ctypes.c_long),
        ("time_us", ctypes.c_long),
        ("room", ctypes.c_byte * 128),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Discipline:
    """What the kernel says of its clock."""

    synchronised: bool
    max_error_s: float  # grows by itself while nobody disciplines the clock
    offset_s: float  # still to be slewed


def discipline() -> Discipline:
    """Ask the kernel, which any NTP program tells; changes nothing.

    Raises
    ------
    OSError
        The kernel does not answer (a sandbox that forbids the call).
    """
    held = _Timex()
    libc = ctypes.CDLL(None, use_errno=True)
    state = libc.adjtimex(ctypes.byref(held))
    if state < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "adjtimex")
    unit_s = 1e-9 if held.status & _STA_NANO else 1e-6
    return Discipline(
        synchronised=state != _TIME_ERROR and not held.status & _STA_UNSYNC,
        max_error_s=held.maxerror / 1e6,
        offset_s=held.offset * unit_s,
    )


def zone_version(search: tuple[str, ...] = TZPATH) -> str:
    """Return the version of the time-zone data in use, "" where nothing tells it."""
    for folder in search:
        text = Path(folder) / "tzdata.zi"
        if text.is_file():
            with text.open(encoding="ascii", errors="replace") as file:
                return file.readline().removeprefix("# version ").strip()
        if (found := Path(folder) / "+VERSION").is_file():
            return found.read_text(encoding="ascii", errors="replace").strip()
    try:
        held: str = importlib.import_module("tzdata").IANA_VERSION
    except ModuleNotFoundError:
        return ""
    return held


def zone_trouble(zone: str, *, year: int, version: str) -> str:
    """Return what is wrong with a site's time zone or its data, "" if nothing."""
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return f"no data of zone {zone}; install tzdata"
    digits = version[:4]
    if digits.isdecimal() and year - int(digits) >= OLD_ZONES_YEARS:
        return f"time-zone data of {version}; bring tzdata up to date"
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What is wrong now; "" is nothing. ``told`` maps a rule to its evidence, by language."""

    unsynchronised: str = ""
    step: str = ""

    @property
    def told(self) -> dict[str, str]:
        """Return each rule's evidence, "" where it is well."""
        return {UNSYNCHRONISED_RULE: self.unsynchronised, STEP_RULE: self.step}


class TimeWatch:
    """Looks at the clock now and then; the clocks are arguments, so that a test can turn them."""

    def __init__(
        self,
        *,
        ask: Callable[[], Discipline] = discipline,
        wall_ns: Callable[[], int] = time.time_ns,
        steady_ns: Callable[[], int] = lambda: time.clock_gettime_ns(time.CLOCK_BOOTTIME),
    ) -> None:
        self._ask, self._wall_ns, self._steady_ns = ask, wall_ns, steady_ns
        self._apart_ns = wall_ns() - steady_ns()
        self._unsynchronised_since_ns: int | None = None
        self._step: tuple[int, float] | None = None  # (steady time, seconds)
        self._cannot = False

    def look(self) -> Trouble:
        """Measure, set the gauges, and return what is wrong."""
        steady_ns = self._steady_ns()
        return Trouble(unsynchronised=self._synchronised(steady_ns), step=self._stepped(steady_ns))

    def _synchronised(self, steady_ns: int) -> str:
        try:
            found = self._ask()
        except OSError as error:
            if not self._cannot:
                LOG.warning("whether the clock is synchronised cannot be told", cause=str(error))
            self._cannot = True
            return ""
        UNSYNCHRONISED.set(not found.synchronised)
        MAX_ERROR.set(found.max_error_s)
        if found.synchronised:
            self._unsynchronised_since_ns = None
            return ""
        since_ns = self._unsynchronised_since_ns
        self._unsynchronised_since_ns = since_ns = steady_ns if since_ns is None else since_ns
        if steady_ns - since_ns < SETTLE_S * 1e9:
            return ""
        return f"adjtimex: unsynchronised, error up to {found.max_error_s:.3g} s"

    def _stepped(self, steady_ns: int) -> str:
        apart_ns = self._wall_ns() - steady_ns
        moved_s, self._apart_ns = (apart_ns - self._apart_ns) / 1e9, apart_ns
        if abs(moved_s) >= STEP_S:
            STEPS.inc()
            LAST_STEP.set(moved_s)
            LOG.error("the clock was set", step_s=round(moved_s, 3))
            self._step = (steady_ns, moved_s)
        if self._step is None or steady_ns - self._step[0] > STEP_TOLD_S * 1e9:
            self._step = None
            return ""
        return f"wall clock set by {self._step[1]:+.3f} s"


def watch(
    tell: Callable[[str, str], bool], stop: threading.Event, *, held: TimeWatch | None = None
) -> None:
    """Look each EVERY_S until stopped.

    ``tell`` gets each rule and its trouble when one begins or ends, and again until it says True.
    """
    eye = held or TimeWatch()
    said: dict[str, bool] = {}
    while True:
        for rule, trouble in eye.look().told.items():
            if said.get(rule) != bool(trouble) and tell(rule, trouble):
                said[rule] = bool(trouble)
        if stop.wait(EVERY_S):
            return
