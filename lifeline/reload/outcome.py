"""What became of reloads: the last one and how many, for /metrics, the page and the doctor.

Kept in the data folder's ``run/``, since reloads are asked for from several processes.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import structlog
from prometheus_client import CollectorRegistry, Counter, generate_latest

from lifeline.metrics_files import metrics_folder

if TYPE_CHECKING:
    from pathlib import Path

LOG: Any = structlog.get_logger("reload")
Result = Literal["applied", "unchanged", "refused", "failed"]
How = Literal["signal", "page", "cli", "watch", "import"]
RESULTS: Final = ("applied", "unchanged", "refused", "failed")
MOST_LINES: Final = 20
_SAID: Final = {
    "refused": ("规则重载被拒绝，原规则继续有效", "reload refused, the old rules hold"),
    "failed": ("规则重载失败，原规则继续有效", "reload failed, the old rules hold"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One reload. ``lines`` are the first problems, ``problems`` how many there were."""

    result: Result
    how: How
    by: str = ""
    at_ns: int = 0  # wall time
    lines: tuple[str, ...] = ()
    problems: int = 0

    @property
    def trouble(self) -> str:
        """Return one line in both languages where the reload was not taken, "" if it was."""
        if self.result not in _SAID:
            return ""
        first = self.lines[0] if self.lines else ""
        more = f" (+{self.problems - 1})" if self.problems > 1 else ""
        return f"{' · '.join(_SAID[self.result])}: {first}{more}"[:500]


def begin(data: Path) -> None:
    """Forget the last outcome: a start reads the folder. Counts begin at 0, and stay."""
    counts, _ = _read(data)
    _write(data, counts, None)


def note(data: Path, outcome: Outcome) -> None:
    """Count an outcome and keep it as the last; who calls holds the lock of reloads."""
    counts, _ = _read(data)
    counts[outcome.result] += 1
    _write(data, counts, outcome)


def last(data: Path) -> Outcome | None:
    """Return the last reload since the start, None if there was none."""
    return _read(data)[1]


def _path(data: Path) -> Path:
    return data / "run" / "reload.json"


def _read(data: Path) -> tuple[dict[str, int], Outcome | None]:
    counts = dict.fromkeys(RESULTS, 0)
    try:
        held = json.loads(_path(data).read_bytes())
        counts |= {name: int(held["counts"][name]) for name in RESULTS}
        told = held["last"]
        outcome = Outcome(**{**told, "lines": tuple(told["lines"])}) if told else None
    except FileNotFoundError:
        return counts, None
    except (ValueError, KeyError, TypeError) as error:  # only counts are lost with it
        LOG.warning("reloads are counted anew", file=str(_path(data)), cause=repr(error))
        return counts, None
    return counts, outcome


def _write(data: Path, counts: dict[str, int], outcome: Outcome | None) -> None:
    told = asdict(outcome) if outcome else None
    _replace(_path(data), json.dumps({"counts": counts, "last": told}, ensure_ascii=False).encode())
    registry = CollectorRegistry()
    counter = Counter(
        "lifeline_reloads_total",
        "Reloads of rules and registry asked for, by what became of them",
        ["result"],
        registry=registry,
    )
    for name, count in counts.items():
        counter.labels(name).inc(count)
    _replace(metrics_folder(data) / "reload.prom", generate_latest(registry))


def _replace(path: Path, text: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{time.monotonic_ns()}")
    aside.write_bytes(text)
    aside.replace(path)
