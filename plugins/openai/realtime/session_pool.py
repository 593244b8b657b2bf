"""The sessions of one account. A job takes an idle session, or opens one if the limit allows it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from plugins.openai.realtime.messages import SessionKey
from plugins.openai.realtime.session import Session
from speech_engine import EngineBusy, EngineUnavailable

MakeSession = Callable[[SessionKey, Callable[[Session], None]], Session]


class SessionPool:
    """All sessions. The owner of a taken session must give it back, even if it has ended."""

    def __init__(self, make: MakeSession, most_sessions: int, idle_s: float) -> None:
        self._make = make
        self._most_sessions = most_sessions
        self._idle_s = idle_s
        self._all: set[Session] = set()
        # The first one is idle for the longest time.
        self._idle: dict[Session, asyncio.TimerHandle] = {}
        self._taken: set[Session] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._is_closed = False

    def __repr__(self) -> str:
        return f"<SessionPool {len(self._all)} of {self._most_sessions}, {len(self._idle)} idle>"

    async def take(self, key: SessionKey, within_s: float) -> Session:
        """Return a session.

        Raises EngineBusy if none is free in time, EngineUnavailable after `close`, or EngineError if opening
        fails.
        """
        try:
            async with asyncio.timeout(within_s):
                while not self._is_closed:
                    session = self._take_idle(key)
                    if session is not None:
                        return session
                    if len(self._all) < self._most_sessions or self._drop_oldest_idle():
                        break
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise EngineBusy("All sessions with the provider are in use.") from None
        if self._is_closed:
            # A session that opened now would never be closed.
            raise EngineUnavailable("The engine has ended.")
        return await self._open_session(key, within_s)

    def give_back(self, session: Session) -> None:
        """Give a session back. It can be taken again when its responses have ended."""
        self._taken.discard(session)
        self._note_change(session)

    async def close(self) -> None:
        self._is_closed = True
        self._changed.set()
        for session in tuple(self._all):
            self._drop(session)
        if self._closing:
            await asyncio.wait(tuple(self._closing))

    def _take_idle(self, key: SessionKey) -> Session | None:
        """Return the idle session of this key that was used last. Close sessions that are too old."""
        for session in reversed(tuple(self._idle)):
            if not session.takes_sentences:
                self._drop(session)
            elif session.key == key:
                self._idle.pop(session).cancel()
                self._taken.add(session)
                return session
        return None

    def _drop_oldest_idle(self) -> bool:
        oldest = next(iter(self._idle), None)
        if oldest is not None:
            self._drop(oldest)
        return oldest is not None

    async def _open_session(self, key: SessionKey, within_s: float) -> Session:
        session = self._make(key, self._note_change)
        self._all.add(session)
        self._taken.add(session)
        try:
            await session.begin(within_s)
        except BaseException:
            self._taken.discard(session)
            self._drop(session)
            raise
        return session

    def _note_change(self, session: Session) -> None:
        if session.has_ended:
            self._drop(session)
        elif session not in self._all or session in self._idle:
            return
        elif session not in self._taken and session.is_idle:
            if session.takes_sentences:
                later = asyncio.get_running_loop().call_later
                # The timer also closes a session that becomes too old.
                self._idle[session] = later(min(self._idle_s, session.left_s), self._drop, session)
                self._changed.set()
            else:
                self._drop(session)

    def _drop(self, session: Session) -> None:
        """Close a session. Another one may open at once."""
        if session not in self._all:
            return
        self._all.discard(session)
        if (timer := self._idle.pop(session, None)) is not None:
            timer.cancel()
        task = asyncio.create_task(session.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        self._changed.set()
