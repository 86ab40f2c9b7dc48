"""``python -m lifeline.processes NAME --site DIR --data DIR``: one process until SIGTERM."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import structlog

from ingest import crash_points
from ingest.journal import JournalError
from ingest.store.errors import StoreError
from lifeline.allocation import settle, yield_to_others
from lifeline.errors import EXIT_CODE, Failure
from lifeline.logs import configure_logs
from lifeline.metrics_files import MetricsFile
from lifeline.parent import end_with
from lifeline.processes.context import parse
from rules.problems import Invalid

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType


def armed(log: Any) -> bool:
    """Take a crash point from the environment, where one is named; False where it is none."""
    wanted = os.environ.get(crash_points.VARIABLE, "")
    try:
        crash_points.arm(wanted)
    except ValueError as error:
        log.error(str(error))  # noqa: TRY400 - the remedy is in the sentence
        return False
    if wanted:
        log.warning("this process will kill itself: it is under torture", at=wanted)
    return True


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one process; return its exit code: 0 stopped, 2 a person must act."""
    name, context, parent, json_logs = parse(sys.argv[1:] if arguments is None else arguments)
    configure_logs(json_lines=json_logs, process=name)
    if parent:
        end_with(parent)

    def stop(_number: int, _frame: FrameType | None) -> None:
        context.stop.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    log = structlog.get_logger(name)
    if not armed(log):
        return EXIT_CODE
    MetricsFile(context.data, name, stop=context.stop).start()
    try:
        process = importlib.import_module(f"lifeline.processes.{name}")
        settle(name)
        yield_to_others(name)
        process.run(context)
    except (Failure, Invalid, JournalError, StoreError) as error:
        for line in str(error).splitlines():
            log.error(line)  # noqa: TRY400 - a person reads it; a traceback would hide the remedy
        return EXIT_CODE
    except Exception:
        log.exception("ended by an error of ours")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
