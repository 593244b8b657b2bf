"""The messages between a server and the processes of comparers and trainers."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from speech_engine.host.pipe import Pipe
from speech_engine.host.pipe_messages import Broken, DeviceFound, Drain, MayLoad, PeakMemory, Ready
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


class BeginPlugin(Redacted, msgspec.Struct, frozen=True, tag="begin_plugin"):
    """A worker's first message to the process of a comparer or a trainer.

    `needs` are the rights that its confinement leaves. `memory_mb` limits its memory; None: no limit."""

    name: str
    module: str
    settings: bytes
    needs: tuple[str, ...] = ()
    memory_mb: int | None = None


_OfComparer = BeginPlugin | ComparisonQuestion | ComparerReady | ComparisonScore
_OfBoth = Ready | Broken | DeviceFound | MayLoad | PeakMemory | Drain
PluginMessage = _OfComparer | _OfBoth | TrainingMessage
unpack: Callable[[bytes], PluginMessage] = msgspec.msgpack.Decoder(PluginMessage).decode


class PluginPipe(Pipe[PluginMessage]):
    """The pipe of a process of a comparer or a trainer."""

    def __init__(self, fd: int) -> None:
        super().__init__(fd, unpack)
