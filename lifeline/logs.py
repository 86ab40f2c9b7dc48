"""Logs, by structlog: to stderr, for a person's eyes or one JSON object a line."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from structlog.types import EventDict, Processor


def configure_logs(*, json_lines: bool, process: str) -> None:
    """Set structlog and the standard library's logging (of libraries: warnings only) alike."""

    def named(_logger: object, _method: str, event: EventDict) -> EventDict:
        event.setdefault("process", process)  # in every thread, where context variables are not
        return event

    shared: list[Processor] = [
        named,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # Never the values of local variables: passwords and tokens are among them.
    told = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    plain = structlog.dev.plain_traceback
    last: list[Processor] = (
        [structlog.processors.ExceptionRenderer(told), structlog.processors.JSONRenderer()]
        if json_lines
        else [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]
    )
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,  # else a later configuration holds for some only
    )
    of_libraries = logging.StreamHandler(sys.stderr)
    remove = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    of_libraries.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[remove, *last],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[of_libraries], force=True)
    # Anybody's bytes at the page's port get a 400; a line for each would be theirs to write.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
