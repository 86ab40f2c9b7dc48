"""A reload of a city's folder: read, checked and applied whole, one at a time, and remembered."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import structlog

from lifeline.errors import Failure, NotTaken
from lifeline.preflight import read_site
from lifeline.reload.apply import Applied, apply_site
from lifeline.reload.outcome import MOST_LINES, Outcome, note
from lifeline.settings.config import load_config
from rules.problems import Invalid

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lifeline.reload.outcome import How, Result

LOG: Any = structlog.get_logger("reload")
TURN_WITHIN_S = 90.0
"""How long a reload waits for the one before it."""


def reload_folder(
    folder: Path, data: Path | None = None, *, how: How, by: str = "", check: bool = False
) -> Applied:
    """Put what a city's folder says into force in the system that runs on its data folder.

    Refused whole where anything is wrong. What became of it is remembered for the page, the
    doctor and /metrics; a mere ``check`` is not.

    Raises
    ------
    Invalid
        Every mistake of configuration, registry and rules, each at its file, line and column.
    NotTaken
        The running system did not take it.
    Missing
        What holds now cannot be read.
    """
    where = data
    try:
        config = load_config(folder)
        where = data or config.data
        if check:
            return apply_site(where, read_site(config, where), check=True)
        with _turn(where):
            done = apply_site(where, read_site(config, where), by=by, how=how)
            _note(where, Outcome(result=_result(done), how=how, by=by, at_ns=time.time_ns()))
            LOG.info("reload", result=done.result, how=how, by=by, offset=done.offset)
            return done
    except (Invalid, Failure) as error:
        if not check:
            _note(where or folder / "data", _refusal(error, how=how, by=by))
        raise


def _result(done: Applied) -> Result:
    return "unchanged" if done.result == "unchanged" else "applied"


def _refusal(error: Invalid | Failure, *, how: How, by: str) -> Outcome:
    """Return the outcome of a reload that was not taken, and log it."""
    if isinstance(error, Invalid):
        lines = tuple(str(p) for p in error.problems if p.severity == "error")
        result: Result = "refused"
    else:
        lines, result = tuple(str(error).splitlines()), "failed"
    LOG.error("reload not taken; what held still holds", how=how, by=by, reasons=lines[:MOST_LINES])
    return Outcome(
        result=result,
        how=how,
        by=by,
        at_ns=time.time_ns(),
        lines=lines[:MOST_LINES],
        problems=len(lines),
    )


def _note(data: Path, outcome: Outcome) -> None:
    """Remember an outcome where there is a data folder; a full disk does not undo a reload."""
    if not data.is_dir():
        return
    try:
        note(data, outcome)
    except OSError as error:
        LOG.warning("the outcome of a reload is not kept", result=outcome.result, cause=str(error))


@contextmanager
def _turn(data: Path) -> Iterator[None]:
    """Hold the lock of reloads; it falls with the process.

    Raises
    ------
    NotTaken
        Another reload took too long.
    """
    (data / "run").mkdir(parents=True, exist_ok=True)
    lock = os.open(data / "run" / "reload.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    give_up_s = time.monotonic() + TURN_WITHIN_S
    try:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > give_up_s:
                    said = f"another reload has not ended within {TURN_WITHIN_S:g} s; try again"
                    raise NotTaken(f"{data}: {said}") from None
                time.sleep(0.05)
                continue
            break
        yield
    finally:
        os.close(lock)
