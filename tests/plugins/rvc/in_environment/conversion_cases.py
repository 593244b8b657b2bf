"""Conversions by the whole engine: their length, their sound in company, and when it comes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from plugins.rvc import conversion
from plugins.rvc.conversion import SOURCE_HZ
from speech_engine import Audio, Started
from speech_engine.errors import UnsupportedOption, UnusableSample, VoiceNotFound
from speech_engine.host.windows import WindowSizes
from speech_engine.values import EngineVoice
from tests.plugins.rvc.in_environment.rig import (
    MOST_LSB,
    difference,
    floats,
    in_pieces,
    recording,
    running,
    spectrum,
)
from tests.plugins.rvc.tiny import LAYOUTS, TINY_HUBERT, layout, voice_file, write_model

# isort: split
import numpy as np
import torch

PITCHES = (-12.0, 0.0, 12.0)


def expected_samples(pcm: bytes, rate: int) -> int:
    return len(pcm) // 2 * rate // SOURCE_HZ


@pytest.mark.parametrize("which", range(len(LAYOUTS)))
def test_each_layout_sounds_at_each_pitch_and_as_long_as_its_recording(which: int) -> None:
    of = LAYOUTS[which]

    async def run() -> None:
        async with running() as rig:
            voice = rig.bring(voice_file(of, which))
            pcm = recording(3.0)
            heard = []
            for pitch in PITCHES if of.has_pitch else (0.0,):
                made, rate = await rig.convert(voice, pcm, pitch=pitch)
                assert (rate, len(made) // 2) == (of.rate_hz, expected_samples(pcm, of.rate_hz))
                assert 0.001 < floats(made).std() < 0.9
                heard.append(made)
            assert len(set(heard)) == len(heard)
            if not of.has_pitch:
                with pytest.raises(UnsupportedOption, match="trained without pitch"):
                    await rig.convert(voice, pcm, pitch=2.0)

    asyncio.run(run())


@pytest.mark.parametrize("seconds", [1 / SOURCE_HZ, 0.05, 0.3, 1.2, 1.7, 3.4, 5.3, 8.6, 60.0])
def test_a_recording_of_any_length_keeps_it_to_the_sample(seconds: float) -> None:
    async def run() -> None:
        async with running() as rig:
            pcm = recording(seconds)
            made, rate = await rig.convert(rig.bring(voice_file(layout())), pcm)
            assert len(made) // 2 == expected_samples(pcm, rate)

    asyncio.run(run())


def test_silence_is_converted_and_nothing_at_all_is_refused() -> None:
    async def run() -> None:
        async with running() as rig:
            voice = rig.bring(voice_file(layout()))
            made, rate = await rig.convert(voice, bytes(2 * SOURCE_HZ))
            assert len(made) // 2 == rate
            with pytest.raises(UnusableSample, match="empty"):
                await rig.convert(voice, b"")

    asyncio.run(run())


def test_a_seed_is_a_sound_however_the_recording_comes() -> None:
    async def run() -> None:
        async with running() as rig:
            voice, pcm = rig.bring(voice_file(layout())), recording(4.0)
            made, _ = await rig.convert(voice, pcm, seed=7)
            again, _ = await rig.hubert_input(rig.job(voice, pcm, seed=7), in_pieces(pcm, 777))
            other, _ = await rig.convert(voice, pcm, seed=8)
            assert made == again
            assert difference(made, other) > MOST_LSB
            drawn = {(await rig.convert(voice, pcm, seed=None))[0] for _ in range(2)}
            assert len(drawn) == 2

    asyncio.run(run())


def test_eight_at_once_with_three_voices_never_mix() -> None:
    """Each voice has a loudness and a rate by which it is known, and each sound is what it is alone."""
    voices = ((layout("v1"), 0.03), (layout("v2", rate_hz=48_000), 0.1), (layout("v2", has_pitch=False), 0.3))

    async def run() -> None:
        async with running(slots=8) as rig:
            brought = [
                rig.bring(voice_file(of, number, loudness=loudness))
                for number, (of, loudness) in enumerate(voices)
            ]
            asked = [(number % 3, recording(2.0 + 0.7 * number, number)) for number in range(8)]
            alone = [(await rig.convert(brought[voice], pcm))[0] for voice, pcm in asked]
            steps = rig.engine.batch.figures()["steps"]
            together = await asyncio.gather(*(rig.convert(brought[voice], pcm) for voice, pcm in asked))
            assert rig.engine.batch.figures()["steps"] - steps < steps
        levels: list[list[float]] = [[], [], []]
        for (voice, pcm), (made, rate), one in zip(asked, together, alone, strict=True):
            assert rate == voices[voice][0].rate_hz
            assert len(made) // 2 == expected_samples(pcm, rate)
            assert difference(made, one) <= MOST_LSB
            levels[voice].append(float(floats(made).std()))
        print("levels", [[round(each, 3) for each in of] for of in levels])
        assert max(levels[0]) < min(levels[1])
        assert max(levels[1]) < min(levels[2])

    asyncio.run(run())


def test_windows_sound_as_the_whole_would() -> None:
    """The networks have random numbers, so even another seed is a measure of what is far away."""
    pcm = recording(20.0)

    async def converted(seed: int = 1) -> tuple[bytes, int]:
        async with running() as rig:
            return await rig.convert(rig.bring(voice_file(layout())), pcm, seed=seed)

    cut, rate = asyncio.run(converted())
    whole_sizes = WindowSizes((), 20 * SOURCE_HZ, SOURCE_HZ // 2, SOURCE_HZ // 50)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conversion.VoiceConversion, "sizes", whole_sizes)
        whole, _ = asyncio.run(converted())
        other, _ = asyncio.run(converted(2))
    assert len(cut) == len(whole)
    one, two, three = map(floats, (cut, whole, other))
    alike, unlike = (float(np.corrcoef(each, two)[0, 1]) for each in (one, three))
    apart, far = (float(np.abs(spectrum(each) - spectrum(two)).mean()) for each in (one, three))
    places = [round(at * rate) for at in (1, 3, 8, 13, 18)]
    jumps = float(np.mean([abs(one[at] - one[at - 1]) for at in places]))
    usual = float(np.abs(np.diff(one)).mean())
    print(
        f"correlation {alike:.3f}, of another seed {unlike:.3f}; log-spectra {apart:.2f} and {far:.2f} apart"
    )
    print(f"a step at a seam is {jumps / usual:.2f} of a usual one")
    assert alike > 0.9
    assert apart < far / 2
    assert jumps < 2 * usual


def test_the_first_sound_comes_after_the_first_window() -> None:
    async def run() -> None:
        async with running() as rig:
            voice = rig.bring(voice_file(layout()))
            pcm = recording(10.0)
            more = asyncio.Event()
            given = 0

            async def slow() -> AsyncIterator[bytes]:
                nonlocal given
                for at in range(0, len(pcm), SOURCE_HZ // 5):
                    if at >= 2 * SOURCE_HZ * 1.6:
                        await more.wait()
                    given += len(pcm[at : at + SOURCE_HZ // 5])
                    yield pcm[at : at + SOURCE_HZ // 5]

            async with aclosing(rig.engine.convert(rig.job(voice, pcm), slow())) as events:
                assert isinstance(await anext(events), Started)
                first = await asyncio.wait_for(anext(events), 20.0)
                assert isinstance(first, Audio)
                assert given / 2 / SOURCE_HZ < 1.7
                more.set()
                rest = sum([len(event.pcm) async for event in events if isinstance(event, Audio)])
            assert (len(first.pcm) + rest) // 2 == expected_samples(pcm, 40_000)

    asyncio.run(run())


def test_a_client_that_leaves_frees_its_rows_and_its_voice_and_the_others_go_on() -> None:
    async def run() -> None:
        async with running() as rig:
            voice, pcm = rig.bring(voice_file(layout())), recording(12.0)
            alone, _ = await rig.convert(voice, pcm)
            staying = asyncio.create_task(rig.convert(voice, pcm))
            async with aclosing(rig.engine.convert(rig.job(voice, pcm), in_pieces(pcm))) as events:
                while not isinstance(await anext(events), Audio):
                    pass
            assert difference((await staying)[0], alone) <= MOST_LSB
            figures = rig.engine.batch.figures()
            assert sum(each for name, each in figures.items() if name.startswith("rows_")) == 0
            assert "0 jobs, 0 of" in repr(rig.engine.batch)

    asyncio.run(run())


def test_a_recording_that_breaks_off_ends_its_conversion_with_that_fault() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield recording(2.0)
        raise UnusableSample("it broke off")

    async def run() -> None:
        async with running() as rig:
            voice = rig.bring(voice_file(layout()))
            with pytest.raises(UnusableSample, match="broke off"):
                await rig.hubert_input(rig.job(voice, b""), broken())
            assert "0 jobs, 0 of" in repr(rig.engine.batch)

    asyncio.run(run())


def test_a_job_gets_no_more_than_it_may_have_at_the_stated_rate() -> None:
    async def run() -> None:
        async with running() as rig:
            made, rate = await rig.convert(
                rig.bring(voice_file(layout())), recording(4.0), max_samples=48_000
            )
            assert len(made) // 2 == rate

    asyncio.run(run())


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        ({"index_rate": 1.5}, "'index_rate': it must be a number from 0 to 1"),
        ({"protect": "much"}, "'protect': it must be a number from 0 to 0.5"),
        ({"protect": True}, "protect"),
        ({"rms_mix_rate": 2}, "'rms_mix_rate': it must be a number from 0 to 1"),
        ({"f0_method": "harvest"}, "'f0_method': it must be one of pm"),
    ],
)
def test_wishes_that_make_no_sense_are_refused_by_name(extra: dict[str, object], says: str) -> None:
    async def run() -> None:
        async with running() as rig:
            with pytest.raises(UnsupportedOption, match=says):
                await rig.convert(rig.bring(voice_file(layout())), recording(1.0), extra=extra)

    asyncio.run(run())


def test_a_voice_of_another_kind_or_that_nobody_brought_is_unknown() -> None:
    async def run() -> None:
        async with running() as rig:
            voice, pcm = rig.bring(voice_file(layout())), recording(1.0)
            for job in (
                msgspec.structs.replace(rig.job(voice, pcm), voice=EngineVoice("x")),
                rig.job(voice, pcm, tenant="acc_2"),
            ):
                with pytest.raises(VoiceNotFound):
                    await rig.hubert_input(job, in_pieces(pcm))

    asyncio.run(run())


def test_index_and_protection_change_the_sound_and_no_share_of_the_index_is_none() -> None:
    async def run() -> None:
        async with running() as rig:
            pcm = recording(2.0)
            with_index = rig.bring(voice_file(layout(), vectors=500))
            without, _ = await rig.convert(rig.bring(voice_file(layout())), pcm)
            none, _ = await rig.convert(with_index, pcm, extra={"index_rate": 0.0})
            assert none == without
            drawn, _ = await rig.convert(with_index, pcm, extra={"index_rate": 1.0, "protect": 0.5})
            protected, _ = await rig.convert(with_index, pcm, extra={"index_rate": 1.0, "protect": 0.0})
            assert len({without, drawn, protected}) == 3

    asyncio.run(run())


def test_without_the_projection_a_voice_of_version_1_alone_is_refused(tmp_path: Path) -> None:
    folder = write_model(tmp_path, TINY_HUBERT._replace(projected=0))

    async def run() -> None:
        async with running(model_path=str(folder)) as rig:
            with pytest.raises(UnsupportedOption, match="of version 1") as refused:
                await rig.convert(rig.bring(voice_file(layout("v1"))), recording(1.0))
            assert refused.value.detail == "voice"
            made, _ = await rig.convert(rig.bring(voice_file(layout("v2"))), recording(1.0))
            assert floats(made).any()

    asyncio.run(run())


def test_the_loudness_of_the_recording_can_be_taken_from_moment_to_moment() -> None:
    async def run() -> None:
        async with running() as rig:
            said = np.frombuffer(recording(6.0, pauses=False), "<i2")
            # It is loud, quiet at 3 seconds, where two windows meet, and loud again.
            quiet = 10 ** (np.cos(2 * np.pi * np.arange(len(said)) / SOURCE_HZ / 6) / 2 - 0.5)
            pcm = (said * quiet).astype("<i2").tobytes()
            voice = rig.bring(voice_file(layout()))
            own, rate_hz = await rig.convert(voice, pcm)
            heard = levels(floats(pcm), SOURCE_HZ)
            made = {}
            for rate in (1.0, 0.5, 0.0):
                mixed, _ = await rig.convert(voice, pcm, extra={"rms_mix_rate": rate})
                assert len(mixed) == len(own)
                made[rate] = levels(floats(mixed), rate_hz)
                assert (mixed == own) is (rate == 1.0)
            assert np.abs(np.log(made[0.0] / heard)).max() < 0.2
            between = np.sqrt(made[0.0] * made[1.0])
            assert np.abs(np.log(made[0.5] / between)).max() < 0.2
            assert np.abs(np.log(made[1.0] / heard)).max() > 1.0

    asyncio.run(run())


def levels(sound: Any, rate_hz: int) -> Any:
    """How loud a second is, each half of a second, but for those at the ends."""
    half = rate_hz // 2
    starts = range(half, len(sound) - 3 * half, half)
    return np.array([np.sqrt(np.mean(sound[at : at + 2 * half] ** 2)) for at in starts])


def test_nothing_of_the_global_generator_is_drawn() -> None:
    async def run() -> None:
        async with running() as rig:
            voice, pcm = rig.bring(voice_file(layout())), recording(1.0)
            await rig.convert(voice, pcm)
            before = torch.random.get_rng_state()
            await rig.convert(voice, pcm)
            assert torch.equal(before, torch.random.get_rng_state())

    asyncio.run(run())
