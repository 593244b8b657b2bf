"""One sentence of a job. It is requested, checked, and requested once more before it fails."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Literal, NamedTuple

from plugins.openai.realtime.response import Response
from plugins.openai.realtime.session import Session, SessionEnded
from speech_engine import EngineError, EngineFailed, EngineTimeout, UnsupportedText
from speech_engine.text.said import TranscriptJudge

Check = Literal["strict", "fast", "off"]


class TextReworded(UnsupportedText):
    """Raised if the model twice said other words. The sound before that is right and is charged."""

    def __init__(self) -> None:
        super().__init__("The provider's model does not read this text word for word.")


class SentenceTerms(NamedTuple):
    """The common parameters of a job's sentences.

    `take_session` returns a session within some seconds. `note_mismatch` logs that other words were accepted.
    """

    judge: TranscriptJudge
    check: Check
    instructions: str
    take_session: Callable[[float], Awaitable[Session]]
    note_mismatch: Callable[[], None] | None
    silence_s: float


class Sentence:
    """A sentence of a job. `deadline`, if any, is the `time.monotonic` for its first audio."""

    def __init__(self, text: str, segment: int, terms: SentenceTerms, deadline: float | None) -> None:
        self.segment = segment
        self.responses: list[Response] = []
        self._text = text
        self._terms = terms
        self._deadline = deadline
        self._session: Session | None = None
        self._failure: EngineError | None = None
        self._may_request_again = True
        self._has_audio = False
        self._accepts_other_words = False

    async def begin(self) -> None:
        """Request the sentence. `next_audio` raises a failure, so that the sentence before can end first."""
        try:
            await self._request()
        except EngineError as error:
            self._failure = error

    async def wait_for_sign(self) -> None:
        """Wait until the provider has begun to answer, or has failed. Raises EngineTimeout."""
        while self._failure is None and not ((response := self.responses[-1]).pcm_bytes or response.is_done):
            await self._wait(response)

    async def next_audio(self) -> bytes:
        """Return the next checked audio, or b"" at the end. Raises EngineError."""
        while self._failure is None:
            response = self.responses[-1]
            if response.failure is not None:
                await self._request_after_failure(response)
            elif not self._is_right(response):
                await self._request_after_other_words(response)
            elif (audio := self._take_checked(response)) or (self._has_audio and response.is_done):
                self._has_audio = True
                return audio
            elif response.is_done:
                raise EngineFailed("The provider answered without any audio.")
            else:
                await self._wait(response)
        raise self._failure

    def leave(self) -> None:
        if self._session is not None:
            for response in self.responses:
                self._session.leave(response)

    @property
    def _left_s(self) -> float:
        if self._deadline is None or self._has_audio:
            return self._terms.silence_s
        return max(0.0, self._deadline - time.monotonic())

    def _is_right(self, response: Response) -> bool:
        """Return whether the words so far are those of the text, and all of them if the response ended."""
        if response.is_too_long:
            return False
        if self._terms.check == "off" or self._accepts_other_words:
            return True
        if response.is_done:
            is_complete = self._terms.judge.says_all(self._text, response.transcript)
            return response.is_complete and is_complete
        return self._terms.judge.says_so_far(self._text, response.transcript)

    def _take_checked(self, response: Response) -> bytes:
        if self._terms.check == "strict" and not response.is_done:
            return b""
        return response.take_audio()

    async def _wait(self, response: Response) -> None:
        try:
            async with asyncio.timeout(self._left_s):
                await response.change()
        except TimeoutError:
            raise EngineTimeout("The provider fell silent.") from None

    async def _request_after_failure(self, response: Response) -> None:
        """Request again if the session ended during the sentence. Raise any other failure."""
        assert response.failure is not None
        if self._has_audio or not self._may_request_again or not isinstance(response.failure, SessionEnded):
            raise response.failure
        await self._request_again()

    async def _request_after_other_words(self, response: Response) -> None:
        if self._may_request_again and not self._has_audio:
            self.leave()
            await self._request_again()
        elif self._terms.note_mismatch is not None and not response.is_too_long:
            self._accepts_other_words = True
            self._terms.note_mismatch()
        else:
            raise TextReworded

    async def _request_again(self) -> None:
        self._may_request_again = False
        await self._request()

    async def _request(self) -> None:
        self._session = await self._terms.take_session(self._left_s)
        self.responses.append(await self._session.request_sentence(self._text, self._terms.instructions))
