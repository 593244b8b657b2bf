"""What goes over the pipe between a worker and the process of a mark.

Each stream and each question has a number, so many of them share one pipe.
"""

from __future__ import annotations

import msgspec

from speech_engine.mark import Detection, MarkKey


class MarkReady(msgspec.Struct, frozen=True, tag="mark_ready"):
    """The mark has loaded."""


class OpenMarkStream(msgspec.Struct, frozen=True, tag="mark_opened"):
    """Open a stream. The answer is a `MarkedSound` without sound."""

    number: int
    sample_rate_hz: int
    key: MarkKey
    payload: int


class MarkSound(msgspec.Struct, frozen=True, tag="mark_sound"):
    """The next sound of a stream, or its end. The answer is a `MarkedSound`."""

    number: int
    pcm: bytes = b""
    is_last: bool = False

    def __repr__(self) -> str:
        return f"<MarkSound {self.number}, {len(self.pcm)} bytes>"


class CloseMarkStream(msgspec.Struct, frozen=True, tag="mark_closed"):
    """Forget a stream. Nobody answers."""

    number: int


class MarkedSound(msgspec.Struct, frozen=True, tag="marked_sound"):
    """What came out. With a `failure`, the class of what the mark raised, the stream is over."""

    number: int
    pcm: bytes = b""
    failure: str = ""

    def __repr__(self) -> str:
        return f"<MarkedSound {self.number}, {len(self.pcm)} bytes{self.failure and ', ' + self.failure}>"


class MarkQuestion(msgspec.Struct, frozen=True, tag="mark_asked"):
    """A question to a mark: is one of these keys in this sound?"""

    number: int
    pcm: bytes
    sample_rate_hz: int
    keys: tuple[MarkKey, ...]

    def __repr__(self) -> str:
        return f"<MarkQuestion {self.number}, {len(self.pcm)} bytes>"


class MarkAnswer(msgspec.Struct, frozen=True, tag="mark_answer"):
    """The answer. With a `failure`, there is no detection."""

    number: int
    detection: Detection | None = None
    failure: str = ""
