"""Structured logs: one JSON object a line on standard error, or readable lines with `--debug`."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Final

import structlog
from structlog.typing import Processor

# Libraries speak of every step; what they do for us is in our own events.
LIBRARY_LEVEL: Final = logging.WARNING
LIBRARY_LEVEL_DEBUG: Final = logging.INFO


def configure(debug: bool, process: str, *, quiet: bool = False) -> None:  # noqa: FBT001 - of every process
    """Set up the logs of this process; may be called again.

    Args:
        debug: readable, and with debug lines.
        process: the name that stands on every line.
        quiet: only warnings and errors, for commands that a person reads the output of.
    """
    lowest = logging.DEBUG if debug else logging.WARNING if quiet else logging.INFO

    def name_process(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event.setdefault("process", process)
        return event

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        name_process,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    rendering = _rendering(debug)
    structlog.configure(
        processors=[*shared, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(lowest),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    _route_libraries(shared, rendering, LIBRARY_LEVEL_DEBUG if debug else LIBRARY_LEVEL)


def _rendering(debug: bool) -> list[Processor]:  # noqa: FBT001 - the one switch there is
    """Tracebacks are rendered without local variables: these may hold secrets."""
    if debug:
        return [
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
        ]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]


def _route_libraries(shared: list[Processor], rendering: list[Processor], level: int) -> None:
    """Send what libraries log by `logging` through the same rendering."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.captureWarnings(capture=True)
