"""An engine for Realtime APIs. Each sentence is one response. Its transcript is compared with the text."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from plugins.openai import lists
from plugins.openai.realtime.messages import RateLimit, SessionKey
from plugins.openai.realtime.sentence import Sentence, SentenceTerms
from plugins.openai.realtime.session import Session
from plugins.openai.realtime.session_pool import SessionPool
from plugins.openai.realtime.settings import RATE_HZ, RealtimeSettings
from speech_engine import (
    Audio,
    Context,
    EngineError,
    EngineFailed,
    EngineLimited,
    EngineVoice,
    Event,
    Finished,
    ModelInfo,
    ProviderCount,
    SpeechJob,
    Started,
    UnsupportedText,
    VoiceInfo,
    VoiceNotFound,
)
from speech_engine.pcm import PcmPieces
from speech_engine.text.cleaning import is_speech
from speech_engine.text.said import TranscriptJudge, words_of

_LONGEST_WAIT_S = 60.0


class RealtimeEngine:
    # Unlisted voices are not tried, because each would open a session.
    unlisted_voices = ()

    def __init__(self, settings: RealtimeSettings, context: Context) -> None:
        self.slots = settings.sessions
        self._settings = settings
        self._context = context
        self._shutdown_dates: dict[str, str] = {}
        self._lists = lists.Lists(settings, context.http)
        self._limited_until: dict[str, float] = {}
        self._pool = SessionPool(
            lambda key, on_idle: Session(key, settings, context.sockets, self._note_limits, on_idle),
            settings.sessions,
            settings.idle_s,
        )

    def __repr__(self) -> str:
        return f"<RealtimeEngine {self._pool!r}>"

    def models(self) -> tuple[ModelInfo, ...]:
        dates = self._shutdown_dates
        return tuple(self._settings.model(id_, dates.get(id_, "")) for id_ in self._settings.models)

    def voices(self) -> tuple[VoiceInfo, ...]:
        return self._settings.voice_infos()

    async def refresh(self) -> None:
        """Read the models' last days. The request also shows that the provider is up."""
        if (listed := await self._lists.fetch_first("/models")) is not None:
            self._shutdown_dates = lists.shutdown_dates(listed)

    async def speak(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        self._check_job(job)
        recitation = Recitation(job, self._settings, self._pool, self._context)
        pieces = PcmPieces(RATE_HZ, job.max_samples)
        yield Started(RATE_HZ)
        try:
            while (sentence := await recitation.next_sentence()) is not None:
                pieces.begin()
                if not recitation.tokens:
                    # The check may hold back the sound for long. The count shows that the provider works.
                    await sentence.wait_for_sign()
                    if recitation.tokens:
                        yield ProviderCount(recitation.tokens)
                while pcm := await sentence.next_audio():
                    yield ProviderCount(recitation.tokens)
                    for piece in pieces.feed(pcm):
                        yield Audio(sentence.segment, piece)
                    if pieces.is_full:
                        break
                if pieces.is_full:
                    break
        except EngineError:
            # Sound that was not sent is billed, too.
            if recitation.tokens:
                yield ProviderCount(recitation.tokens)
            raise
        finally:
            recitation.leave()
        yield Finished(recitation.tokens)

    async def close(self) -> None:
        await self._pool.close()

    def _check_job(self, job: SpeechJob) -> None:
        if job.model not in self._settings.models:
            raise EngineFailed("The engine has no such model.")
        if not isinstance(job.voice, EngineVoice) or job.voice.id not in {each.id for each in self.voices()}:
            raise VoiceNotFound("The provider has no such voice.")
        spoken = [segment.spoken for segment in job.segments]
        if any(map(is_speech, spoken)) and not any(words_of(text).tokens for text in spoken):
            raise UnsupportedText("The text has no words to read.")
        left_s = self._limited_until.get(job.model, 0.0) - time.monotonic()
        if left_s > 0:
            raise EngineLimited("The provider allows no more requests just now.", retry_after_s=left_s)

    def _note_limits(self, key: SessionKey, limits: list[RateLimit]) -> None:
        """Remember when the limits end, so that no request is sent before."""
        waits = [
            each.reset_seconds or 0.0 for each in limits if each.remaining is not None and each.remaining <= 0
        ]
        self._limited_until[key.model] = time.monotonic() + min(max(waits, default=0.0), _LONGEST_WAIT_S)


class Recitation:
    """The sentences of one job. A few are requested before the current one has ended."""

    def __init__(
        self, job: SpeechJob, settings: RealtimeSettings, pool: SessionPool, context: Context
    ) -> None:
        self._job = job
        self._settings = settings
        self._pool = pool
        self._context = context
        self._session: Session | None = None
        self._sentences: list[Sentence] = []
        self._pending: deque[Sentence] = deque()
        texts = [(number, segment.spoken) for number, segment in enumerate(job.segments)]
        self._texts_left = deque((number, text) for number, text in texts if words_of(text).tokens)
        # The deadline is for the first audio of the job, so only its first sentence gets it.
        self._deadline: float | None = time.monotonic() + job.deadline_s
        self._terms = SentenceTerms(
            judge=TranscriptJudge(job.language, contractions=settings.contractions),
            check=settings.check,
            instructions=f"{settings.instructions} {job.instructions}".strip(),
            take_session=self._take_session,
            note_mismatch=self._note_mismatch
            if settings.on_mismatch == "flag" and settings.check == "fast"
            else None,
            silence_s=settings.silence_s,
        )

    @property
    def tokens(self) -> float:
        """The price of all responses, including unsent ones."""
        weights = self._settings.token_weights
        return sum(each.tokens(weights) for sentence in self._sentences for each in sentence.responses)

    async def next_sentence(self) -> Sentence | None:
        """Request some sentences ahead. Return the next one, or None at the end."""
        while self._texts_left and len(self._pending) <= self._settings.ahead:
            number, text = self._texts_left.popleft()
            sentence = Sentence(text, number, self._terms, self._deadline)
            self._deadline = None
            self._sentences.append(sentence)
            self._pending.append(sentence)
            await sentence.begin()
        return self._pending.popleft() if self._pending else None

    def leave(self) -> None:
        for sentence in self._sentences:
            sentence.leave()
        if self._session is not None:
            self._pool.give_back(self._session)
            self._session = None

    async def _take_session(self, within_s: float) -> Session:
        """Return the job's session, or a new one if it has ended or is too old."""
        if self._session is not None and self._session.takes_sentences:
            return self._session
        if self._session is not None:
            self._pool.give_back(self._session)
            self._session = None
        voice = self._job.voice
        assert isinstance(voice, EngineVoice)
        is_own = voice.id in self._settings.voices
        name = voice.id if is_own else self._settings.substitutes.get(voice.id, voice.id)
        key = SessionKey(self._job.model, name, self._job.speed)
        self._session = await self._pool.take(key, within_s)
        return self._session

    def _note_mismatch(self) -> None:
        self._context.log.warning("engine.text.reworded", job=self._job.id, model=self._job.model)


@asynccontextmanager
async def create(_name: str, settings: RealtimeSettings, context: Context) -> AsyncIterator[RealtimeEngine]:
    engine = RealtimeEngine(settings, context)
    try:
        yield engine
    finally:
        await engine.close()
