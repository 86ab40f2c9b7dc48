"""The campaigns by name: run one, and say which promises its figures break."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import structlog

from lifeline.torture.compare import compare, holds
from lifeline.torture.flips import run_flips
from lifeline.torture.kills import run_kills
from lifeline.torture.power import run_power_cuts
from lifeline.torture.servers import Receiver, StoreServer, scratch

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator
    from pathlib import Path

SHORT: Final = {"kills": 60, "power_cuts": 60, "flips": 500}
CRITICAL: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaigns:
    """What they have in common; ``keep`` is where the killed city's folder stays, None nowhere."""

    seed: int
    stop: threading.Event
    keep: Path | None = None

    def run(self, name: str, count: int, told: Callable[[int], None]) -> dict[str, Any]:
        """Run one of SHORT; ``told`` hears how many kills, cuts or flips are done.

        Raises
        ------
        lifeline.errors.Failure
            It cannot be run, or a process of ours did not stand it.
        """
        began_s = time.monotonic()
        with quiet():
            if name == "kills":
                row = self._kills(count, told)
            elif name == "power_cuts":
                row = run_power_cuts(cuts=count, seed=self.seed, stop=self.stop, told=told)
            else:
                row = run_flips(flips=count, seed=self.seed, stop=self.stop, told=told)
        return row | {"asked": count, "wall_s": round(time.monotonic() - began_s, 1)}

    def _kills(self, count: int, told: Callable[[int], None]) -> dict[str, Any]:
        with scratch(self.keep) as folder, StoreServer() as store, Receiver() as receiver:
            left = run_kills(
                folder,
                kills=count,
                seed=self.seed,
                store=store,
                receiver=receiver,
                stop=self.stop,
                told=told,
            )
            row = compare(left, store.points(), receiver)
            row["twice"] += len(store.overwritten)
            row["what_twice"]["point overwritten"] = len(store.overwritten)
            first = store.overwritten[0] if store.overwritten else ""
            return row | {"store_repeated": store.again, "first_overwritten": first}


@contextmanager
def quiet() -> Iterator[None]:
    """Let what works under the faults in this process say nothing: they are meant."""
    before = structlog.get_config()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(CRITICAL),
        logger_factory=structlog.ReturnLoggerFactory(),
        cache_logger_on_first_use=False,
    )
    try:
        yield
    finally:
        structlog.configure(**before)


def broken(rows: dict[str, dict[str, Any]]) -> list[str]:
    """Return what does not hold, in words; [] where every promise does."""
    said = []
    if "kills" in rows and not holds(rows["kills"]):
        names = ("lost", "twice", "log_equal", "notifications_missing", "errors_logged")
        said.append("kills: " + ", ".join(f"{n} {rows['kills'][n]}" for n in names))
    if rows.get("power_cuts", {}).get("broken"):
        said.append(f"power cuts: {rows['power_cuts']['first']}")
    if rows.get("flips", {}).get("missed"):
        firsts = [each["first_missed"] for each in rows["flips"]["files"].values()]
        said.append(f"flips: {next(first for first in firsts if first)}")
    return said
