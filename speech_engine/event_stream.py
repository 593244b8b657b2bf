"""Reads server-sent events from a provider: takes bytes, split anywhere, and returns whole events' data."""

from __future__ import annotations

from speech_engine.errors import EngineFailed
from speech_engine.http import MOST_BYTES


class EventStream:
    """A reader of events. Lines end in LF or CRLF. Comments and all fields except `data` are ignored."""

    def __init__(self) -> None:
        self._begun: list[bytes] = []
        self._begun_bytes = 0
        self._data: list[bytes] = []

    def feed(self, piece: bytes) -> list[bytes]:
        """Returns the events that this piece completes. Raises EngineFailed if a line is much too long."""
        first, *others = piece.split(b"\n")
        self._begin(first)
        events = []
        for line in others:
            events += self._end_line()
            self._begin(line)
        return events

    def flush(self) -> list[bytes]:
        """Returns the last event if its blank line is missing: some servers end without one."""
        return self._end_line() + self._end_event()

    def _begin(self, part: bytes) -> None:
        # A list, since a line may come in hundreds of pieces: joining them one by one would copy all before.
        self._begun.append(part)
        self._begun_bytes += len(part)
        if self._begun_bytes > MOST_BYTES:
            raise EngineFailed("The provider sends an event that is longer than any that makes sense.")

    def _end_line(self) -> list[bytes]:
        line = b"".join(self._begun).removesuffix(b"\r")
        self._begun, self._begun_bytes = [], 0
        if not line:
            return self._end_event()
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
        return []

    def _end_event(self) -> list[bytes]:
        data, self._data = self._data, []
        return [b"\n".join(data)] if data else []
