"""The shared parts of engines of providers: their requests, their reading of answers, and of refusals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlencode

import msgspec

from speech_engine import errors
from speech_engine.http import MOST_BYTES, HttpAnswer, HttpForm, HttpRequest
from speech_engine.values import Segment

T = TypeVar("T")

OURS = "voxgate-"
"""The beginning of the names of voices that were cloned through this server. Each has an owner."""

STATUSES: Mapping[int, type[errors.EngineError]] = {
    401: errors.EngineUnauthorized,
    402: errors.EngineExhausted,
    408: errors.EngineTimeout,
    429: errors.EngineLimited,
    # A gateway that stops waiting does not know whether the work behind it is done and billed. So there is no
    # second try.
    504: errors.EngineTimeout,
}
"""The meaning of a status, from any provider."""

_REFUSAL_BYTES = 64 * 1024
_MOST_VALUES = 200_000


def request(
    method: str,
    address: str,
    headers: Mapping[str, str],
    within_s: float,
    *,
    query: Mapping[str, str] | None = None,
    body: msgspec.Struct | dict[str, Any] | HttpForm | None = None,
    silence_s: float = 20.0,
) -> HttpRequest:
    """Return a request. A body that is no form goes as JSON."""
    if body is None or isinstance(body, HttpForm):
        content = body or b""
    else:
        headers = {**headers, "content-type": "application/json"}
        content = msgspec.json.encode(body)
    return HttpRequest(
        method=method,
        url=address + (f"?{urlencode(query)}" if query else ""),
        headers=headers,
        body=content,
        within_s=within_s,
        silence_s=silence_s,
    )


def decoded(type_: type[T], body: bytes, fault: str) -> T:
    """Return the decoded JSON. Raise EngineFailed with this message if it is no JSON, of another shape, or
    of so many values that they would fill the memory."""
    if sum(map(body.count, (b",", b"[", b"{"))) > _MOST_VALUES:
        raise errors.EngineFailed(fault)
    try:
        return msgspec.json.decode(body, type=type_)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # `from None`, and no word of the body in the message, because the body may hold anything.
        raise errors.EngineFailed(fault) from None


async def refusal_body(answer: HttpAnswer) -> bytes:
    """Return the body of a refusal; none if it cannot be read, so that the status alone must be enough."""
    try:
        return await answer.read(_REFUSAL_BYTES)
    except errors.EngineError:
        return b""


def refusal_of(body: bytes) -> Any:
    """Return the decoded JSON of a refusal's body, or None: it may be a gateway's page, or a part of one."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


said = refusal_of
"""The former name, for plugins."""


def refusal(
    kind: type[errors.EngineError],
    sentences: Mapping[type[errors.EngineError], str],
    status: int,
    headers: Mapping[str, str],
    detail: str,
) -> errors.EngineError:
    """Return the error for a refusal that seems to be of this kind, with the provider's sentence for it.

    A 403 with a page for people comes from a firewall in front of a provider, which judges a text, and not
    the key.
    """
    is_page = headers.get("content-type", "").lower().startswith("text/html")
    judged = errors.EngineFailed if status == 403 and is_page else kind
    return judged(sentences[judged], detail=detail, retry_after_s=_retry_after_s(headers))


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    for name, factor in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) * factor
        except ValueError:  # The header is missing, or it is a date, which no provider of ours sends.
            continue
        if math.isfinite(seconds) and seconds >= 0:
            return seconds
    return None


class EventStream:
    """Reads server-sent events of a provider: takes bytes, split anywhere, and returns whole events' data.

    Lines end in LF or CRLF. Comments and all fields except `data` are ignored.
    """

    def __init__(self) -> None:
        self._line = bytearray()
        self._data: bytearray | None = None

    def feed(self, piece: bytes) -> list[bytes]:
        """Returns the events that this piece completes. Raises EngineFailed if an event is much too long."""
        first, *others = piece.split(b"\n")
        self._line += first
        if len(self._line) + len(self._data or b"") > MOST_BYTES:
            raise errors.EngineFailed("The provider sends an event that is longer than any that makes sense.")
        if not others:
            return []
        line, self._line = self._line, bytearray(others.pop())
        return self._events(line, *others)

    def flush(self) -> list[bytes]:
        """Returns the last event if its blank line is missing: some servers end without one."""
        line, self._line = self._line, bytearray()
        return self._events(line, b"")

    def _events(self, *lines: bytes | bytearray) -> list[bytes]:
        events = []
        for line in lines:
            if line[:4] == b"data" and line[4:5] in (b"", b":", b"\r"):
                begin, end = 6 if line[5:6] == b" " else 5, len(line) - line.endswith(b"\r")
                if self._data is None:
                    # In place, as an event may be long.
                    self._data = line if isinstance(line, bytearray) else bytearray(line)
                    del self._data[end:]
                    del self._data[:begin]
                else:
                    self._data += b"\n"
                    self._data += line[begin:end]
            elif line in (b"", b"\r") and self._data is not None:
                events.append(bytes(self._data))
                self._data = None
        return events


class Call(NamedTuple):
    """The text of one call; its audio counts as the audio of `segment`, the first in the call."""

    text: str
    segment: int

    def __repr__(self) -> str:
        return f"<Call of {len(self.text)} characters from segment {self.segment}>"


def joined(segments: Sequence[Segment], most_characters: int) -> tuple[Call, ...]:
    """Put as many whole segments into each call as its limit allows, since each call starts again.

    The server has cut longer segments.
    """
    calls: list[Call] = []
    for number, segment in enumerate(segments):
        text = f"{calls[-1].text} {segment.spoken}" if calls else ""
        if calls and len(text) <= most_characters:
            calls[-1] = Call(text, calls[-1].segment)
        else:
            calls.append(Call(segment.spoken, number))
    return tuple(calls)
