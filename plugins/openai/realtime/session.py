"""One session: a connection with one voice and speed, which may speak several sentences at once.

One task owns the connection from the handshake to the close, so the connection is closed when that task ends.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from plugins.openai.realtime import messages
from plugins.openai.realtime.response import Response
from plugins.openai.realtime.settings import RATE_HZ, RealtimeSettings
from plugins.openai.refusals import RefusalDetail, error_in_place_of_audio, refusal
from speech_engine import HandshakeRefused, Socket, SocketClient, SocketRequest, errors

_MARGIN_S = 60.0
"""If the provider tells when it ends a session, the session gets no more sentences in the last minute before
that."""
_CANCEL_S = 5.0
"""The longest time until a cancelled answer ends. A session that goes on talking is closed."""

_MOST_UNKNOWN = 1000
"""The most unknown messages in a row. A session with more ends: each costs time, and none brings sound."""

OnLimits = Callable[[messages.SessionKey, list[messages.RateLimit]], None]


class SessionEnded(errors.EngineFailed):
    """Raised if the session ended during a sentence, which may be requested again in another session."""


class Session:
    """A session. It calls `on_idle` whenever it has no open response, and when it ends."""

    def __init__(
        self,
        key: messages.SessionKey,
        settings: RealtimeSettings,
        sockets: SocketClient,
        on_limits: OnLimits,
        on_idle: Callable[[Session], None],
    ) -> None:
        self.key = key
        self.has_ended = False
        self._settings = settings
        self._sockets = sockets
        self._on_limits = on_limits
        self._on_idle = on_idle
        self._ends_at = time.monotonic() + settings.session_s
        self._last_number = 0
        self._unknown_in_a_row = 0
        self._open_responses: dict[int, Response] = {}
        self._responses_by_id: dict[str, Response] = {}
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._socket: Socket | None = None
        self._task: asyncio.Task[None] | None = None
        self._sending: set[asyncio.Task[None]] = set()

    @property
    def takes_sentences(self) -> bool:
        """Whether it may take another sentence."""
        return not self.has_ended and self.left_s > 0

    @property
    def left_s(self) -> float:
        """The remaining seconds of use."""
        return self._ends_at - time.monotonic()

    @property
    def is_idle(self) -> bool:
        return not self._open_responses

    async def begin(self, within_s: float) -> None:
        """Open the connection. Raises EngineError if there is no session in time."""
        self._task = asyncio.create_task(self._run(within_s), name="realtime session")
        await asyncio.shield(self._ready)

    async def request_sentence(self, text: str, instructions: str) -> Response:
        """Ask for one sentence. Raises SessionEnded if the session has ended.

        If the session ends while this is sent, the returned response has failed.
        """
        if self._socket is None or self.has_ended:
            raise SessionEnded("The provider's session has ended.")
        self._last_number += 1
        response = self._open_responses[self._last_number] = Response(self._last_number, text, self.key.speed)
        try:
            await self._socket.send(messages.response_create(response.number, self.key, text, instructions))
        except errors.EngineFailed:
            self._end(SessionEnded("The provider's session has ended."))
        except BaseException:
            # The caller does not get this response, so it cannot cancel it.
            self.leave(response)
            raise
        return response

    def leave(self, response: Response) -> None:
        """Cancel a response whose reader has left. It stays open until the provider confirms.

        If the provider does not confirm in time, the session ends.
        """
        if response.is_done or response.is_abandoned:
            return
        response.abandon()
        if response.id:
            self._cancel(response)
        asyncio.get_running_loop().call_later(_CANCEL_S, self._end_if_open, response)

    async def close(self) -> None:
        """End the connection, and wait until its task has ended."""
        self._end(SessionEnded("The session was closed."))
        tasks = [task for task in (self._task, *self._sending) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _run(self, within_s: float) -> None:
        failure: errors.EngineError = errors.EngineFailed("The session broke.")
        try:
            async with self._sockets.connect(self._request(within_s)) as socket:
                # The responses end before the connection is closed, which takes time.
                self._end(await self._serve(socket, within_s))
        except HandshakeRefused as refused:
            failure = refusal(refused.status, refused.headers, refused.body)
        except errors.EngineError as error:
            failure = error
        finally:
            # In any case, no caller may wait for ever.
            self._end(failure)

    async def _serve(self, socket: Socket, within_s: float) -> errors.EngineError:
        """Read the session to its end, and return the error that ended it."""
        try:
            try:
                async with asyncio.timeout(within_s):
                    await self._set_up(socket)
            except TimeoutError:
                return errors.EngineTimeout("The provider opened a connection, and no session.")
            self._socket = socket
            self._ready.set_result(None)
            while True:
                await self._handle_next(socket)
        except errors.EngineError as error:
            return error

    def _request(self, within_s: float) -> SocketRequest:
        url = self._settings.session_url(self.key.model)
        return SocketRequest(url=url, headers=self._settings.key_headers, within_s=within_s)

    async def _set_up(self, socket: Socket) -> None:
        await self._read_until(socket, "session.created")
        settings = self._settings
        await socket.send(messages.session_update(self.key, settings.instructions, settings.effort))
        body = await self._read_until(socket, "session.updated")
        if body.session.rate_hz != RATE_HZ:
            raise errors.EngineFailed(
                f"The provider speaks at {body.session.rate_hz} Hz, which was not asked for."
            )

    async def _read_until(self, socket: Socket, kind: str) -> messages.SessionEvent:
        while True:
            read_kind, event = await self._read(socket)
            if isinstance(event, messages.ErrorEvent):
                raise _error_of(event.error)
            if isinstance(event, messages.SessionEvent):
                if event.session.expires_at is not None:
                    left_s = event.session.expires_at - time.time() - _MARGIN_S
                    self._ends_at = min(self._ends_at, time.monotonic() + left_s)
                if read_kind == kind:
                    return event

    async def _read(self, socket: Socket) -> tuple[str, messages.Event | None]:
        message = await socket.next_message()
        if message is None:
            raise SessionEnded("The provider closed the session.", detail=f"close {socket.close_code}")
        kind, event = messages.read(message)
        self._unknown_in_a_row = self._unknown_in_a_row + 1 if event is None else 0
        if self._unknown_in_a_row > _MOST_UNKNOWN:
            raise SessionEnded("The provider sent too many unknown messages.")
        return kind, event

    async def _handle_next(self, socket: Socket) -> None:
        kind, event = await self._read(socket)
        match event:
            case messages.ResponseEvent(response=body) if kind == "response.created":
                self._note_created(body)
            case messages.ResponseEvent(response=body):
                self._finish(body)
            case messages.AudioDelta(response_id=id_, delta=audio):
                if (response := self._responses_by_id.get(id_)) is not None:
                    response.add_audio(audio)
            case messages.TranscriptDelta(response_id=id_):
                if (response := self._responses_by_id.get(id_)) is not None:
                    response.add_words(event)
            case messages.LimitsEvent(rate_limits=limits):
                self._on_limits(self.key, limits)
            case messages.ErrorEvent(error=error):
                self._note_error(error)

    def _note_created(self, body: messages.ResponseBody) -> None:
        response = self._response_of(body)
        if response is None:
            return
        response.id = body.id
        self._responses_by_id[body.id] = response
        if response.is_abandoned:
            self._cancel(response)

    def _response_of(self, body: messages.ResponseBody) -> Response | None:
        """Return the response of a body. A provider that returns no metadata answers in order."""
        if body.metadata and (named := body.metadata.get("sentence")) is not None:
            return self._response_by_number(str(named))
        return next((each for each in self._open_responses.values() if not each.id), None)

    def _response_by_number(self, number: str) -> Response | None:
        return next((each for each in self._open_responses.values() if str(each.number) == number), None)

    def _finish(self, body: messages.ResponseBody) -> None:
        response = self._responses_by_id.pop(body.id, None) or self._response_of(body)
        if response is not None and self._open_responses.pop(response.number, None) is not None:
            response.finish(body)
            self._note_idle()

    def _note_error(self, error: messages.ErrorBody) -> None:
        """Fail the response of an error. The session goes on unless it has expired.

        Any other error ends nothing: a refused cancel is no failure, for example.
        """
        if error.code == "session_expired":
            raise SessionEnded("The provider's session has ended.", detail="session_expired")
        # The id of our request for a sentence is "create-NUMBER".
        action, _, number = (error.event_id or "").partition("-")
        response = self._response_by_number(number) if action == "create" else None
        if response is not None:
            del self._open_responses[response.number]
            response.fail(_error_of(error))
            self._note_idle()

    def _cancel(self, response: Response) -> None:
        self._send(messages.response_cancel(response.number, response.id))

    def _send(self, message: str) -> None:
        """Send in a task, because a leaving listener does not wait."""
        if self._socket is None or self.has_ended:
            return
        task = asyncio.create_task(_send_text(self._socket, message))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    def _end_if_open(self, response: Response) -> None:
        if not response.is_done:
            self._end(SessionEnded("The provider did not stop."))

    def _note_idle(self) -> None:
        if self.is_idle and not self.has_ended:
            self._on_idle(self)

    def _end(self, failure: errors.EngineError) -> None:
        if self.has_ended:
            return
        self.has_ended = True
        if not self._ready.done():
            self._ready.set_exception(failure)
            # Without this, asyncio would log an exception that was never read.
            self._ready.exception()
        for response in self._open_responses.values():
            response.fail(failure)
        self._open_responses.clear()
        self._responses_by_id.clear()
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
        self._on_idle(self)


async def _send_text(socket: Socket, message: str) -> None:
    try:
        await socket.send(message)
    except errors.EngineError:
        # The connection is lost, so `_run` ends every response. Nothing is left to cancel.
        return


def _error_of(error: messages.ErrorBody) -> errors.EngineError:
    return error_in_place_of_audio(
        RefusalDetail(code=error.code or error.type or "", field=error.param or "")
    )
