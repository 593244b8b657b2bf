"""The contract suite: an author derives a class from `EngineContract` and pytest runs it on their engine."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import AbstractAsyncContextManager
from typing import ClassVar

from msgspec.structs import replace

from speech_engine.cloning import CloneRequest, CloneSample
from speech_engine.engine import (
    Engine,
    EngineClones,
    EngineConverts,
    EngineDeletesVoices,
    EngineFindsClones,
    EngineVoices,
)
from speech_engine.errors import EngineError, UnsupportedText, UnusableSample, VoiceNotFound
from speech_engine.events import Audio, Encoded, Event, Finished, Words
from speech_engine.host.sample_cache import SampleCache
from speech_engine.models import ModelInfo
from speech_engine.testing.jobs import cancel_oneself, collect, job, speaking
from speech_engine.testing.recordings import (
    CLONE_S,
    collect_conversion,
    input_of,
    put_missing,
    put_recording,
    wav_of,
)
from speech_engine.testing.rules import (
    UNKNOWN_VOICE,
    ContractBroken,
    check_answer,
    check_conversion,
    check_models,
    check_voices,
    refusal,
    require,
    samples,
)
from speech_engine.values import EngineVoice, Mix, Sample, Samples, SpeechJob, Voice


class EngineContract:
    """The promises of every engine, with one test for each.

    The suite needs pytest-asyncio with `asyncio_mode = "auto"`.

        class TestBeep(EngineContract):
            voice = "beep"

            def engine(self) -> AbstractAsyncContextManager[Engine]:
                return create("beep", BeepSettings(), Context(log=structlog.get_logger()))

    `texts` are two sentences or more in `language`, and together at least a second of speech. If
    `model` is None, the engine's first model speaks. `patience_s` ends a test whose engine hangs; it
    does not measure speed. An engine that speaks from recordings is created with
    `Context(..., samples=self.recordings)`. `voice` may be `Samples`: the suite makes the recordings. An
    engine whose model is not local clones only if it `tries_clones`, since a clone may cost money."""

    voice: ClassVar[str | Voice]
    model: ClassVar[str | None] = None
    language: ClassVar[str] = "en"
    texts: ClassVar[tuple[str, ...]] = ("One two three four five.", "Six seven eight nine.", "Ten.")
    patience_s: ClassVar[float] = 30.0
    tries_clones: ClassVar[bool] = False
    recordings: ClassVar[SampleCache] = SampleCache()

    def engine(self) -> AbstractAsyncContextManager[Engine]:
        """Create an engine for one test. The end of the block must free all that the engine took."""
        raise NotImplementedError("an engine's contract tests say how to create the engine")

    async def test_its_models_are_well_formed_and_stay_the_same(self) -> None:
        async with self.engine() as engine:
            check_models(engine.models())
            require(engine.models() == engine.models(), "models() answers the same while nothing is reloaded")
            require(engine.slots >= 1, "an engine has at least one slot")

    async def test_its_voices_are_well_formed(self) -> None:
        async with self.engine() as engine:
            if isinstance(engine, EngineVoices):
                check_voices(engine.voices())

    async def test_it_speaks_every_segment_in_order_and_says_when_it_is_done(self) -> None:
        async with self.engine() as engine:
            await self._speak_whole(engine, self.job_for(engine))

    async def test_one_segment_is_enough(self) -> None:
        async with self.engine() as engine:
            await self._speak_whole(engine, self.job_for(engine, texts=self.texts[:1]))

    async def test_it_gives_word_times_if_it_says_so(self) -> None:
        async with self.engine() as engine:
            events = await self._speak_whole(engine, self.job_for(engine))
            if self._model(engine).times_words:
                timed = {event.segment for event in events if isinstance(event, Words) and event.words}
                require(bool(timed), "a model that times words sends Words")

    async def test_it_encodes_only_in_formats_that_were_asked_for(self) -> None:
        async with self.engine() as engine:
            formats = self._model(engine).formats
            events = await self._speak_whole(engine, self.job_for(engine, formats=formats))
            sounds = [event for event in events if isinstance(event, Encoded | Audio)]
            require(bool(sounds), "an answer has audio")

    async def test_it_stops_at_the_most_samples_allowed(self) -> None:
        async with self.engine() as engine:
            whole = samples(await self._speak_whole(engine, self.job_for(engine)))
            limit = whole // 2
            events = await self._speak_whole(engine, self.job_for(engine, max_samples=limit))
            spare = self._model(engine).sample_rate_hz // 10
            require(
                samples(events) <= limit + spare and samples(events) < whole,
                f"an engine stops within 100 ms of max_samples: {samples(events)} came, {limit} were allowed",
            )

    async def test_an_unknown_voice_is_voice_not_found(self) -> None:
        async with self.engine() as engine:
            error = await self._refusal(engine, self.job_for(engine, voice=EngineVoice("no such voice")))
            require(isinstance(error, VoiceNotFound), f"an unknown voice raises VoiceNotFound, not {error!r}")

    async def test_a_text_of_which_nothing_is_heard_is_refused(self) -> None:
        async with self.engine() as engine:
            try:
                async with asyncio.timeout(self.patience_s):
                    events = await collect(engine, self.job_for(engine, texts=("\U0001f600",)))
            except UnsupportedText:
                return
            has_sound = any(
                isinstance(each, Encoded) or any(each.pcm)
                for each in events
                if isinstance(each, Audio | Encoded)
            )
            require(has_sound, "a text of which an engine speaks nothing raises UnsupportedText")

    async def test_an_unknown_model_is_refused(self) -> None:
        async with self.engine() as engine:
            unknown = self.job_for(engine, model="no such model")
            await self._refusal(engine, unknown, "an unknown model raises EngineFailed")

    async def test_after_a_refusal_it_speaks_on(self) -> None:
        async with self.engine() as engine:
            for _ in range(engine.slots + 1):
                await self._refusal(engine, self.job_for(engine, voice=EngineVoice("no such voice")))
            await self._speak_whole(engine, self.job_for(engine))

    async def test_closing_early_frees_the_engine(self) -> None:
        async with self.engine() as engine:
            for _ in range(engine.slots + 1):
                async with asyncio.timeout(self.patience_s):
                    async with speaking(engine, self.job_for(engine)) as events:
                        async for event in events:
                            if isinstance(event, Audio):
                                break
            await self._speak_whole(engine, self.job_for(engine))

    async def test_cancelling_frees_the_engine(self) -> None:
        async with self.engine() as engine:
            for _ in range(engine.slots + 1):
                reader = asyncio.create_task(cancel_oneself(engine, self.job_for(engine)))
                await asyncio.wait([reader], timeout=self.patience_s)
                require(reader.done(), "a cancelled job ends")
                # If the job raised something else, `result()` raises it here.
                require(reader.cancelled() or reader.result(), "an engine lets a cancellation pass")
            await self._speak_whole(engine, self.job_for(engine))

    async def test_jobs_side_by_side_do_not_mix(self) -> None:
        async with self.engine() as engine:
            # The jobs are equally long and cut differently, so that they run at the same time.
            jobs = [self.job_for(engine), self.job_for(engine, texts=(" ".join(self.texts),))][: engine.slots]
            async with asyncio.TaskGroup() as group:
                for each in jobs:
                    group.create_task(self._speak_whole(engine, each))

    async def test_each_step_may_run_in_another_task(self) -> None:
        async with self.engine() as engine, speaking(engine, self.job_for(engine)) as events:
            async with asyncio.timeout(self.patience_s):
                while not isinstance(await asyncio.create_task(anext(events)), Finished):
                    pass

    async def test_a_cloned_voice_speaks_until_it_is_deleted(self) -> None:
        async with self.engine() as engine:
            model = self._model(engine)
            may_clone = model.clones and (model.is_local or self.tries_clones)
            if not may_clone or not isinstance(engine, EngineClones):
                return
            spoken = await self._speak_whole(engine, self.job_for(engine))
            sample = CloneSample(wav_of(spoken, least_s=CLONE_S))
            async with asyncio.timeout(self.patience_s):
                name = f"voxgate-contract-{secrets.token_hex(8)}"
                request = CloneRequest(name=name, samples=(sample,), language=self.language)
                voice = await engine.clone(request)
                require(bool(voice), "clone() returns the id of the voice")
                await self._check_found(engine, name, voice)
                await self._speak_whole(engine, self.job_for(engine, voice=EngineVoice(voice)))
                if isinstance(engine, EngineDeletesVoices):
                    await engine.delete_voice(voice)
                    await self._expect_not_found(engine, voice)
                    await self._check_found(engine, name, None)

    async def test_a_recording_speaks_until_it_is_dropped(self) -> None:
        async with self.engine() as engine:
            model = self._model(engine)
            if not model.speaks_samples:
                return
            first = self.job_for(engine)
            spoken = await self._speak_whole(engine, first)
            sample = put_recording(self.recordings, model, first.tenant, spoken)
            job = self.job_for(engine, voice=Samples((sample,)))
            await self._speak_whole(engine, job)
            self.recordings.drop([sample.digest])
            error = await self._refusal(engine, job, "a recording that was dropped raises VoiceNotFound")
            require(
                isinstance(error, VoiceNotFound),
                f"an engine keeps nothing of a recording: without it comes VoiceNotFound, not {error!r}",
            )

    async def test_it_mixes_voices_if_it_says_so(self) -> None:
        async with self.engine() as engine:
            if self._model(engine).mixes and isinstance(voice := self.job_for(engine).voice, EngineVoice):
                mix = Mix(((voice, 0.7), (voice, 0.3)))
                await self._speak_whole(engine, self.job_for(engine, voice=mix))

    async def test_a_mix_of_recordings_speaks_until_one_is_dropped(self) -> None:
        async with self.engine() as engine:
            model = self._model(engine)
            if not (model.mixes and model.speaks_samples):
                return
            samples = [Sample(f"a recording of {name}", text="A recording.") for name in ("one", "another")]
            mix = Mix(tuple((Samples((sample,)), 0.5) for sample in samples))
            job = self.job_for(engine, voice=mix)
            await self._speak_whole(engine, job)
            self.recordings.drop([samples[1].digest])
            error = await self._refusal(engine, job, "a recording that was dropped raises VoiceNotFound")
            require(
                isinstance(error, VoiceNotFound),
                f"an engine keeps no mix: without one of its recordings comes VoiceNotFound, not {error!r}",
            )

    async def test_a_recording_is_repeated_in_another_voice(self) -> None:
        async with self.engine() as engine:
            model = self._model(engine)
            if not model.converts or not isinstance(engine, EngineConverts):
                return
            spoken = await self._speak_whole(engine, self.job_for(engine))
            job = replace(self.job_for(engine), segments=())
            async with asyncio.timeout(self.patience_s):
                check_conversion(model, await collect_conversion(engine, job, input_of(spoken)))
                try:
                    await collect_conversion(engine, job, b"")
                except UnusableSample:
                    return
            raise ContractBroken("a recording without sound raises UnusableSample")

    async def test_no_repr_shows_what_is_spoken(self) -> None:
        async with self.engine() as engine:
            events = await self._speak_whole(engine, self.job_for(engine))
            unknown = await self._refusal(engine, self.job_for(engine, voice=EngineVoice("no such voice")))
            for shown in (repr(engine), repr(unknown), *map(repr, events)):
                require(not any(text in shown for text in self.texts), "no repr or error quotes the text")

    def job_for(
        self,
        engine: Engine,
        *,
        texts: tuple[str, ...] | None = None,
        model: str | None = None,
        voice: Voice | None = None,
        formats: tuple[str, ...] = (),
        max_samples: int | None = None,
    ) -> SpeechJob:
        """Return the job of a test. The class gives each value that the arguments leave out."""
        own, spoken = self._model(engine), texts or self.texts
        made = job(*spoken, model=model or own.id, voice=voice or self.voice, language=self.language)
        put_missing(self.recordings, own, made)
        return replace(made, formats=formats, max_samples=max_samples)

    def _model(self, engine: Engine) -> ModelInfo:
        models = engine.models()
        check_models(models)
        return next((each for each in models if each.id == self.model), models[0])

    async def _speak_whole(self, engine: Engine, job: SpeechJob) -> tuple[Event, ...]:
        async with asyncio.timeout(self.patience_s):
            events = await collect(engine, job)
        check_answer(job, self._model(engine), events)
        return events

    async def _refusal(self, engine: Engine, job: SpeechJob, rule: str = UNKNOWN_VOICE) -> EngineError:
        async with asyncio.timeout(self.patience_s):
            return await refusal(collect(engine, job), rule)

    async def _check_found(self, engine: Engine, name: str, voice: str | None) -> None:
        """Check that an engine that finds clones finds this one, or knows that it is gone."""
        if not isinstance(engine, EngineFindsClones):
            return
        found = await engine.find_clone(name)
        require(found == voice, "find_clone() returns the id that clone() gave, and None once it is deleted")
        listed = await engine.list_clones(name)
        expected = [] if voice is None else [(voice, name)]
        clones = [(each.id, each.name) for each in listed.clones]
        require(clones == expected, "list_clones() has the clones whose names begin with the prefix")

    async def _expect_not_found(self, engine: EngineDeletesVoices, voice: str) -> None:
        try:
            await engine.delete_voice(voice)
        except VoiceNotFound:
            return
        raise ContractBroken("a voice that was deleted raises VoiceNotFound")
