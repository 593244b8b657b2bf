"""Conversions by the whole engine: their length, their windows, their voices, and their first sound."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import numpy as np
import pytest

from plugins.openvoice.conversion import SOURCE_S, ToneConversion
from plugins.openvoice.layers import FFT
from plugins.openvoice.model_format import HOP, RATE_HZ
from plugins.openvoice.networks import Stretch
from plugins.openvoice.sound import SOURCE_HZ, noise_of, spectrum_of, speech_in
from plugins.openvoice.sound import floats as floats_of
from speech_engine import Audio, Started
from speech_engine.errors import UnsupportedOption, UnusableSample, VoiceNotFound
from speech_engine.values import EngineVoice, Mix, Sample, Samples
from tests.plugins.openvoice.in_environment.rig import (
    floats,
    in_pieces,
    networks_of,
    pcm_of,
    recording,
    resampled,
    running,
    speech,
)

MOST_LSB = 2


def expected_samples(pcm: bytes) -> int:
    return -(-len(pcm) // 2 * RATE_HZ // SOURCE_HZ)


@pytest.mark.parametrize("seconds", [1 / SOURCE_HZ, 0.05, 0.2, 0.3, 0.7, 1.2, 2.1, 3.4, 8.6])
def test_a_recording_of_any_length_keeps_it_to_the_sample(seconds: float) -> None:
    async def run() -> None:
        async with running() as rig:
            pcm = recording(seconds)
            made = await rig.convert(rig.voice(), pcm)
            assert abs(len(made) // 2 - len(pcm) / 2 * RATE_HZ / SOURCE_HZ) < 1
            if seconds > 0.1:
                assert 0.01 < floats(made).std() < 0.9

    asyncio.run(run())


def test_windows_sound_as_the_whole_of_upstream_would() -> None:
    """The whole recording goes through the networks at once, as upstream does it."""

    async def converted(pcm: bytes) -> tuple[Any, Any]:
        async with running() as rig:
            voice = rig.voice()
            made = await rig.convert(voice, pcm)
            networks = rig.engine._model.networks
            return floats(made), networks.make_voice([recording(6.0, 5, RATE_HZ)]).numbers

    pcm = recording(9.3)
    made, target = asyncio.run(converted(pcm))
    sound = floats_of(resampled(pcm))
    networks = networks_of()
    whole = np.pad(sound, (0, -len(sound) % HOP), mode="reflect")
    spectrum = spectrum_of(whole)
    frames = spectrum.shape[1]
    noise = noise_of(1, networks.width, range(frames)) * np.float32(0.3)
    source = networks.embed(sound[: round(SOURCE_S * RATE_HZ)])
    told = networks.convert([Stretch(spectrum, noise, source, target, 0, frames)])[0][: len(made)]
    apart = float(np.abs(made - told).max())
    print(f"windows and the whole are {apart:.1e} apart, of {np.abs(told).max():.2f}")
    assert apart <= 1e-4


def test_a_seed_is_a_sound_however_the_recording_is_cut() -> None:
    async def run() -> None:
        async with running() as rig:
            voice, pcm = rig.voice(), recording(4.3)
            made = await rig.convert(voice, pcm, seed=7)
            for size in (99, 161, 320, 777, 1_024, 5_000, 44_101, 50_001, 100_000, 10**6):
                assert await rig.convert(voice, pcm, size, seed=7) == made, size
            assert await rig.convert(voice, pcm, seed=8) != made
            drawn = {await rig.convert(voice, pcm, seed=None) for _ in range(2)}
            assert len(drawn) == 2

    asyncio.run(run())


def test_clients_with_different_voices_at_once_hear_what_each_hears_alone() -> None:
    async def run() -> None:
        async with running(width=12) as rig:
            voices = [rig.voice(number) for number in range(3)]
            asked = [(voices[number % 3], recording(2.0 + 0.7 * number, number)) for number in range(6)]
            alone = [await rig.convert(*each) for each in asked]
            steps = rig.engine.batch.figures()["steps"]
            together = await asyncio.gather(*(rig.convert(*each) for each in asked))
            assert rig.engine.batch.figures()["steps"] - steps < steps
        for one, other in zip(alone, together, strict=True):
            left, right = (np.frombuffer(each, "<i2").astype(int) for each in (one, other))
            assert np.abs(left - right).max() <= MOST_LSB
        assert len(set(alone)) == len(alone)

    asyncio.run(run())


def test_the_first_sound_waits_for_the_first_two_seconds_and_no_more() -> None:
    async def run() -> None:
        async with running() as rig:
            voice, pcm, given, more = rig.voice(), recording(10.0), 0, asyncio.Event()

            async def slow() -> AsyncIterator[bytes]:
                nonlocal given
                async for data in in_pieces(pcm, SOURCE_HZ // 5):
                    if given / 2 / SOURCE_HZ >= SOURCE_S + 0.1:
                        await more.wait()
                    given += len(data)
                    yield data

            async with aclosing(rig.engine.convert(rig.job(voice, pcm), slow())) as events:
                assert isinstance(await anext(events), Started)
                first = await asyncio.wait_for(anext(events), 20.0)
                assert isinstance(first, Audio)
                more.set()
                rest = sum([len(event.pcm) async for event in events if isinstance(event, Audio)])
            assert abs((len(first.pcm) + rest) // 2 - 10 * RATE_HZ) <= 1

    asyncio.run(run())


def test_a_client_that_leaves_frees_its_rows_and_the_others_go_on() -> None:
    async def run() -> None:
        async with running() as rig:
            voice, pcm = rig.voice(), recording(6.0)
            alone = await rig.convert(voice, pcm)
            staying = asyncio.create_task(rig.convert(voice, pcm))
            async with aclosing(rig.engine.convert(rig.job(voice, pcm), in_pieces(pcm, 999))) as events:
                while not isinstance(await anext(events), Audio):
                    pass
            assert await staying == alone
            assert "0 jobs, 0 of" in repr(rig.engine.batch)

    asyncio.run(run())


def test_a_recording_that_breaks_off_ends_its_conversion_with_that_fault() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield recording(3.0)
        raise UnusableSample("it broke off")

    async def run() -> None:
        async with running() as rig:
            with pytest.raises(UnusableSample, match="broke off"):
                await rig.hear(rig.job(rig.voice(), b""), broken())
            assert "0 jobs, 0 of" in repr(rig.engine.batch)

    asyncio.run(run())


def test_silence_music_and_noise_are_converted_and_nothing_is_refused() -> None:
    moments = np.arange(2 * SOURCE_HZ) / SOURCE_HZ
    sounds = {
        "silence": np.zeros(2 * SOURCE_HZ),
        "music": sum(np.sin(2 * np.pi * hz * moments) for hz in (220.0, 277.2, 329.6)) * 0.2,
        "noise": np.random.default_rng(0).normal(0, 0.2, 30 * SOURCE_HZ).clip(-1, 1),
    }

    async def run() -> None:
        async with running() as rig:
            for name, sound in sounds.items():
                pcm = pcm_of(sound)
                assert abs(len(await rig.convert(rig.voice(), pcm)) // 2 - expected_samples(pcm)) <= 1, name
            with pytest.raises(UnusableSample, match="empty"):
                await rig.convert(rig.voice(), b"")

    asyncio.run(run())


def _hushed(seconds: float) -> bytes:
    """So much speech between two long silences."""
    silence = np.zeros(5 * RATE_HZ, np.float32)
    return pcm_of(np.concatenate((silence, speech(seconds, 0, RATE_HZ), silence)))


@pytest.mark.parametrize(
    ("pcm", "says"),
    [
        (recording(0.2, 0, RATE_HZ), "have 0.2 seconds of speech; 3 are needed"),
        (bytes(10 * 2 * RATE_HZ), "The recordings are silent"),
        (_hushed(2.0), "seconds of speech; 3 are needed"),
    ],
)
def test_a_voice_needs_three_seconds_of_speech(pcm: bytes, says: str) -> None:
    async def run() -> None:
        async with running() as rig:
            with pytest.raises(UnusableSample, match=says) as refused:
                await rig.convert(rig.bring(pcm), recording(1.0))
            assert "Give a recording in which one person speaks for ten seconds" in str(refused.value)

    asyncio.run(run())


def test_a_voice_is_the_mean_of_its_stretches_without_silences() -> None:
    networks = networks_of()
    said = recording(24.0, 3, RATE_HZ)
    voice = networks.make_voice([said]).numbers
    stretches = np.array_split(floats_of(said)[: len(said) // 2 // 441 * 441], 3)
    mean = np.mean([networks.embed(each) for each in stretches], axis=0)
    assert np.abs(voice - mean).max() < 1e-5
    # Beside long silences, and with one in its middle, as much is heard, but for what belongs to a word.
    silence, half = np.zeros(4 * RATE_HZ, np.float32), len(said) // 4 * 2
    parted = np.concatenate((silence, floats_of(said[:half]), silence, floats_of(said[half:]), silence))
    assert 0.0 <= len(speech_in(parted)) / RATE_HZ - 24.0 <= 0.9
    noise = np.random.default_rng(0).normal(0, 0.2, 30 * RATE_HZ).clip(-1, 1)
    assert np.isfinite(networks.make_voice([pcm_of(noise)]).numbers).all()


def test_a_voice_is_derived_once_and_forgotten_with_its_recording() -> None:
    async def run() -> None:
        async with running() as rig:
            made: list[int] = []
            networks = rig.engine._model.networks
            embed = networks.embed

            def counted(sound: Any) -> Any:
                made.append(len(sound))
                return embed(sound)

            networks.embed = counted  # type: ignore[method-assign]
            voice, pcm = rig.voice(), recording(1.0)
            for _ in range(2):
                await rig.convert(voice, pcm)
            # The voice, and what speaks in each recording.
            assert len(made) == 3
            await asyncio.gather(*rig.sample_cache.drop([voice.samples[0].digest]))
            with pytest.raises(VoiceNotFound):
                await rig.convert(voice, pcm)

    asyncio.run(run())


def test_voices_of_another_kind_are_unknown() -> None:
    async def run() -> None:
        async with running() as rig:
            voice, pcm = rig.voice(), recording(1.0)
            strange = (
                EngineVoice("x"),
                Samples(()),
                Samples((Sample("nobody brought it"),)),
                Mix(((voice, 0.5), (rig.voice(1), 0.5))),
            )
            for each in strange:
                with pytest.raises(VoiceNotFound):
                    await rig.convert(each, pcm)  # type: ignore[arg-type]
            with pytest.raises(VoiceNotFound):
                await rig.convert(voice, pcm, tenant="acc_2")

    asyncio.run(run())


def test_tau_is_the_share_of_noise_and_has_bounds() -> None:
    async def run() -> None:
        async with running() as rig:
            voice, pcm = rig.voice(), recording(1.0)
            usual = await rig.convert(voice, pcm)
            assert await rig.convert(voice, pcm, extra={"tau": 0.3}) == usual
            none = await rig.convert(voice, pcm, extra={"tau": 0})
            assert none != usual
            # Without noise, a seed changes nothing.
            assert await rig.convert(voice, pcm, extra={"tau": 0}, seed=2) == none
            for wrong in (1.5, -0.1, "much", True, None):
                with pytest.raises(
                    UnsupportedOption, match="'tau': it must be a number from 0 to 1"
                ) as refused:
                    await rig.convert(voice, pcm, extra={"tau": wrong})
                assert refused.value.detail == "tau"

    asyncio.run(run())


def test_a_job_gets_no_more_than_it_may_have() -> None:
    async def run() -> None:
        async with running() as rig:
            made = await rig.convert(rig.voice(), recording(4.0), max_samples=RATE_HZ)
            assert len(made) // 2 == RATE_HZ

    asyncio.run(run())


def test_the_new_rate_keeps_what_is_heard() -> None:
    """Tones keep their place and loudness; what the new rate cannot have is gone."""

    def tone_of(hz: float) -> Any:
        moments = np.arange(SOURCE_HZ) / SOURCE_HZ
        pcm = pcm_of(np.sin(2 * np.pi * hz * moments) * 0.5)
        return floats(resampled(pcm))

    moments = np.arange(RATE_HZ) / RATE_HZ
    for hz in (100.0, 1_000.0, 4_000.0, 8_000.0):
        told = np.sin(2 * np.pi * hz * moments) * 0.5
        assert np.abs(tone_of(hz) - told)[200:-200].max() < 2e-3, hz
    assert np.abs(tone_of(11_700.0)[200:-200]).max() < 0.02
    assert ToneConversion.rate_hz == RATE_HZ
    assert FFT == 4 * HOP
