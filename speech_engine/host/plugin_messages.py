"""The messages between a server and the processes of comparers, marks and trainers.

Each stream of a mark and each question to it has a number, so many of them share one pipe.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from speech_engine.host.pipe import Pipe
from speech_engine.host.pipe_messages import Broken, DeviceFound, Drain, MayLoad, PeakMemory, Ready
from speech_engine.mark import Detection, MarkKey
from speech_engine.redacted import Redacted
from speech_engine.training import TrainingMessage


class ComparerReady(msgspec.Struct, frozen=True, tag="comparer_ready"):
    """The comparer has loaded. The numbers are its `SpeakerScale`."""

    same: float
    other: float


class ComparisonQuestion(Redacted, msgspec.Struct, frozen=True, tag="comparison_asked"):
    """A question to a comparer: are these two recordings of one speaker?"""

    one: bytes
    other: bytes


class ComparisonScore(msgspec.Struct, frozen=True, tag="comparison"):
    """The answer. A `failure` is the class of the comparer's exception; then there is no score."""

    score: float = 0.0
    failure: str = ""


class MarkReady(msgspec.Struct, frozen=True, tag="mark_ready"):
    """The mark has loaded."""


class OpenMarkStream(msgspec.Struct, frozen=True, tag="mark_opened"):
    """Open a stream. The answer is a `MarkedSound` without sound."""

    number: int
    sample_rate_hz: int
    key: MarkKey
    payload: int


class MarkSound(Redacted, msgspec.Struct, frozen=True, tag="mark_sound"):
    """The next sound of a stream, or its end. The answer is a `MarkedSound`."""

    number: int
    pcm: bytes = b""
    is_last: bool = False


class CloseMarkStream(msgspec.Struct, frozen=True, tag="mark_closed"):
    """Forget a stream. There is no answer."""

    number: int


class MarkedSound(Redacted, msgspec.Struct, frozen=True, tag="marked_sound"):
    """The marked sound. A `failure` is the class of the mark's exception; then the stream is over."""

    number: int
    pcm: bytes = b""
    failure: str = ""


class MarkQuestion(Redacted, msgspec.Struct, frozen=True, tag="mark_asked"):
    """A question to a mark: is one of these keys in this sound?"""

    number: int
    pcm: bytes
    sample_rate_hz: int
    keys: tuple[MarkKey, ...]


class MarkAnswer(msgspec.Struct, frozen=True, tag="mark_answer"):
    """The answer. With a `failure`, there is no detection."""

    number: int
    detection: Detection | None = None
    failure: str = ""


class BeginPlugin(Redacted, msgspec.Struct, frozen=True, tag="begin_plugin"):
    """A worker's first message to the process of a comparer or a mark.

    `needs` are the rights that its confinement leaves. `memory_mb` limits its memory; None: no limit."""

    name: str
    module: str
    settings: bytes
    needs: tuple[str, ...] = ()
    memory_mb: int | None = None


_ToPlugin = BeginPlugin | ComparisonQuestion | OpenMarkStream | MarkSound | CloseMarkStream | MarkQuestion
_OfPlugin = ComparerReady | ComparisonScore | MarkReady | MarkedSound | MarkAnswer
_OfBoth = Ready | Broken | DeviceFound | MayLoad | PeakMemory | Drain
PluginMessage = _ToPlugin | _OfPlugin | _OfBoth | TrainingMessage
unpack: Callable[[bytes], PluginMessage] = msgspec.msgpack.Decoder(PluginMessage).decode


class PluginPipe(Pipe[PluginMessage]):
    """The pipe of a process of a comparer, a mark or a trainer."""

    def __init__(self, fd: int) -> None:
        super().__init__(fd, unpack)
