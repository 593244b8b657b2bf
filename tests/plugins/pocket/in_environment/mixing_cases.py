"""Mixes of recorded voices: the mean is exact, and a text sounds the same in any company and any order."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch

from plugins.pocket import worker
from plugins.pocket.sizes import RATE_HZ
from plugins.pocket.voices import PocketVoice, make_voice, mix
from speech_engine import EngineVoice, Mix, Sample, Samples, SpeechJob, UnusableSample, Voice, VoiceNotFound
from speech_engine.host.sample_cache import SampleCache
from tests.plugins.pocket.in_environment.engines import engine, imported, publish, said
from tests.plugins.pocket.in_environment.listeners import MOST_LSB, difference, job
from tests.plugins.pocket.in_environment.rig import SIZES, TEXTS, recording, rig

SHORT = "short"
TURN_OFF = 1e-4
"""How far a key may be from where it would be, for it was turned twice."""


@pytest.fixture
def _tiny_ones_are_published(monkeypatch: pytest.MonkeyPatch) -> None:
    publish(monkeypatch)


def prompt(positions: int, dim: int) -> Any:
    return torch.randn((1, positions, dim), generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("sizes", SIZES, ids=lambda sizes: sizes.name)
def test_a_mix_of_voices_as_long_is_their_mean(sizes: Any) -> None:
    states = [voice.state for voice in rig(sizes).voices]
    length = min(state.shape[3] for state in states)
    one, other, third = (PocketVoice(state[:, :, :, :length]) for state in states)
    mixed = mix([(one, 0.2), (other, 0.3), (third, 0.5)])
    assert torch.allclose(mixed.state, one.state * 0.2 + other.state * 0.3 + third.state * 0.5, atol=1e-6)
    for parts in ([(one, 0.5), (one, 0.5)], [(one, 1.0), (other, 0.0)]):
        assert torch.equal(mix(parts).state, one.state)


def test_a_mix_is_as_long_as_its_shortest_voice_and_keeps_the_first_position_and_the_end() -> None:
    tiny = rig()
    short = tiny.voices[0]
    long = make_voice(tiny.networks, [recording(1, 4.0)])
    assert long.state.shape[3] > short.state.shape[3] + 20
    before = long.state.clone(), short.state.clone()
    mixed = mix([(long, 1.0), (short, 0.0)])
    assert mixed.state.shape == short.state.shape == mix([(short, 0.0), (long, 1.0)]).state.shape
    assert mixed.nbytes == short.nbytes
    assert torch.equal(mixed.state[:, :, :, 0], long.state[:, :, :, 0])
    # What begins every voice of this model is the same in each.
    assert torch.allclose(short.state[:, :, :, 0], long.state[:, :, :, 0], atol=1e-6)
    kept = short.state.shape[3] - 1
    assert torch.equal(mixed.state[:, 1, :, 1:], long.state[:, 1, :, -kept:])
    assert torch.equal(long.state, before[0])
    assert torch.equal(short.state, before[1])


@pytest.mark.parametrize("sizes", SIZES, ids=lambda sizes: sizes.name)
def test_the_end_of_a_longer_voice_stands_where_it_would_had_it_begun_later(sizes: Any) -> None:
    decoder, whole = rig(sizes).decoder(), prompt(90, sizes.dim)
    long = PocketVoice(decoder.remember(whole).clone())
    late = PocketVoice(decoder.remember(whole[:, -30:]).clone())
    mixed = mix([(long, 1.0), (late, 0.0)])
    # In the first layer a position knows nothing of those before it, but its own place.
    assert torch.allclose(mixed.state[0, :, :, 1:], late.state[0, :, :, 1:], atol=TURN_OFF)
    as_it_was = long.state[0, 0, :, -29:]
    assert not torch.allclose(as_it_was, late.state[0, 0, :, 1:], atol=100 * TURN_OFF)


def mixed(*weights: float, more: tuple[tuple[EngineVoice | Samples, float], ...] = ()) -> Mix:
    """A mix of the first voices with these weights, and more."""
    own = [(Samples((Sample(f"s{number}"),)), weight) for number, weight in enumerate(weights)]
    return Mix((*own, *more))


def asked(voice: Voice, seed: int = 1, text: str = TEXTS[0]) -> SpeechJob:
    return msgspec.structs.replace(job(seed, text), voice=voice)


def are_alike(one: bytes, other: bytes) -> bool:
    """Tell whether two sounds are one. In which pieces they were made moves them a little."""
    return len(one) == len(other) and difference(one, other) <= MOST_LSB


@pytest.mark.usefixtures("_tiny_ones_are_published")
def test_a_mix_sounds_the_same_in_any_order_and_others_with_other_weights_and_seeds(tmp_path: Path) -> None:
    async def run() -> None:
        async with engine([imported(tmp_path, "mine", 0, "en")]) as made:
            (info,) = made.models()
            assert (info.mixes, info.most_mixed) == (True, 3)
            usual = mixed(0.2, 0.3, 0.5)
            sound = await said(made, asked(usual))
            # What counts is their proportion.
            for same in (Mix(usual.parts[::-1]), mixed(2.0, 3.0, 5.0)):
                assert are_alike(await said(made, asked(same)), sound)
            for other in (mixed(0.6, 0.3, 0.1), mixed(0.4, 0.6), usual.parts[2][0]):
                assert not are_alike(await said(made, asked(other)), sound)
            assert not are_alike(await said(made, asked(usual, seed=2)), sound)
            twice = Mix(((usual.parts[0][0], 0.5), (usual.parts[0][0], 0.5)))
            alone = await said(made, asked(usual.parts[0][0]))
            assert are_alike(await said(made, asked(twice)), alone)

    asyncio.run(run())


@pytest.mark.usefixtures("_tiny_ones_are_published")
def test_a_mix_among_other_rows_sounds_as_it_does_alone(tmp_path: Path) -> None:
    async def run() -> None:
        async with engine([imported(tmp_path, "mine", 0, "en")]) as made:
            voices = [mixed(0.7, 0.3), mixed(1.0), mixed(0.1, 0.3, 0.6)]
            jobs = [asked(voice, seed, TEXTS[seed]) for seed, voice in enumerate(voices)]
            alone = [await said(made, each) for each in jobs]
            together = await asyncio.gather(*(said(made, each) for each in jobs))
            assert all(are_alike(*each) for each in zip(together, alone, strict=True))

    asyncio.run(run())


@pytest.mark.usefixtures("_tiny_ones_are_published")
def test_a_mix_ends_with_any_of_its_recordings_and_leaves_nothing_of_them(tmp_path: Path) -> None:
    async def run() -> None:
        sample_cache = SampleCache()
        async with engine([imported(tmp_path, "mine", 0, "en")], sample_cache=sample_cache) as made:
            assert await said(made, asked(mixed(0.5, 0.5)))
            # A voice of each is kept. The mean was its job's.
            assert [[name.digest for name in key.names] for key in sample_cache._derived] == [["s0"], ["s1"]]
            sample_cache.drop(["s1"])
            assert [[name.digest for name in key.names] for key in sample_cache._derived] == [["s0"]]
            with pytest.raises(VoiceNotFound, match="deleted"):
                await said(made, asked(mixed(0.5, 0.5)))
            assert await said(made, asked(mixed(0.5)))

    asyncio.run(run())


@pytest.mark.usefixtures("_tiny_ones_are_published")
def test_the_voices_of_mixes_are_made_one_at_a_time_and_none_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_of: list[bytes] = []
    under_way = 0

    def noted(networks: Any, recordings: Sequence[bytes], *more: Any) -> PocketVoice:
        nonlocal under_way
        under_way += 1
        assert under_way == 1
        made_of.extend(recordings)
        voice = make_voice(networks, recordings, *more)
        under_way -= 1
        return voice

    async def run() -> None:
        async with engine([imported(tmp_path, "mine", 0, "en")]) as made:
            monkeypatch.setattr(worker, "make_voice", noted)
            await asyncio.gather(
                *(said(made, asked(mixed(*weights))) for weights in ((0.5, 0.5), (0.2, 0.3, 0.5)))
            )
            assert sorted(made_of) == sorted(recording(number) for number in range(3))

    asyncio.run(run())


@pytest.mark.usefixtures("_tiny_ones_are_published")
def test_who_leaves_while_the_voices_of_a_mix_are_made_has_no_more_of_them_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        loop, begun, made_of = asyncio.get_running_loop(), asyncio.Event(), []

        def noted(networks: Any, recordings: Sequence[bytes], *more: Any) -> PocketVoice:
            made_of.append(recordings)
            loop.call_soon_threadsafe(begun.set)
            return make_voice(networks, recordings, *more)

        async with engine([imported(tmp_path, "mine", 0, "en")]) as made:
            monkeypatch.setattr(worker, "make_voice", noted)
            leaving = asyncio.create_task(said(made, asked(mixed(0.2, 0.3, 0.5))))
            async with asyncio.timeout(30):
                await begun.wait()
            leaving.cancel()
            await asyncio.wait([leaving])
            assert await said(made, asked(mixed(1.0)))
            assert made_of == [[recording(0)]]

    asyncio.run(run())


@pytest.mark.usefixtures("_tiny_ones_are_published")
@pytest.mark.parametrize(
    ("voice", "error", "says"),
    [
        (mixed(0.5, more=((Samples((Sample(SHORT),)), 0.5),)), UnusableSample, "shorter than"),
        (mixed(0.5, more=((EngineVoice("alba"), 0.5),)), VoiceNotFound, "has no voices of its own"),
        (mixed(0.5, more=((Samples((Sample("gone"),)), 0.5),)), VoiceNotFound, "deleted"),
        (mixed(0.2, 0.2, 0.2, more=mixed(0.4).parts), VoiceNotFound, "Pocket TTS mixes at most 3"),
    ],
)
def test_a_mix_with_a_member_that_cannot_speak_is_refused(
    tmp_path: Path, voice: Mix, error: type[Exception], says: str
) -> None:
    async def run() -> None:
        sample_cache = SampleCache()
        sample_cache.put("acc_1", "mine", SHORT, bytes(RATE_HZ // 2))
        async with engine([imported(tmp_path, "mine", 0, "en")], sample_cache=sample_cache) as made:
            with pytest.raises(error, match=says):
                await said(made, asked(voice))
            assert await said(made, asked(mixed(0.5, 0.5), text=TEXTS[2]))

    asyncio.run(run())
