"""Logs, by structlog: to stderr, for a person's eyes or one JSON object a line."""

from __future__ import annotations

import io
import logging
import re
import sys
from typing import TYPE_CHECKING, Any, TextIO

import structlog

from ingest.secret_words import without_secrets

if TYPE_CHECKING:
    from structlog.types import EventDict, ExcInfo, Processor


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
"""What ends a line, or moves a terminal's cursor: a device's bytes must not write lines of ours."""


def _said_safely(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Take secrets and control characters out of every text, whoever said it."""
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = _CONTROL.sub(_shown, without_secrets(value))
        elif isinstance(value, dict | list):
            event[key] = _cleaned(value)
    return event


def _shown(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


def _exception_safely(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Take secrets out of what an exception says, after it was made text or a structure."""
    if "exception" in event:
        event["exception"] = _cleaned(event["exception"])
    return event


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, dict):
        return {key: _cleaned(part) for key, part in value.items()}
    return [_cleaned(part) for part in value] if isinstance(value, list) else value


def _plain(stream: TextIO, trace: ExcInfo) -> None:
    """Write a traceback without the values in it, and without secrets in its messages."""
    text = io.StringIO()
    structlog.dev.plain_traceback(text, trace)
    stream.write(without_secrets(text.getvalue()))


def configure_logs(*, json_lines: bool, process: str) -> None:
    """Set structlog and the standard library's logging (of libraries: warnings only) alike."""

    def named(_logger: object, _method: str, event: EventDict) -> EventDict:
        event.setdefault("process", process)  # in every thread, where context variables are not
        return event

    shared: list[Processor] = [
        named,
        _said_safely,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # Never the values of local variables: passwords and tokens are among them.
    told = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    last: list[Processor] = (
        [
            structlog.processors.ExceptionRenderer(told),
            _exception_safely,
            structlog.processors.JSONRenderer(),
        ]
        if json_lines
        else [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=_plain)]
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
