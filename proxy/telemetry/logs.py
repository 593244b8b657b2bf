"""Structured logs, without texts, audio and keys.

The line of a request waits a moment, and is written together with others.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any, BinaryIO

import msgspec

from proxy.telemetry.plain_structlog import structlog

_log = structlog.get_logger()

_MOST_CHARACTERS, _MOST_ITEMS = 1024, 32
FLUSH_S = 0.05
"""How long a line of a request may wait. A process that is killed loses no more than this."""


class RequestLine(msgspec.Struct, tag_field="event", tag="request.finished"):
    """The log line of a request that has ended just now. `LogFile` adds `process` and `worker`.

    A request that failed before its answer began has the `code` of its failure.
    """

    request: str
    method: str
    route: str
    status: int
    complete: bool
    ms: float
    account: str | None
    key: str | None
    code: str | msgspec.UnsetType = msgspec.UNSET
    level: str = "info"
    timestamp: datetime = msgspec.field(default_factory=partial(datetime.now, UTC))
    process: str | msgspec.UnsetType = msgspec.UNSET
    worker: int | msgspec.UnsetType = msgspec.UNSET

    def fields(self) -> dict[str, object]:
        """Return the fields of the request itself."""
        values = {name: getattr(self, name) for name in _FIELDS}
        return {name: value for name, value in values.items() if value is not msgspec.UNSET}


_FIELDS = ("request", "method", "route", "status", "complete", "ms", "account", "key", "code")


class LogFile:
    """Writes lines in the order in which they came, from any thread.

    The line of a request waits if a running loop can write it later. Any other line is written at once, after
    all waiting lines. A full disk loses lines, but stops nobody who logs.
    """

    def __init__(self, file: BinaryIO, process: str, worker: int | None = None) -> None:
        self._file = file
        self._process = process
        self._worker = msgspec.UNSET if worker is None else worker
        self._encoder = msgspec.json.Encoder()
        self._waiting_lines: list[RequestLine] = []
        # A signal's handler may flush in the middle of a flush.
        self._lock = threading.RLock()

    def add(self, line: RequestLine) -> None:
        line.process, line.worker = self._process, self._worker
        with self._lock:
            self._waiting_lines.append(line)
            if len(self._waiting_lines) > 1:
                return
        try:
            asyncio.get_running_loop().call_later(FLUSH_S, self.flush)
        except RuntimeError:
            self.flush()

    def write_line(self, line: bytes) -> None:
        with self._lock:
            self._write(line + b"\n")

    def flush(self) -> None:
        with self._lock:
            if self._waiting_lines:
                self._write(b"")

    # structlog writes a rendered line by the method that is named for its level.
    debug = info = warning = error = critical = write_line

    def _write(self, last_line: bytes) -> None:
        lines, self._waiting_lines = self._waiting_lines, []
        with suppress(OSError):
            self._file.write(self._encoder.encode_lines(lines) + last_line)
            self._file.flush()


_log_file: LogFile | None = None
"""The file that takes the lines of requests, in a process that serves."""


def configure_logs(process: str, level: int = logging.INFO, worker: int | None = None) -> None:
    """Write JSON lines to stderr, or warnings as readable ones to a terminal. Each names its process."""
    global _log_file
    process_fields: dict[str, object] = (
        {"process": process} if worker is None else {"process": process, "worker": worker}
    )
    processors: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_process(process_fields),
    ]
    factory: Any
    if sys.stderr.isatty():
        level = max(level, logging.WARNING)
        # The default formatter shows local variables, which have users' data.
        plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        processors += [_cut_values, plain]
        factory = structlog.WriteLoggerFactory(sys.stderr)
    else:
        processors += [
            structlog.processors.format_exc_info,
            _cut_values,
            structlog.processors.JSONRenderer(lambda event, **_: msgspec.json.encode(event, enc_hook=str)),
        ]
        log_file = LogFile(sys.stderr.buffer, process, worker)
        atexit.register(log_file.flush)
        _log_file = log_file if level <= logging.INFO else None
        factory = lambda *_: log_file  # noqa: E731 - structlog calls it for each logger
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=factory,
        cache_logger_on_first_use=True,
    )
    # uvicorn reports every answer that we abort on purpose as an error of the application.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)


def log_request(line: RequestLine) -> None:
    """Log a request that is over. It costs a fifth of a line by structlog, and every request has one."""
    if _log_file is not None:
        _log_file.add(line)
        return
    _log.info("request.finished", **line.fields())  # to a terminal, or in a command or a test


def flush_logs() -> None:
    """Write the waiting lines. A process that ends by `os._exit` calls this."""
    if _log_file is not None:
        _log_file.flush()


def _cut_values(_logger: object, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    """Cut each value: a peer's words may be as long as it likes. A traceback stays whole, up to 64 KiB."""
    for name, value in event.items():
        if name != "exc_info" and not isinstance(value, int | float):
            event[name] = _shortened(value, _MOST_CHARACTERS * (64 if name == "exception" else 1))
    return event


def _shortened(value: Any, most_characters: int = _MOST_CHARACTERS) -> Any:
    if isinstance(value, list | tuple):
        items = map(_shortened, value[:_MOST_ITEMS])
        return tuple(items) if isinstance(value, tuple) else list(items)
    text = value if isinstance(value, str) else msgspec.json.encode(value, enc_hook=str).decode()
    return value if len(text) <= most_characters else f"{text[:most_characters]}…"


def _add_process(process_fields: dict[str, object]) -> Any:
    def add(_logger: object, _method: str, event: dict[str, Any]) -> dict[str, Any]:
        return {**event, **process_fields}

    return add
