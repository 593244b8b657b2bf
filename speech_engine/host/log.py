"""A host's logger: the lines of the server's logs, from the standard library alone.

They are JSON in a file or a pipe. On a terminal, warnings alone are readable lines, as structlog writes them.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Any

import msgspec

_OFF, _BOLD, _DIM = "\x1b[0m", "\x1b[1m", "\x1b[2m"
_YELLOW = "\x1b[33m"
_QUOTED = set(" \t=\r\n\"'")
_KEY, _VALUE = "\x1b[36m", "\x1b[35m"


class HostLogger:
    """Fits `speech_engine.plugin.Logger`."""

    def __init__(self, engine: str) -> None:
        self._engine = engine
        self._is_terminal = sys.stderr.isatty()

    def debug(self, event: str, **fields: Any) -> None:
        """Hosts do not log below info."""

    def info(self, event: str, **fields: Any) -> None:
        if not self._is_terminal:
            self._write("info", event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        self._write("warning", event, fields)

    def _write(self, level: str, event: str, fields: dict[str, Any]) -> None:
        at = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        marks = {"process": "host", "engine": self._engine}
        (_write_readable if self._is_terminal else _write_json)(at, level, event, {**fields, **marks})


def _write_json(at: str, level: str, event: str, fields: dict[str, Any]) -> None:
    line = {"event": event, "level": level, "timestamp": at, **fields}
    sys.stderr.buffer.write(msgspec.json.encode(line, enc_hook=str) + b"\n")
    sys.stderr.buffer.flush()


def _write_readable(at: str, level: str, event: str, fields: dict[str, Any]) -> None:
    shown = " ".join(f"{_KEY}{name}{_OFF}={_VALUE}{_shown(fields[name])}{_OFF}" for name in sorted(fields))
    head = f"{_DIM}{at}{_OFF} [{_YELLOW}{_BOLD}{level:<9}{_OFF}]"
    sys.stderr.write(f"{head} {_BOLD}{event:<30}{_OFF} {shown}\n")
    sys.stderr.flush()


def _shown(value: Any) -> str:
    return value if isinstance(value, str) and not set(value) & _QUOTED else repr(value)
