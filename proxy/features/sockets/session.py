"""A session on the native socket: its utterances, one after the other, each spoken while its text comes.

Two tasks share it. One reads at all times, so that no interruption waits. The other one speaks.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

import structlog
from msgspec import UNSET, UnsetType

from proxy.audio.formats import OutputForm
from proxy.errors import InvalidRequest, RequestFailed
from proxy.features.sockets import messages
from proxy.features.sockets.http.socket import IDLE_S, ClientSocket
from proxy.features.sockets.utterances.utterance import Utterance
from proxy.features.sockets.utterances.utterances import Utterances
from proxy.features.sockets.utterances.values import (
    Interrupted,
    PieceEnd,
    PieceStart,
    PlacedWord,
    UtteranceEnd,
    UtteranceSettings,
)
from proxy.speech.deadline import Deadline
from proxy.speech.speaking import Speaking
from proxy.speech.speech_request import Defaults
from proxy.storage.store import StorageFailed

_log = structlog.get_logger()

CONFIG_S = 10.0
"""A socket without a config is closed after so long."""
MOST_FAULTS = 20
"""So many wrong messages close the socket."""
MOST_WAITING = 20
"""The most utterances that wait behind the spoken one."""
MOST_WAITING_CHARACTERS = 20_000
"""The most text of those together."""
LATE_CANCEL_S = 30.0
"""An interruption may come so long after the end of an utterance: a player still has some of its sound."""

_LAST_WORDS_S = 2.0
"""A client has so long to take the end of an utterance when the server stops."""
_NORMAL, _REFUSED = 1000, 1008


class SessionParts(NamedTuple):
    """What sessions take from a revision of the configuration."""

    utterances: Utterances
    speaking: Speaking
    defaults: Defaults


class _Turn:
    """An utterance from its first text on. Its texts wait here until it begins."""

    def __init__(self, settings: UtteranceSettings) -> None:
        self.settings = settings
        self.texts: list[str] = []
        self.waiting_characters = 0
        self.utterance: Utterance | None = None
        self.begun = asyncio.Event()
        """Set once it has an utterance, or will have none."""
        self.has_ended = False
        """No more text comes."""
        self.is_cancelled = False
        self.end: UtteranceEnd | None = None

    @property
    def has_work(self) -> bool:
        """Whether there is something to do for it. The text that still comes after a failure is dropped."""
        return self.end is None or self.has_ended

    def add_text(self, text: str) -> None:
        """Raises RequestFailed, and adds nothing."""
        if self.end is not None:
            return
        if self.utterance is not None:
            self.utterance.add(text)
            return
        self.texts.append(text)
        self.waiting_characters += len(text)

    def end_text(self) -> None:
        self.has_ended = True
        if self.utterance is not None:
            self.utterance.end()

    def begin_with(self, utterance: Utterance) -> None:
        """Give it the texts that waited. Raises RequestFailed if they are too long for it."""
        self.utterance, texts = utterance, self.texts
        self.texts, self.waiting_characters = [], 0
        try:
            for text in texts:
                utterance.add(text)
        finally:
            if self.has_ended:
                utterance.end()


class NativeSession:
    """One socket. `newest_parts` returns the parts of the newest revision of the configuration."""

    def __init__(self, socket: ClientSocket, newest_parts: Callable[[], SessionParts]) -> None:
        self._socket = socket
        self._parts = newest_parts
        self._settings: UtteranceSettings | None = None
        self._turns = deque[_Turn]()
        self._index = 0  # of the first turn
        self._news = asyncio.Event()
        self._is_closing = False
        self._refusal = ""
        self._deadline = Deadline()  # of the next message
        # Locked while a message is being answered.
        self._answering = asyncio.Lock()
        # The last turn that was sent whole, while its sound may still be heard.
        self._last_turn: _Turn | None = None

    async def serve_socket(self) -> None:
        """Serve the socket until one side ends it."""
        await self._socket.accept()
        reading, speaking = asyncio.create_task(self._read()), asyncio.create_task(self._speak())
        try:
            await asyncio.wait((reading, speaking), return_when=asyncio.FIRST_COMPLETED)
            if not speaking.done():
                reading.result()
                # `wait` does not cancel the task: a cancellation would reach the piece that is spoken.
                await asyncio.wait((speaking,))
            speaking.result()
            async with self._answering:  # an interruption is answered before
                await self._socket.close(_REFUSED if self._refusal else _NORMAL, self._refusal)
        except asyncio.CancelledError:
            if self._turns and not self._socket.is_gone:
                # The drain is over. The client pays for what was sent, and is told what that was.
                reading.cancel()
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LAST_WORDS_S):
                        await self._interrupt("server_shutdown")
            raise
        finally:
            for task in (reading, speaking):
                task.cancel()
            await asyncio.gather(reading, speaking, return_exceptions=True)
            self._deadline.close()

    async def _read(self) -> None:
        """Take messages, until the client has sent too many wrong ones."""
        faults, loop = 0, asyncio.get_running_loop()
        config_by = loop.time() + CONFIG_S
        while not self._refusal:
            try:
                until = config_by if self._settings is None else loop.time() + IDLE_S
                with self._deadline.expire_at(until):
                    sent = await self._socket.receive()
            except TimeoutError:
                await self._end_idle()
                continue
            async with self._answering:
                try:
                    await self._apply_message(sent)
                except RequestFailed as error:
                    await self._send_failure(error)
                    if (faults := faults + 1) == MOST_FAULTS:
                        await self._refuse(error)

    async def _end_idle(self) -> None:
        """End a socket without a config, or one whose utterance waits for text for too long."""
        if self._settings is None:
            late = _no_config(f"No session.config came within {CONFIG_S:.0f} seconds.")
            await self._send_failure(late)
            await self._refuse(late)
        elif self._turns and (utterance := self._turns[0].utterance) is not None and utterance.is_silent:
            self._socket.end_idle()

    async def _apply_message(self, sent: str | bytes) -> None:
        """Do what a message says. Raises RequestFailed. After session.close, only an interruption counts."""
        message = messages.read_message(sent)
        if isinstance(message, messages.CancelMessage) and self._settings is not None:
            played_ms = message.played_ms
            await self._interrupt("client_cancel", None if played_ms is None else round(played_ms))
        elif self._is_closing:
            return
        elif isinstance(message, messages.ConfigMessage):
            self._settings = await self._read_settings(message)
        elif isinstance(message, messages.CloseMessage):
            self._is_closing = True
            self._end_text()
        elif self._settings is None:
            raise _no_config("Send a session.config first, with model and voice.")
        elif isinstance(message, messages.TextMessage):
            self._add_text(self._settings, message.text)
        elif not self._end_text():
            self._begin_turn(self._settings).end_text()

    async def _read_settings(self, message: messages.ConfigMessage) -> UtteranceSettings:
        if self._turns and not self._turns[-1].has_ended:
            raise InvalidRequest(
                "A session.config comes between utterances: send input.done or input.cancel first.",
                param="type",
                code="utterance_under_way",
            )
        newest_parts = self._parts()
        try:
            defaults = await newest_parts.speaking.defaults_of(self._socket.caller, newest_parts.defaults)
        except StorageFailed as error:
            raise self._storage_failure(error) from None
        return messages.settings_of(message, defaults, newest_parts.speaking.plans.client_fields)

    def _add_text(self, settings: UtteranceSettings, text: str) -> None:
        if sum(turn.waiting_characters for turn in self._turns) + len(text) > MOST_WAITING_CHARACTERS:
            if len(text) > MOST_WAITING_CHARACTERS:
                hint = f"An utterance has up to {MOST_WAITING_CHARACTERS}: send input.done before more text."
            else:
                hint = "Send it when an utterance has ended."
            raise InvalidRequest(
                f"Invalid 'text': more than {MOST_WAITING_CHARACTERS} characters would wait. {hint}",
                param="text",
                code="string_above_max_length",
            )
        if self._turns and not self._turns[-1].has_ended:
            self._turns[-1].add_text(text)
        elif text.strip():
            self._begin_turn(settings).add_text(text)

    def _begin_turn(self, settings: UtteranceSettings) -> _Turn:
        if len(self._turns) > MOST_WAITING:
            raise InvalidRequest(
                f"More than {MOST_WAITING} utterances wait. Send no more until one has ended.",
                param="type",
                code="too_many_utterances",
            )
        self._turns.append(turn := _Turn(settings))
        self._news.set()
        return turn

    def _end_text(self) -> bool:
        """End the text of the utterance that gets text now. Return whether there was one."""
        self._news.set()
        if not self._turns or self._turns[-1].has_ended:
            return False
        self._turns[-1].end_text()
        return True

    async def _refuse(self, error: RequestFailed) -> None:
        """Close the socket for good."""
        self._is_closing, self._refusal = True, error.code
        if self._turns:
            await self._interrupt("too_many_errors")
        self._news.set()

    async def _interrupt(self, reason: messages.CancelReason, played_ms: int | None = None) -> None:
        """End what is spoken and what waits, and tell the client what it has heard."""
        turns, interrupted = [*self._turns], Interrupted()
        while len(self._turns) > 1:
            self._turns.pop()
        # Without a turn, the sound of the last one may still be heard.
        turn, index = (turns[0], self._index) if turns else (self._last_turn, self._index - 1)
        if turn is None or turn.is_cancelled:
            index = self._index
        else:
            turn.is_cancelled = True
            await turn.begun.wait()
            if turn.utterance is not None:
                interrupted = await turn.utterance.interrupt(played_ms)
            turn.has_ended = True
            self._news.set()
        waited = "".join(text for each in turns for text in each.texts)
        await self._send(messages.cancelled_message(interrupted, index, reason, waited))

    async def _speak(self) -> None:
        """Speak one utterance after the other, until the socket is to be closed."""
        while True:
            with self._socket.speaking():
                while self._turns and self._turns[0].has_work:
                    await self._speak_turn(self._turns[0])
            if self._is_closing and not self._turns:
                return
            self._news.clear()
            try:
                async with asyncio.timeout(LATE_CANCEL_S if self._last_turn else None):
                    await self._news.wait()
            except TimeoutError:
                self._last_turn = None

    async def _speak_turn(self, turn: _Turn) -> None:
        if turn.end is None:
            turn.end = await self._speak_utterance(turn)
            if (failure := turn.end.failure) is not None and not turn.is_cancelled:
                await self._send_failure(failure, self._index)
                if turn.end.ends_socket:
                    self._is_closing, self._refusal = True, failure.code
                    self._turns.clear()
                    return
        if turn.has_ended:
            if not turn.is_cancelled:
                index, end = self._index, turn.end
                await self._send(
                    messages.SessionDoneMessage(
                        utterance_index=index, total_sentences=end.pieces, usage=end.usage
                    )
                )
            self._last_turn = self._turns.popleft()
            self._index += 1

    async def _speak_utterance(self, turn: _Turn) -> UtteranceEnd:
        """Speak an utterance until it ends or fails. On return, the stream of its account is free again."""
        try:
            if not turn.texts or turn.is_cancelled:
                return UtteranceEnd()
            listener = _Listener(self._socket, turn.settings.form, self._index)
            id_, key = f"{self._socket.id}-{self._index}", self._socket.caller.key
            self._socket.count_utterance()
            utterance = await self._parts().utterances.begin_utterance(id_, key, turn.settings, listener)
        except RequestFailed as error:
            return UtteranceEnd(failure=error)
        except StorageFailed as error:
            return UtteranceEnd(failure=self._storage_failure(error))
        finally:
            turn.begun.set()
        try:
            turn.begin_with(utterance)
        except RequestFailed as error:
            try:
                await self._send_failure(error, self._index)
            except asyncio.CancelledError:
                await utterance.abandon()
                raise
        return await utterance.run()

    def _storage_failure(self, error: StorageFailed) -> RequestFailed:
        _log.error("storage.failed", request=self._socket.id, reason=str(error))
        return error.failure()

    async def _send_failure(self, failure: RequestFailed, index: int | UnsetType = UNSET) -> None:
        await self._send(messages.ErrorMessage(error=failure.body().error, utterance_index=index))

    async def _send(self, message: messages.ServerMessage) -> None:
        await self._socket.send(messages.as_text(message))


def _no_config(message: str) -> InvalidRequest:
    return InvalidRequest(message, param="type", code="config_missing")


class _Listener:
    """The client of one utterance."""

    def __init__(self, socket: ClientSocket, form: OutputForm, index: int) -> None:
        self._form = form
        self._index = index
        self._socket = socket
        self.count_written = socket.count_written
        self.share_sent = socket.share_sent

    async def piece_began(self, start: PieceStart) -> None:
        message = messages.start_message(start, self._index, self._form)
        await self._socket.send(messages.as_text(message))

    async def send_sound(self, data: bytes, words: Sequence[PlacedWord]) -> None:
        if data:
            await self._socket.send(data)

    async def piece_ended(self, end: PieceEnd) -> None:
        await self._socket.send(messages.as_text(messages.end_message(end, self._index)))
