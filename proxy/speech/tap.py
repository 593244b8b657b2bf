"""Taps: they let features observe an answer. The speech path names no feature."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import ClassVar

from proxy.ledger import Spent
from proxy.speech.speech_stream import Speech
from proxy.speech.whole_file import AnswerFile, SpilledBytes
from speech_engine import EngineError

_RawHeader = tuple[bytes, bytes]
_HOOKS = (
    *("take_place", "begin", "headers", "chunk", "taken", "whole", "piece"),
    *("settle", "finish", "fail", "end"),
)


class Tap:
    """An observer of one answer. It changes no sound. Only overridden hooks are called."""

    hears: ClassVar[tuple[str, ...]] = ()
    rewrites = False
    """Whether `whole` writes another file. It is known from `begin` on."""

    def __init_subclass__(cls) -> None:
        cls.hears = tuple(name for name in _HOOKS if getattr(cls, name) is not getattr(Tap, name))

    async def take_place(self) -> None:
        """Take resources after the hold and before an engine speaks. Raises RequestFailed."""

    def begin(self, speech: Speech) -> None:
        """The first audio is there: the speaker is known."""

    def headers(self) -> Iterable[_RawHeader]:
        """Return headers for the answer. For a whole answer, it is called after `whole`."""
        return ()

    def chunk(self, data: bytes) -> None:
        """Take the next bytes of the sound before they are sent. May raise EngineError."""

    def taken(self) -> None:
        """Note that the client has taken all bytes so far."""

    async def whole(self, file: AnswerFile, new: SpilledBytes) -> bool:
        """Write a file that replaces this one. Return False to keep this one. Raises RequestFailed."""
        return False

    def piece(self, data: bytes) -> None:
        """Take the next bytes of a whole answer's file as they are sent. May raise EngineError."""

    def settle(self, spent: Spent) -> Spent:
        """Return `spent` with rows to commit with the settlement of a finished answer."""
        return spent

    def finish(self) -> None:
        """Note that the answer is settled and delivered."""

    def fail(self, error: EngineError) -> EngineError:
        """Return the error that the client gets."""
        return error

    def end(self, error: BaseException | None) -> None:
        """End the tap. It is called exactly once, and for the last tap first."""


def end_all(taps: list[Tap], error: BaseException | None) -> None:
    """End each tap, even if others raise."""
    while taps:
        tap = taps.pop()
        if "end" in tap.hears:
            try:
                tap.end(error)
            finally:
                end_all(taps, error)


class Taps:
    """The hooks of an answer's taps, by name. One tap may rewrite a whole file."""

    def __init__(self, taps: Sequence[Tap]) -> None:
        self.rewriter: Tap | None = None
        self.take_place: list[Callable[[], Awaitable[None]]] = []
        self.begin: list[Callable[[Speech], None]] = []
        self.headers: list[Callable[[], Iterable[_RawHeader]]] = []
        self.chunk: list[Callable[[bytes], None]] = []
        self.taken: list[Callable[[], None]] = []
        self.piece: list[Callable[[bytes], None]] = []
        self.settle: list[Callable[[Spent], Spent]] = []
        self.finish: list[Callable[[], None]] = []
        self.fail: list[Callable[[EngineError], EngineError]] = []
        for tap in taps:
            for name in tap.hears:
                if name == "whole":
                    self.rewriter = tap
                elif name != "end":
                    getattr(self, name).append(getattr(tap, name))


NO_TAPS = Taps(())
