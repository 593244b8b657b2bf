"""The contract of engines that only convert: one that keeps it, and those that break a rule each."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import pytest

from speech_engine import ANY_LANGUAGE, Audio, Event, Finished, Language, ModelInfo, SpeechJob, Started
from speech_engine.errors import EngineCannot, EngineFailed, UnusableSample, VoiceNotFound
from speech_engine.testing import ContractBroken, ConversionContract
from speech_engine.values import EngineVoice
from tests.tables import each_row

pytestmark = pytest.mark.slow

RATE_HZ = 24_000
MODEL = ModelInfo(
    id="repeats", languages=(Language(ANY_LANGUAGE),), sample_rate_hz=RATE_HZ, speaks=False, converts=True
)
RULES = [name.removeprefix("test_") for name in dir(ConversionContract) if name.startswith("test_")]


class Repeater:
    """Gives a recording back, if one of its two slots is free."""

    slots = 2
    model = MODEL
    units: float | None = None

    def __init__(self) -> None:
        self.taken = 0

    def models(self) -> tuple[ModelInfo, ...]:
        return (self.model,)

    def speak(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        raise EngineCannot("It converts.")

    def refuse(self, job: SpeechJob) -> None:
        if job.model != MODEL.id:
            raise EngineFailed("no such model")
        if job.voice != EngineVoice("ana"):
            raise VoiceNotFound("no such voice")

    def free(self) -> None:
        self.taken -= 1

    def heard(self, job: SpeechJob, pcm: bytes) -> bytes:
        return pcm if job.max_samples is None else pcm[: 2 * job.max_samples]

    async def convert(self, job: SpeechJob, pcm: AsyncIterator[bytes]) -> AsyncGenerator[Event, None]:
        self.refuse(job)
        if self.taken == self.slots:
            await asyncio.Event().wait()
        self.taken += 1
        try:
            yield Started(RATE_HZ)
            heard = self.heard(job, b"".join([piece async for piece in pcm]))
            if not heard:
                raise UnusableSample("The recording is empty.")
            for at in range(0, len(heard), 4_800):
                await asyncio.sleep(0)
                yield Audio(0, heard[at : at + 4_800])
            yield Finished(self.units)
        finally:
            self.free()


class KnowsAll(Repeater):
    def refuse(self, job: SpeechJob) -> None:
        pass


class Keeps(Repeater):
    def free(self) -> None:
        pass


class Talks(Repeater):
    def heard(self, job: SpeechJob, pcm: bytes) -> bytes:
        return pcm


class Slow(Repeater):
    def heard(self, job: SpeechJob, pcm: bytes) -> bytes:
        return 2 * super().heard(job, pcm)


class Bears(Repeater):
    def heard(self, job: SpeechJob, pcm: bytes) -> bytes:
        return super().heard(job, pcm) or bytes(2)


class Counts(Repeater):
    units = 5.0


class Silent(Repeater):
    model = ModelInfo(id="repeats", languages=(Language(ANY_LANGUAGE),), sample_rate_hz=RATE_HZ)


_WITHOUT_SOUND = {
    *("an_unknown_model_is_refused", "an_unknown_voice_is_voice_not_found"),
    *("a_recording_without_sound_is_refused", "its_models_are_well_formed_and_convert"),
}


def contract_of(kind: type[Repeater]) -> ConversionContract:
    class Contract(ConversionContract):
        voice = "ana"
        patience_s = 0.5

        @asynccontextmanager
        async def engine(self) -> AsyncIterator[Repeater]:
            yield kind()

    return Contract()


async def broken_rules(kind: type[Repeater]) -> set[str]:
    found = set()
    for rule in RULES:
        try:
            await getattr(contract_of(kind), f"test_{rule}")()
        except (ContractBroken, TimeoutError):
            found.add(rule)
    return found


@each_row(
    ("kind", "broken"),
    [
        (Repeater, set()),
        (KnowsAll, {"an_unknown_voice_is_voice_not_found", "an_unknown_model_is_refused"}),
        (
            Keeps,
            {
                "after_a_refusal_it_converts_on",
                "closing_early_frees_the_engine",
                "cancelling_frees_the_engine",
            },
        ),
        (Talks, {"it_stops_at_the_most_samples_allowed"}),
        (Bears, {"a_recording_without_sound_is_refused", "after_a_refusal_it_converts_on"}),
        (Counts, set(RULES) - _WITHOUT_SOUND),
        (Silent, {"its_models_are_well_formed_and_convert"}),
    ],
)
async def test_each_broken_promise_is_found(kind: type[Repeater], broken: set[str]) -> None:
    assert await broken_rules(kind) == broken


async def test_a_recording_that_becomes_longer_is_found_alone_and_beside_others() -> None:
    assert {"a_recording_is_repeated_and_is_as_long_as_it_was", "jobs_side_by_side_do_not_mix"} <= (
        await broken_rules(Slow)
    )


def test_a_suite_without_an_engine_says_so() -> None:
    with pytest.raises(NotImplementedError):
        ConversionContract().engine()
