"""The HTTP requests of one ElevenLabs account: addresses, the key, and the sorting out of refusals."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TypeVar

import msgspec

from plugins.elevenlabs import refusals
from speech_engine import cloud
from speech_engine.errors import EngineError, VoiceNotFound
from speech_engine.http import HttpAnswer, HttpClient, HttpForm, HttpRequest
from speech_engine.plugin import Logger
from speech_engine.values import EngineVoice, Voice

T = TypeVar("T")

_VOICE_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_USUAL_WAIT_S = 9.0


def voice_id(voice: Voice) -> str:
    """Return an id that is safe in a path. Any other id would make another address."""
    if not isinstance(voice, EngineVoice) or not _VOICE_ID.fullmatch(voice.id):
        raise VoiceNotFound("ElevenLabs has no such voice: its voices are named by their ids alone.")
    return voice.id


class Api:
    """The requests of one account.

    `most_at_once` is the number of requests that may run at once. It is None until ElevenLabs says it.
    """

    def __init__(self, http: HttpClient, base_url: str, api_key: str, log: Logger) -> None:
        self.most_at_once: int | None = None
        self._http = http
        self._base_url = base_url.rstrip("/")
        self._headers = {"xi-api-key": api_key}
        self._log = log

    def __repr__(self) -> str:
        return f"<Api {self._base_url}, {self.most_at_once or 'unknown'} at once>"

    @asynccontextmanager
    async def exchange(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: msgspec.Struct | HttpForm | None = None,
        within_s: float = _USUAL_WAIT_S,
    ) -> AsyncIterator[HttpAnswer]:
        """Give an answer that is no refusal, or raise EngineError. The end of the block ends the exchange."""
        async with self._http.send(self._request(method, path, query, body, within_s)) as answer:
            self._note_limit(answer.headers)
            if not 200 <= answer.status < 300:
                raise await self.error_of(answer)
            yield answer

    async def read_json(self, type_: type[T], path: str, query: Mapping[str, str] | None = None) -> T | None:
        """Return a whole JSON answer, or None if the key lacks the permission to read it."""
        async with self._http.send(self._request("GET", path, query, None, _USUAL_WAIT_S)) as answer:
            self._note_limit(answer.headers)
            body = await answer.read()
            if 200 <= answer.status < 300:
                return decoded(type_, body)
            refusal = refusals.read_refusal(body)
            error = self.log_refusal(answer, refusal)
            if refusal.name == refusals.MISSING_PERMISSIONS:
                return None
            raise error

    async def error_of(self, answer: HttpAnswer) -> EngineError:
        """Return the error for an answer whose body is a refusal, with any status."""
        return self.log_refusal(answer, refusals.read_refusal(await cloud.refusal_body(answer)))

    def log_refusal(self, answer: HttpAnswer, refusal: refusals.Refusal) -> EngineError:
        """Log a refusal and return its error. ElevenLabs' support needs the request id in the log."""
        self._log.warning(
            "elevenlabs.request.refused",
            status=answer.status,
            code=refusal.name,
            request=answer.headers.get("request-id", "")[:64],
        )
        return refusals.error_of_refusal(refusal, answer.status, answer.headers)

    def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: msgspec.Struct | HttpForm | None,
        within_s: float,
    ) -> HttpRequest:
        address = f"{self._base_url}{path}"
        return cloud.request(method, address, self._headers, within_s, query=query, body=body)

    def _note_limit(self, headers: Mapping[str, str]) -> None:
        most = headers.get("maximum-concurrent-requests", "")
        if most.isascii() and most.isdecimal() and int(most) != self.most_at_once:
            self.most_at_once = int(most)
            self._log.info("elevenlabs.limit.seen", most_at_once=self.most_at_once)


def decoded(type_: type[T], body: bytes) -> T:
    return cloud.decoded(type_, body, "ElevenLabs' answer is not what its documentation says.")
