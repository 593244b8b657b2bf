"""Taps: what features do with an answer while it goes by. The way of a speech names no feature."""

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
    """A concern of one answer. It changes no sound. What a subclass leaves as it is here is never called."""

    hears: ClassVar[tuple[str, ...]] = ()
    rewrites = False
    """Whether `whole` writes another file. It may know that from `begin` on."""

    def __init_subclass__(cls) -> None:
        cls.hears = tuple(name for name in _HOOKS if getattr(cls, name) is not getattr(Tap, name))

    async def take_place(self) -> None:
        """Take what the answer needs: its credits are held, no engine speaks yet. Raises RequestFailed."""

    def begin(self, speech: Speech) -> None:
        """The first audio is there: the speaker is known."""

    def headers(self) -> Iterable[_RawHeader]:
        """Return what the head of the answer says of it. That of a whole answer comes after `whole`."""
        return ()

    def chunk(self, data: bytes) -> None:
        """The next bytes of the sound, also the last ones, before they go out. May raise EngineError."""

    def taken(self) -> None:
        """The client has taken all bytes so far."""

    async def whole(self, file: AnswerFile, new: SpilledBytes) -> bool:
        """Write a file in the place of this one. Return False if this one goes out. Raises RequestFailed."""
        return False

    def piece(self, data: bytes) -> None:
        """The next bytes of a whole answer's file, as they go out. May raise EngineError."""

    def settle(self, spent: Spent) -> Spent:
        """Add what is to be committed with the settlement of an answer that has come to its end."""
        return spent

    def finish(self) -> None:
        """It is settled, if it came to its end, and the client has it."""

    def fail(self, error: EngineError) -> EngineError:
        """Return the error that the client gets."""
        return error

    def end(self, error: BaseException | None) -> None:
        """Once, always, and the last tap first."""


def end_all(taps: list[Tap], error: BaseException | None) -> None:
    """End each, whatever others raise."""
    while taps:
        tap = taps.pop()
        if "end" in tap.hears:
            try:
                tap.end(error)
            finally:
                end_all(taps, error)


class Taps:
    """The taps of one answer, by what they listen to. One of them may rewrite a whole file."""

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
