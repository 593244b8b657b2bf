"""Observers: they let features observe an answer. The speech path names no feature."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import ClassVar

from proxy.ledger import Spent
from proxy.speech.answer_file import AnswerFile
from proxy.speech.speech_stream import FileSink, Speech
from speech_engine import EngineError

_RawHeader = tuple[bytes, bytes]
_HOOKS = (
    *("take_place", "begin", "headers", "chunk", "taken", "whole", "piece"),
    *("settle", "finish", "fail", "end"),
)


class Observer:
    """An observer of one answer. It changes no sound. Only overridden hooks are called."""

    listens_to: ClassVar[tuple[str, ...]] = ()
    rewrites = False
    """Whether `whole` writes another file. It is known from `begin` on."""

    def __init_subclass__(cls) -> None:
        cls.listens_to = tuple(name for name in _HOOKS if getattr(cls, name) is not getattr(Observer, name))

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

    async def whole(self, file: AnswerFile, new: FileSink) -> bool:
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
        """End the observer. It is called exactly once, for the last observer first."""


def end_all(observers: list[Observer], error: BaseException | None) -> None:
    """End each observer, even if others raise."""
    while observers:
        observer = observers.pop()
        if "end" in observer.listens_to:
            try:
                observer.end(error)
            finally:
                end_all(observers, error)


class Observers:
    """The hooks of an answer's observers, by name. One observer may rewrite a whole file."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self.rewriter: Observer | None = None
        self.take_place: list[Callable[[], Awaitable[None]]] = []
        self.begin: list[Callable[[Speech], None]] = []
        self.headers: list[Callable[[], Iterable[_RawHeader]]] = []
        self.chunk: list[Callable[[bytes], None]] = []
        self.taken: list[Callable[[], None]] = []
        self.piece: list[Callable[[bytes], None]] = []
        self.settle: list[Callable[[Spent], Spent]] = []
        self.finish: list[Callable[[], None]] = []
        self.fail: list[Callable[[EngineError], EngineError]] = []
        for observer in observers:
            for name in observer.listens_to:
                if name == "whole":
                    self.rewriter = observer
                elif name != "end":
                    getattr(self, name).append(getattr(observer, name))


NO_OBSERVERS = Observers(())
