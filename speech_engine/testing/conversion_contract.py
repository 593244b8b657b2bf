"""The contract suite for engines that only convert: an author derives a class from `ConversionContract`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import ClassVar

from msgspec.structs import replace

from speech_engine.engine import Engine, EngineConverts
from speech_engine.errors import UnusableSample, VoiceNotFound
from speech_engine.events import Event, Started
from speech_engine.testing.input_contract import InputContract
from speech_engine.testing.recordings import INPUT_RATE_HZ, PcmRecording, hum
from speech_engine.testing.rules import ContractBroken, check_conversion, check_models, require, samples
from speech_engine.values import EngineVoice, SpeechJob, Voice

_HUM_S = 3.0
_TENANT = "acc_contract"


class ConversionContract(InputContract[SpeechJob]):
    """The promises of every engine that only converts recordings, with one test for each.

    It needs what `EngineContract` needs. `voice` is one that the engine converts into; a `Trained` one is in
    the cache that the engine was created with, for the tenant `tenant`.
    """

    voice: ClassVar[str | Voice]
    tenant: ClassVar[str] = _TENANT

    async def test_its_models_are_well_formed_and_convert(self) -> None:
        async with self.engine() as engine:
            check_models(engine.models())
            require(self._model(engine).converts, "a model that is asked to convert says that it does")
            require(engine.slots >= 1, "an engine has at least one slot")

    async def test_a_recording_is_repeated_and_is_as_long_as_it_was(self) -> None:
        async with self.engine() as engine:
            for seconds in (0.3, _HUM_S):
                events = await self._answer(engine, self.job_for(engine), hum(INPUT_RATE_HZ, seconds))
                made_s = samples(events) / _rate_of(events)
                require(abs(made_s - seconds) < 0.1, f"{seconds} s of recording became {made_s:.2f} s")

    async def test_a_recording_without_sound_is_refused(self) -> None:
        async with self.engine() as engine:
            error = await self._refusal(engine, self.job_for(engine), b"")
            is_reported = isinstance(error, UnusableSample)
            require(is_reported, f"an empty recording raises UnusableSample, not {error!r}")

    async def test_an_unknown_voice_is_voice_not_found(self) -> None:
        async with self.engine() as engine:
            job = replace(self.job_for(engine), voice=EngineVoice("no such voice"))
            error = await self._refusal(engine, job)
            require(isinstance(error, VoiceNotFound), f"an unknown voice raises VoiceNotFound, not {error!r}")

    async def test_it_stops_at_the_most_samples_allowed(self) -> None:
        async with self.engine() as engine:
            most = self._model(engine).sample_rate_hz
            events = await self._answer(engine, replace(self.job_for(engine), max_samples=most))
            # A voice may have a rate of its own.
            made_s = samples(events) / _rate_of(events)
            require(
                made_s <= 1.1, f"an engine stops within 100 ms of max_samples: {made_s:.2f} s came of 1 s"
            )

    async def test_after_a_refusal_it_converts_on(self) -> None:
        async with self.engine() as engine:
            for _ in range(engine.slots + 1):
                await self._refusal(engine, self.job_for(engine), b"")
            await self._answer(engine, self.job_for(engine))

    async def test_jobs_side_by_side_do_not_mix(self) -> None:
        async with self.engine() as engine:
            lengths = [1.0 + number / 2 for number in range(min(engine.slots, 4))]
            made = await asyncio.gather(
                *(self._answer(engine, self.job_for(engine), hum(INPUT_RATE_HZ, each)) for each in lengths)
            )
            for seconds, events in zip(lengths, made, strict=True):
                made_s = samples(events) / _rate_of(events)
                require(abs(made_s - seconds) < 0.1, f"{seconds} s beside others became {made_s:.2f} s")

    def job_for(self, engine: Engine) -> SpeechJob:
        voice = EngineVoice(self.voice) if isinstance(self.voice, str) else self.voice
        return SpeechJob(
            id="job_contract",
            tenant=self.tenant,
            model=self._model(engine).id,
            voice=voice,
            segments=(),
            language="*",
            estimated_s=_HUM_S,
        )

    async def _input(self) -> bytes:
        return hum(INPUT_RATE_HZ, _HUM_S)

    def _events(self, engine: Engine, job: SpeechJob, pcm: bytes) -> AsyncGenerator[Event, None]:
        if not isinstance(engine, EngineConverts):
            raise ContractBroken("an engine whose model converts has the method convert")
        return engine.convert(job, PcmRecording(pcm))

    def _check(self, engine: Engine, pcm: bytes, events: Sequence[Event]) -> None:
        if pcm:  # without sound there is a refusal
            check_conversion(self._model(engine), events)


def _rate_of(events: Sequence[Event]) -> int:
    rate_hz = next((event.sample_rate_hz for event in events if isinstance(event, Started)), 0)
    require(rate_hz > 0, "an answer begins with Started and its rate")
    return rate_hz
