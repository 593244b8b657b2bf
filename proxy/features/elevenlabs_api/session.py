"""A socket of ElevenLabs' API: its contexts are utterances, and each fails alone."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

import structlog
from msgspec import UNSET, UnsetType

from policies.lexicon import Words
from proxy.errors import InvalidRequest, RequestFailed, ServerBusy
from proxy.features.elevenlabs_api.alignment import ChunkAlignment, LetterTimes, WordSpan, chunk_alignment
from proxy.features.elevenlabs_api.contexts import Action, ContextRefused, Contexts, ContextStep
from proxy.features.elevenlabs_api.fields import FieldReader, SpeechFields, read_speed
from proxy.features.elevenlabs_api.messages import (
    AudioMessage,
    ContextMessage,
    close_code,
    error_message,
    read_message,
)
from proxy.features.elevenlabs_api.ssml_texts import SsmlTexts
from proxy.features.sockets.http.socket import LEAVING_MESSAGE, ClientSocket
from proxy.features.sockets.utterances.utterance import MOST_TEXT, Utterance
from proxy.features.sockets.utterances.utterances import Utterances
from proxy.features.sockets.utterances.values import (
    PieceEnd,
    PieceStart,
    PlacedWord,
    UtteranceEnd,
    UtteranceSettings,
)
from proxy.http.replies import encode_json
from proxy.ledger import Ledger, StreamsTaken
from proxy.speech.deadline import Deadline
from proxy.storage.store import StorageFailed

_log = structlog.get_logger()

MOST_ERRORS = 20
_LAST_WORDS_S = 2.0
"""A client has so long to take the end of its contexts when the server stops."""
MOST_SPEAKING = 16
"""The most contexts of a socket that speak at once. Those that the client has closed count, too."""


class StreamParts(NamedTuple):
    """What a session uses of the newest revision of the configuration."""

    reader: FieldReader
    utterances: Utterances
    ledger: Ledger


class SocketOptions(NamedTuple):
    """What the query of a socket asks for. With `is_single`, the socket has one context, and ends with it."""

    fields: SpeechFields
    is_single: bool
    has_context_times: bool
    inactivity_s: float


async def _note_nothing(_context: _Context, _piece: PieceStart | PieceEnd) -> None:
    """ElevenLabs' API has no message about pieces."""


class _Context:
    """A context that is open, as the listener of its utterance."""

    piece_began = piece_ended = _note_nothing

    def __init__(self, name: str, fields: SpeechFields, session: StreamInputSession) -> None:
        self.name = name
        self.fields = fields
        self.utterance: Utterance | None = None
        self.task: asyncio.Task[None] | None = None
        self.failure: RequestFailed | None = None
        self.count_written = session.socket.count_written
        self.share_sent = session.socket.share_sent
        self._session = session
        self._text = ""
        self._letters = LetterTimes()
        self._ssml = SsmlTexts()

    @property
    def is_holding(self) -> bool:
        """Whether an element of SSML waits for its end."""
        return self._ssml.is_holding

    def read_text(self, text: str, *, is_flush: bool) -> tuple[str, Words]:
        """Return what can be said by now. Raises InvalidRequest."""
        # A text that is too long is not read here: `add_text` refuses it.
        if not self.fields.is_ssml or len(text) > MOST_TEXT:
            return text, {}
        return self._ssml.read_elements(text, is_flush=is_flush)

    def add_text(self, text: str, sounds: Words) -> None:
        """Raises InvalidRequest."""
        assert self.utterance is not None, "it has begun"
        self.utterance.add(text, sounds)
        self._text += text

    async def send_sound(self, data: bytes, words: Sequence[PlacedWord]) -> None:
        since_ms = 0.0 if self._session.options.has_context_times else self._letters.end_ms
        timed = self._letters.time_words(
            self._text, [WordSpan(word.start, word.end, word.start_ms, word.end_ms) for word in words]
        )
        alignment = chunk_alignment(timed, since_ms)
        if data or alignment is not None:
            audio = b64encode(data).decode() if data else None
            await self._session.send_audio(self.name, audio=audio, alignment=alignment)
            self._session.last_sound_at = asyncio.get_running_loop().time()


class StreamInputSession:
    """One socket of a client. Each context begins with what `parts` returns: those of the newest revision."""

    def __init__(
        self,
        socket: ClientSocket,
        options: SocketOptions,
        contexts: Contexts,
        parts: Callable[[], StreamParts],
    ) -> None:
        self.socket = socket
        self.options = options
        self.last_sound_at = 0.0
        self._contexts = contexts
        self._parts = parts
        self._open: dict[str, _Context] = {}
        # The utterances whose task has not run yet. At the end of the socket, each of them is abandoned.
        self._unstarted: set[Utterance] = set()
        self._utterance_count = 0
        self._error_count = 0
        self._inactivity = Deadline()
        self._inactivity.far_s = options.inactivity_s
        # The code and the reason of the close frame, once the session is to end.
        self._close_frame: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()
        self._steps: dict[Action, Callable[[ContextStep], Awaitable[None]]] = {
            "open": self._open_context,
            "say": self._say,
            "flush": self._flush,
            "finish": self._finish,
            "stop": self._stop,
            "close_socket": self._close_socket,
        }

    async def serve(self) -> None:
        """Serve the socket until it closes."""
        try:
            async with asyncio.TaskGroup() as self._tasks:
                reading = self._tasks.create_task(self._read())
                try:
                    code, reason = await self._close_frame
                except asyncio.CancelledError:
                    reading.cancel()
                    if not self.socket.is_gone:
                        # The server does not wait any longer. The client pays for what it was sent, and
                        # must not take it for the whole.
                        with suppress(TimeoutError):
                            async with asyncio.timeout(_LAST_WORDS_S):
                                for context in list(self._open.values()):
                                    await self._fail(context, ServerBusy(LEAVING_MESSAGE))
                    raise
                reading.cancel()
                await self._interrupt_all()
        except BaseExceptionGroup as failures:
            # One task failed, and has ended the others.
            raise failures.exceptions[0] from None
        finally:
            self._inactivity.close()
            for utterance in self._unstarted:
                await utterance.abandon()
        await self.socket.close(code, reason)

    async def send_audio(
        self,
        context: str,
        *,
        audio: str | None = None,
        alignment: ChunkAlignment | None = None,
        is_final: bool | None = None,
    ) -> None:
        message = AudioMessage(
            audio=audio,
            is_final=is_final,
            alignment=alignment,
            normalized_alignment=alignment,
            context_id=self._context_id(context),
        )
        await self.socket.send(encode_json(message).decode())

    async def _read(self) -> None:
        while True:
            try:
                message = await self._next_message()
                for step in self._contexts.read_steps(message):
                    await self._steps[step.action](step)
            except InvalidRequest as failure:
                await self._refuse(failure)

    async def _next_message(self) -> ContextMessage:
        loop, idle_s = asyncio.get_running_loop(), self.options.inactivity_s
        while True:
            try:
                with self._inactivity.expire_in(idle_s):
                    return read_message(await self.socket.receive())
            except TimeoutError:
                # A context that waits for text would hold its stream for ever.
                utterances = [each.utterance for each in self._open.values() if each.utterance is not None]
                if loop.time() - self.last_sound_at < idle_s or not all(
                    each.is_silent for each in utterances
                ):
                    continue
                has_unsaid_text = utterances or any(each.is_holding for each in self._open.values())
                if self.options.is_single and has_unsaid_text:
                    # As with ElevenLabs, what it has not said yet is said before the end.
                    await self._end_single()
                else:
                    self._end_session(1000, f"No message came within {idle_s:g} s.")

    async def _end_single(self) -> None:
        for context in list(self._open.values()):
            self._contexts.end_context(context.name)
            await self._finish(ContextStep("finish", context.name))

    async def _open_context(self, step: ContextStep) -> None:
        context = self._open[step.context] = _Context(step.context, self.options.fields, self)
        try:
            context.fields = self._parts().reader.context_fields(
                self.options.fields, read_speed(step.settings)
            )
        except RequestFailed as failure:
            await self._fail(context, failure)

    async def _say(self, step: ContextStep) -> None:
        context = self._open.get(step.context)
        if context is None or context.failure is not None:
            return
        if context.is_holding or not step.text.isspace():
            await self._add_text(context, step.text)

    async def _add_text(self, context: _Context, sent: str, *, is_flush: bool = False) -> None:
        try:
            text, sounds = context.read_text(sent, is_flush=is_flush)
            if not text or (context.utterance is None and text.isspace()):
                return
            if context.utterance is None:
                await self._begin_utterance(context)
            context.add_text(text, sounds)
        except RequestFailed as failure:
            await self._fail(context, failure)
        except StorageFailed as error:
            await self._fail(context, self._storage_failure(error))

    async def _begin_utterance(self, context: _Context) -> None:
        """Begin the utterance of a context. Each piece later replaces the text "a". Raises RequestFailed."""
        settings = UtteranceSettings.of(context.fields.speech_request("a"))
        self._utterance_count += 1
        self.socket.count_utterance()
        id_, key = f"{self.socket.id}-{self._utterance_count}", self.socket.caller.key
        while context.utterance is None:
            try:
                if sum(each.task is not None for each in self._open.values()) >= MOST_SPEAKING:
                    raise StreamsTaken
                begin = self._parts().utterances.begin_utterance
                context.utterance = await begin(id_, key, settings, context)
            except StreamsTaken:
                if (oldest := self._contexts.oldest_closed(other_than=context.name)) is None:
                    raise
                await self._interrupt(self._open[oldest])
        self._unstarted.add(context.utterance)
        context.task = self._tasks.create_task(self._speak(context, context.utterance))

    async def _speak(self, context: _Context, utterance: Utterance) -> None:
        self._unstarted.discard(utterance)
        with self.socket.speaking():
            try:
                failure = (await utterance.run()).failure
            except StorageFailed as error:
                failure = self._storage_failure(error)
            if context.failure is None and failure is not None:
                context.failure = failure
                await self.socket.send(error_message(failure, self._context_id(context.name)))
            await self._close_context(context)

    async def _flush(self, step: ContextStep) -> None:
        context = await self._add_held_text(step)
        if context is not None and context.utterance is not None:
            context.utterance.flush()

    async def _add_held_text(self, step: ContextStep) -> _Context | None:
        """Add the text that SSML held back, and return the context, or None if it is not open any more."""
        context = self._open.get(step.context)
        if context is not None and context.failure is None and context.is_holding:
            await self._add_text(context, "", is_flush=True)
        return self._open.get(step.context)

    async def _finish(self, step: ContextStep) -> None:
        if (context := await self._add_held_text(step)) is None:
            return
        if context.utterance is None:
            await self._close_context(context)
        else:
            context.utterance.end()

    async def _stop(self, step: ContextStep) -> None:
        if (context := self._open.get(step.context)) is not None:
            await self._interrupt(context)

    async def _interrupt(self, context: _Context) -> None:
        """Stop the sound of a context, and return when the client was told of its end."""
        if self._open.get(context.name) is not context:
            return
        task = context.task
        if context.utterance is None or task is None:
            await self._close_context(context)
            return
        await context.utterance.interrupt()
        await asyncio.wait([task])

    async def _interrupt_all(self) -> None:
        for context in list(self._open.values()):
            await self._interrupt(context)

    async def _fail(self, context: _Context, failure: RequestFailed) -> None:
        """Tell the failure of one context, and then end it: the socket stays."""
        context.failure = failure
        await self.socket.send(error_message(failure, self._context_id(context.name)))
        await self._interrupt(context)

    def _storage_failure(self, error: StorageFailed) -> RequestFailed:
        _log.error("storage.failed", request=self.socket.id, reason=str(error))
        return error.failure()

    async def _close_context(self, context: _Context) -> None:
        failure, is_single = context.failure, self.options.is_single
        if self._open.get(context.name) is context:
            del self._open[context.name]
            self._contexts.end_context(context.name, has_failed=failure is not None)
        # Each of the two refers to its context: together they would wait for the garbage collector.
        context.utterance = context.task = None
        if failure is None or not is_single:
            await self.send_audio(context.name, is_final=True)
        if failure is None and is_single:
            self._end_session(1000, "")
        elif failure is not None and (is_single or UtteranceEnd(failure=failure).ends_socket):
            self._end_session(close_code(failure), failure.code)

    async def _refuse(self, failure: InvalidRequest) -> None:
        """Tell what is wrong with a message."""
        refused = failure if isinstance(failure, ContextRefused) else None
        context_id = UNSET if refused is None else self._context_id(refused.context)
        await self.socket.send(error_message(failure, context_id))
        if refused is not None and refused.is_over:
            await self.send_audio(refused.context, is_final=True)
        self._error_count += 1
        if self._error_count >= MOST_ERRORS:
            self._end_session(1008, "too_many_errors")

    async def _close_socket(self, _step: ContextStep) -> None:
        # Those that were flushed are still said.
        tasks = [context.task for context in self._open.values() if context.task is not None]
        if tasks:
            await asyncio.wait(tasks)
        self._end_session(1000, "")

    def _end_session(self, code: int, reason: str) -> None:
        if not self._close_frame.done():
            self._close_frame.set_result((code, reason))

    def _context_id(self, context: str) -> str | UnsetType:
        return UNSET if self.options.is_single else context
