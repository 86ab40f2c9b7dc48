"""The soak: slices of hours at real speed, with a random mix of all faults; summed over runs.

Each slice is a city of its own under traffic: kills, outages and link faults come and go by the
seed, and overlap. At its end everything is compared as after kills. Memory and descriptors of each
process are sampled all the time; whether they grow is told from all slices together (slope.py).
Some processes of a slice, by turns, are never killed, so that each has long lives too: two slices
show all of them. A slice is one file of the state folder, written when it is over: a soak that was
broken off goes on with the next slice.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import random
import shutil
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from lifeline.errors import Occupied
from lifeline.torture.catalogue import OUTAGES
from lifeline.torture.compare import LATE_AGAIN, compare
from lifeline.torture.kills import Tortured
from lifeline.torture.outages import refused_lines
from lifeline.torture.processes import NAMES
from lifeline.torture.slope import slope_of
from lifeline.torture.stand import standing

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from lifeline.torture.catalogue import Outage
    from lifeline.torture.stand import Stand

EVERY_S: Final = 0.1  # between messages of a sender
MOST: Final = 4  # samples of a port in a message
INFLIGHT: Final = 400
SAMPLE_S: Final = 2.0
LOOK_S: Final = 0.1
CALM_S: Final = (2.0, 12.0)  # between faults
LASTING_S: Final = (2.0, 15.0)
KILLED: Final = 0.25  # of the faults are kills
SPARED: Final = 3  # processes of a slice are never killed
TURNS: Final = ("serve", "archive", "store", "ingest", "engine")
DEAD_S: Final = 1.0  # at most, before a killed process is started again
QUIET_S: Final = 5.0
RSS_MIB_HOUR: Final = 16.0  # more is a leak
FDS_HOUR: Final = 12.0

Sample = tuple[str, int, float, float, int]
"""(process, life, seconds since its start, resident MiB, open descriptors)."""


@dataclass(slots=True)
class _Open:
    """An outage that goes on."""

    name: str
    until_s: float

    @property
    def outage(self) -> Outage:
        return OUTAGES[self.name]


@dataclass(slots=True)
class _Slice:
    """One slice while it runs."""

    stand: Stand
    draw: random.Random
    spared: list[str]
    faults: Counter[str] = field(default_factory=Counter)
    samples: list[Sample] = field(default_factory=list)
    _open: list[_Open] = field(default_factory=list)
    _dead: dict[str, float] = field(default_factory=dict)  # until when
    _lives: Counter[str] = field(default_factory=Counter)
    _born_s: dict[str, float] = field(default_factory=dict)

    def run(self, seconds: float, stop: threading.Event) -> None:
        """Let faults come and go; return when all are over."""
        began_s = now_s = time.monotonic()
        self._born_s = dict.fromkeys(NAMES, began_s)
        next_s, sample_s = now_s + self.draw.uniform(*CALM_S), now_s
        while now_s < began_s + seconds and not stop.wait(LOOK_S):
            now_s = time.monotonic()
            self._revive(now_s)
            self._close(now_s)
            for each in self._open:
                each.outage.meanwhile(self.stand.world)
            if now_s >= next_s:
                next_s = now_s + self.draw.uniform(*CALM_S)
                self._begin(now_s)
            if now_s >= sample_s:
                sample_s = now_s + SAMPLE_S
                self._sample(now_s)
            self._check()
        self._close(float("inf"))
        self._revive(float("inf"))
        time.sleep(QUIET_S)

    def _begin(self, now_s: float) -> None:
        if self.draw.random() < KILLED:
            name = self.draw.choice([n for n in NAMES if n not in self.spared])
            if name not in self._dead:
                self.stand.city.processes[name].kill()
                self._dead[name] = now_s + self.draw.uniform(0.0, DEAD_S)
                self.faults[f"kill {name}"] += 1
            return
        name = self.draw.choice(sorted(OUTAGES))
        if not any(_alike(name, each.name) for each in self._open):
            self._open.append(_Open(name, now_s + self.draw.uniform(*LASTING_S)))
            OUTAGES[name].begin(self.stand.world)
            self.faults[name] += 1

    def _close(self, now_s: float) -> None:
        for each in [each for each in self._open if each.until_s <= now_s]:
            each.outage.end(self.stand.world)
            self._open.remove(each)

    def _revive(self, now_s: float) -> None:
        for name in [name for name, until_s in self._dead.items() if until_s <= now_s]:
            self.stand.city.processes[name].start()
            del self._dead[name]
            self._lives[name] += 1
            self._born_s[name] = time.monotonic()

    def _check(self) -> None:
        self.stand.city.check(but=self._dead)

    def _sample(self, now_s: float) -> None:
        for name, process in self.stand.city.processes.items():
            if name not in self._dead:
                rss_mib, fds = memory_of(process.pid)
                age_s = round(now_s - self._born_s[name], 1)
                self.samples.append((name, self._lives[name], age_s, rss_mib, fds))


def _alike(one: str, other: str) -> bool:
    """Say whether two outages would undo each other: they are of the same part."""
    return (
        one == other
        or one.split("-", maxsplit=1)[0] == other.split("-", maxsplit=1)[0]
        or "flaps" in one + other
    )


def memory_of(pid: int) -> tuple[float, int]:
    """Return (resident MiB, open descriptors) of a process of ours."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    files = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 3), files


def run_slice(state: Path, *, minutes: float, seed: int, stop: threading.Event) -> dict[str, Any]:
    """Run the next slice, keep it in ``state``, and return its row.

    Raises
    ------
    lifeline.errors.Failure
        It cannot be run, or a process of ours ended by itself; the city's folder stays.
    """
    state.mkdir(parents=True, exist_ok=True)
    with _alone(state):
        return _run_slice(state, minutes=minutes, seed=seed, stop=stop)


@contextlib.contextmanager
def _alone(state: Path) -> Iterator[None]:
    """Hold the state folder's lock."""
    with (state / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Occupied(f"{state}: another soak runs there; name another --state") from error
        yield


def _run_slice(state: Path, *, minutes: float, seed: int, stop: threading.Event) -> dict[str, Any]:
    number = len(slices(state)) + 1
    folder = state / "city"
    shutil.rmtree(folder, ignore_errors=True)  # of a slice that was broken off
    folder.mkdir()
    draw = random.Random(f"{seed}/soak/{number}")
    left = Tortured(folder / "data", seed)
    began_s = time.monotonic()
    with standing(folder, draw=draw, inflight=INFLIGHT) as stand:
        stand.start(seed=seed * 1_000 + number, every_s=EVERY_S, most=MOST)
        one = _Slice(stand, draw, spared=spared_in(number))
        one.run(minutes * 60, stop)
        sent_s = stand.finish(left)
        left.wall_s = time.monotonic() - began_s
        world = stand.world
        unsigned, world.receiver.unsigned = world.receiver.unsigned, 0
        beside = [*refused_lines(left.data), *world.store.dropped]
        compared = compare(left, world.store.points_beside(beside), world.receiver)
        contradicted = world.store.contradicted
    row = {
        "slice": number,
        "seed": seed,
        "minutes": round(sent_s / 60, 2),
        "spared": one.spared,
        "faults": dict(sorted(one.faults.items())),
        "refused": len(set(beside)),
        "signatures_refused": unsigned,
        **{name: compared[name] for name in KEPT},
        "twice": compared["twice"] - compared["what_twice"][LATE_AGAIN] + len(contradicted),
        "what_twice": compared["what_twice"] | {"point overwritten": len(contradicted)},
        "first_overwritten": contradicted[:5],
        "late_again": compared["what_twice"][LATE_AGAIN],
    }
    _keep(state / f"slice-{number:05}.json", row | {"samples": one.samples})
    shutil.rmtree(folder)
    return row


def spared_in(number: int) -> list[str]:
    """Return who is not killed in a slice, the first being 1."""
    first = SPARED * (number - 1)
    return [TURNS[at % len(TURNS)] for at in range(first, first + SPARED)]


KEPT: Final = (
    "acknowledged", "journaled", "stored", "lost", "log_equal", "events", "notifications",
    "notifications_missing",
)  # fmt: skip


def _keep(path: Path, content: dict[str, Any]) -> None:
    aside = path.with_suffix(".new")
    aside.write_text(json.dumps(content), encoding="utf-8")
    aside.rename(path)


def slices(state: Path) -> list[dict[str, Any]]:
    """Return all slices of a state folder, in order."""
    return [json.loads(p.read_text(encoding="utf-8")) for p in sorted(state.glob("slice-*.json"))]


def summed(done: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the figures of all slices together."""
    faults: Counter[str] = Counter()
    twice: Counter[str] = Counter()
    for each in done:
        faults.update(each["faults"])
        twice.update({what: n for what, n in each["what_twice"].items() if what != LATE_AGAIN})
    added = ("minutes", "refused", "signatures_refused", "twice", "late_again", *KEPT)
    return {
        "slices": len(done),
        "hours": round(sum(each["minutes"] for each in done) / 60, 3),
        "kills": sum(n for name, n in faults.items() if name.startswith("kill ")),
        "outages": sum(n for name, n in faults.items() if not name.startswith("kill ")),
        "faults": dict(sorted(faults.items())),
        **{name: sum(each[name] for each in done) for name in added if name != "log_equal"},
        "what_twice": dict(twice),
        "log_equal": all(each["log_equal"] for each in done),
        "processes": {name: _grown(name, done) for name in NAMES},
    }


def _grown(name: str, done: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return what a process's memory and descriptors do, over all of its lives."""
    lives: dict[tuple[int, int], list[tuple[float, float, int]]] = defaultdict(list)
    for each in done:
        for process, life, age_s, rss_mib, fds in each["samples"]:
            if process == name:
                lives[each["slice"], life].append((age_s, rss_mib, fds))
    columns = [np.array(life, float).T for life in lives.values()]
    said: dict[str, Any] = {"lives": len(lives)}
    for what, at, most in (("rss_mib", 1, RSS_MIB_HOUR), ("fds", 2, FDS_HOUR)):
        slope = slope_of((column[0], column[at]) for column in columns)
        said[what] = {
            "most": max((float(c[at].max()) for c in columns), default=0.0),
            "per_hour": _told(slope.per_hour),
            "low": _told(slope.low),
            "high": _told(slope.high),
            "minutes": slope.blocks,
            "verdict": slope.verdict(most),
        }
    return said


def _told(number: float) -> float | None:
    return None if np.isnan(number) else round(number, 2)


def untrue(total: Mapping[str, Any]) -> list[str]:
    """Return which promises are broken, [] where none is."""
    names = ("lost", "twice", "notifications_missing")
    said = [f"{name} {total[name]}" for name in names if total[name]]
    if not total["log_equal"]:
        said.append("an event log is no fold of its journal")
    return said + [
        f"{name}: {what} grows by {grown[what]['per_hour']} an hour"
        for name, grown in total["processes"].items()
        for what in ("rss_mib", "fds")
        if grown[what]["verdict"] == "grows"
    ]


def soak(
    state: Path,
    *,
    minutes: float,
    seed: int,
    stop: threading.Event,
    told: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Run one more slice and return the figures of all; errors as `run_slice`."""
    row = run_slice(state, minutes=minutes, seed=seed, stop=stop)
    told(f"slice {row['slice']}: {row['minutes']} minutes, {sum(row['faults'].values())} faults")
    return summed(slices(state))
