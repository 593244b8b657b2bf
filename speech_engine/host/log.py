"""A host's logger: JSON lines on stderr in the server's own shape, from the standard library alone."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Any

import msgspec


class HostLogger:
    """Fits `speech_engine.plugin.Logger`."""

    def __init__(self, engine: str) -> None:
        self._engine = engine

    def __repr__(self) -> str:
        return f"<HostLogger {self._engine}>"

    def debug(self, event: str, **fields: Any) -> None:
        """Hosts log nothing below info."""

    def info(self, event: str, **fields: Any) -> None:
        self._write("info", event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        self._write("warning", event, fields)

    def _write(self, level: str, event: str, fields: dict[str, Any]) -> None:
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = {"event": event, "level": level, "timestamp": at, "engine": self._engine, **fields}
        sys.stderr.buffer.write(msgspec.json.encode(line, enc_hook=str) + b"\n")
        sys.stderr.buffer.flush()
