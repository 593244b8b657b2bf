"""Mixes of recorded voices: the mean is exact, and a text sounds the same in any company and any order."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from plugins.xtts.conditioning import XttsVoice, mix
from plugins.xtts.model_format import SAMPLE_HZ
from plugins.xtts.plugin import XttsSettings
from plugins.xtts.worker import XttsEngine
from speech_engine import (
    Audio,
    Context,
    EngineVoice,
    Mix,
    Sample,
    Samples,
    UnusableSample,
    Voice,
    VoiceNotFound,
)
from speech_engine.host.log import HostLogger
from speech_engine.host.sample_cache import SampleCache
from speech_engine.plugin import worker_plugin
from tests.plugins.xtts.in_environment.batch_cases import MOST_LSB, difference, job
from tests.plugins.xtts.in_environment.rig import TEXTS, recording, rig

# isort: split
import torch
from safetensors.torch import save_file

SHORT = "short"


def test_a_mix_is_the_mean_of_its_voices_and_its_speaker_as_long_as_they_are() -> None:
    one, other, third = rig().voices[:3]
    mixed = mix([(one, 0.2), (other, 0.3), (third, 0.5)])
    assert torch.allclose(mixed.latents, one.latents * 0.2 + other.latents * 0.3 + third.latents * 0.5)
    mean = one.speaker * 0.2 + other.speaker * 0.3 + third.speaker * 0.5
    assert mean.norm() < 0.9999
    assert torch.allclose(mixed.speaker.norm(), torch.tensor(1.0))
    assert torch.allclose(mixed.speaker, mean / mean.norm())


def test_a_mix_of_a_voice_with_itself_or_with_nothing_of_another_is_that_voice() -> None:
    one, other = rig().voices[:2]
    # As if of several recordings: upstream's mean of those is shorter.
    short = one._replace(speaker=one.speaker * 0.75)
    for voice in (one, short):
        for parts in ([(voice, 0.5), (voice, 0.5)], [(voice, 1.0), (other, 0.0)], [(voice, 1.0)]):
            mixed = mix(parts)
            assert torch.equal(mixed.latents, voice.latents)
            assert torch.equal(mixed.speaker, voice.speaker)


def test_a_mix_of_opposite_speakers_has_numbers() -> None:
    one = rig().voices[0]
    mixed = mix([(one, 0.5), (XttsVoice(one.latents, -one.speaker), 0.5)])
    assert torch.isfinite(mixed.speaker).all()


@asynccontextmanager
async def engine(folder: Path | None = None) -> AsyncIterator[tuple[XttsEngine, SampleCache]]:
    sample_cache = SampleCache()
    settings = XttsSettings(model_path=str(folder or rig().folder), slots=4, rows=4, width=4)
    _, create = worker_plugin("plugins.xtts.worker")
    async with create("xtts", settings, Context(HostLogger("xtts"), samples=sample_cache)) as made:
        (info,) = made.models()
        for number in range(3):
            sample_cache.put("acc_1", info.id, f"s{number}", recording(number))
        sample_cache.put("acc_1", info.id, SHORT, bytes(SAMPLE_HZ // 4))
        yield made, sample_cache


def mixed(*weights: float, more: tuple[tuple[EngineVoice | Samples, float], ...] = ()) -> Mix:
    """A mix of the first voices with these weights, and more."""
    own = [(Samples((Sample(f"s{number}"),)), weight) for number, weight in enumerate(weights)]
    return Mix((*own, *more))


def are_alike(one: bytes, other: bytes) -> bool:
    """Tell whether two sounds are one. In which pieces they were made moves them a little."""
    return len(one) == len(other) and difference(one, other) <= MOST_LSB


async def said(made: XttsEngine, voice: Voice, seed: int = 1, text: str = TEXTS[0]) -> bytes:
    each = msgspec.structs.replace(job(seed, text), model=made.models()[0].id, voice=voice)
    async with aclosing(made.speak(each)) as events:
        return b"".join([event.pcm async for event in events if isinstance(event, Audio)])


def test_a_voice_that_came_with_the_model_speaks_alone_and_in_a_mix(tmp_path: Path) -> None:
    folder = tmp_path / rig().folder.name
    shutil.copytree(rig().folder, folder)
    parts = {}
    for name, voice in zip(("Ana Florence", "Luis Moray"), rig().voices, strict=False):
        parts[f"{name}.gpt_cond_latent"] = voice.latents.contiguous()
        parts[f"{name}.speaker_embedding"] = voice.speaker.contiguous()
    save_file(parts, folder / "speakers.safetensors")

    async def run() -> None:
        async with engine(folder) as (made, _):
            assert [(each.id, each.name) for each in made.voices()] == [
                ("ana-florence", "Ana Florence"),
                ("luis-moray", "Luis Moray"),
            ]
            ana = EngineVoice("ana-florence")
            recorded = await said(made, mixed(1.0))
            # The rig made it of the same recording.
            assert are_alike(await said(made, ana), recorded)
            both = Mix(((ana, 0.5), (EngineVoice("luis-moray"), 0.5)))
            assert are_alike(await said(made, both), await said(made, mixed(0.5, 0.5)))
            with pytest.raises(VoiceNotFound, match="does not know this voice"):
                await said(made, EngineVoice("ana"))

    asyncio.run(run())


def test_it_says_that_it_mixes_three() -> None:
    async def run() -> None:
        async with engine() as (made, _):
            (info,) = made.models()
            assert (info.mixes, info.most_mixed) == (True, 3)

    asyncio.run(run())


def test_a_mix_sounds_the_same_in_any_order_and_others_with_other_weights_and_seeds() -> None:
    async def run() -> None:
        async with engine() as (made, _):
            usual = mixed(0.2, 0.3, 0.5)
            sound = await said(made, usual)
            # What counts is their proportion.
            for same in (Mix(usual.parts[::-1]), mixed(2.0, 3.0, 5.0)):
                assert are_alike(await said(made, same), sound)
            for other in (mixed(0.6, 0.3, 0.1), mixed(0.4, 0.6), usual.parts[2][0]):
                assert not are_alike(await said(made, other), sound)
            assert not are_alike(await said(made, usual, seed=2), sound)
            twice = Mix(((usual.parts[0][0], 0.5), (usual.parts[0][0], 0.5)))
            assert are_alike(await said(made, twice), await said(made, usual.parts[0][0]))

    asyncio.run(run())


def test_a_mix_among_other_rows_sounds_as_it_does_alone() -> None:
    async def run() -> None:
        async with engine() as (made, _):
            voices: list[Voice] = [mixed(0.7, 0.3), mixed(1.0), mixed(0.1, 0.3, 0.6)]
            alone = [await said(made, voice, seed, TEXTS[seed]) for seed, voice in enumerate(voices)]
            together = await asyncio.gather(
                *(said(made, voice, seed, TEXTS[seed]) for seed, voice in enumerate(voices))
            )
            assert all(are_alike(*each) for each in zip(together, alone, strict=True))

    asyncio.run(run())


def test_a_mix_ends_with_any_of_its_recordings_and_leaves_nothing_of_them() -> None:
    async def run() -> None:
        async with engine() as (made, sample_cache):
            assert await said(made, mixed(0.5, 0.5))
            # A voice of each is kept. The mean was its job's.
            assert [[name.digest for name in key.names] for key in sample_cache._derived] == [["s0"], ["s1"]]
            sample_cache.drop(["s1"])
            assert [[name.digest for name in key.names] for key in sample_cache._derived] == [["s0"]]
            with pytest.raises(VoiceNotFound, match="deleted"):
                await said(made, mixed(0.5, 0.5))
            assert await said(made, mixed(0.5))

    asyncio.run(run())


def test_a_recording_that_is_dropped_before_its_turn_ends_the_job() -> None:
    async def run() -> None:
        async with engine() as (made, sample_cache):
            make = made._model.make_voice

            def drop(recordings: Sequence[bytes]) -> XttsVoice:
                sample_cache.drop(["s1"])
                return make(recordings)

            made._model.make_voice = drop  # type: ignore[method-assign]  # one moment of the shelf
            with pytest.raises(VoiceNotFound, match="deleted"):
                await said(made, mixed(0.5, 0.5))
            assert await said(made, mixed(1.0))

    asyncio.run(run())


@pytest.mark.parametrize(
    ("voice", "error", "says"),
    [
        (mixed(0.5, more=((Samples((Sample(SHORT),)), 0.5),)), UnusableSample, "shorter than"),
        (mixed(0.5, more=((EngineVoice("alba"), 0.5),)), VoiceNotFound, "XTTS has no voices of its own"),
        (mixed(0.5, more=((Samples((Sample("gone"),)), 0.5),)), VoiceNotFound, "deleted"),
        (mixed(0.2, 0.2, 0.2, more=mixed(0.4).parts), VoiceNotFound, "XTTS mixes at most 3"),
    ],
)
def test_a_mix_with_a_member_that_cannot_speak_is_refused(
    voice: Mix, error: type[Exception], says: str
) -> None:
    async def run() -> None:
        async with engine() as (made, _):
            with pytest.raises(error, match=says):
                await said(made, voice)
            assert await said(made, mixed(0.5, 0.5), text=TEXTS[2])

    asyncio.run(run())


def test_who_comes_with_one_voice_does_not_wait_for_all_of_a_mix() -> None:
    async def run() -> None:
        async with engine() as (made, _):
            make, order = made._model.make_voice, []

            def noted(recordings: Sequence[bytes]) -> XttsVoice:
                order.append(next(number for number in range(3) if recordings == [recording(number)]))
                return make(recordings)

            made._model.make_voice = noted  # type: ignore[method-assign]  # it only notes
            await asyncio.gather(said(made, mixed(0.5, 0.5)), said(made, Samples((Sample("s2"),))))
            assert order == [0, 2, 1]

    asyncio.run(run())
