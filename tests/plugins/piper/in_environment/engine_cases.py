"""What is heard of tiny voices: the right sounds, speakers and times; and how a long piece is cancelled."""

import asyncio
import json
import threading
import time
from contextlib import aclosing
from typing import Any

import msgspec
import numpy as np
import pytest

from plugins.piper.engine import VoiceNetworks
from plugins.piper.plugin import PiperSettings
from plugins.piper.worker import reader
from speech_engine import Audio, EngineError, EngineVoice, Segment
from speech_engine.host import onnx_engine
from speech_engine.host.onnx_engine import core_share
from speech_engine.host.onnx_network import OnnxNetwork, StopSwitch
from speech_engine.host.voice_levels import STORED_LEVELS
from speech_engine.levels import TARGET_LUFS
from speech_engine.loudness import loudness_of
from tests.plugins.piper import tiny, vits
from tests.plugins.piper.in_environment.rig import job, opened, spoken

TEXT = "The boat is on the lake."
PATIENCE_S = 60.0


def sounds_of(text: str, voice: str) -> str:
    """What a listener should hear of a text, by piper's own reading."""
    sentences = reader.phonemizer.phonemize(voice, text)
    return "".join(f"^{''.join(each)}$" for each in sentences)


def test_the_sounds_are_those_that_piper_reads() -> None:
    async def run() -> None:
        async with opened({"amy": {}}) as engine:
            (sound,) = await spoken(engine, job(TEXT))
            assert tiny.heard(sound) == sounds_of(TEXT, "en-us")

    asyncio.run(run())


def test_each_voice_reads_in_its_language_and_at_its_pitch() -> None:
    async def run() -> None:
        brazilian = {"language": "pt_BR", "espeak_voice": "pt-br", "base_hz": 1_200.0, "rate_hz": 16_000}
        async with opened({"amy": {}, "bia": brazilian}) as engine:
            (sound,) = await spoken(engine, job("Bom dia.", voice="bia", language="pt"))
            # Resampled to the rate of the better voice.
            assert tiny.heard(sound, base_hz=1_200.0) == sounds_of("Bom dia.", "pt-br")

    asyncio.run(run())


def test_speakers_of_a_file_are_told_apart() -> None:
    async def run() -> None:
        async with opened({"crew": {"speakers": ("ana", "ben", "cem")}}) as engine:
            pitches = [
                tiny.pitch((await spoken(engine, job("a", voice=f"crew:{name}")))[0])
                for name in ("ana", "ben", "cem")
            ]
            steps = [round((pitch - pitches[0]) / tiny.SPEAKER_HZ) for pitch in pitches]
            assert steps == [0, 1, 2]

    asyncio.run(run())


def test_speed_changes_the_times_and_not_the_pitch() -> None:
    async def run() -> None:
        async with opened({"amy": {}}) as engine:
            (usual,) = await spoken(engine, job(TEXT))
            for speed in (0.5, 2.0):
                (sound,) = await spoken(engine, job(TEXT, speed=speed))
                assert abs(len(sound) * speed / len(usual) - 1) < 0.01
                assert tiny.heard(sound, speed=speed) == sounds_of(TEXT, "en-us")

    asyncio.run(run())


def test_pauses_follow_what_ends_and_the_speed() -> None:
    texts = (Segment("a.", 0, 2), Segment("a", 0, 1), Segment("a,", 0, 2), Segment("a.", 0, 2, (), True))

    async def run() -> None:
        async with opened({"amy": {}}) as engine:
            for speed in (1.0, 2.0):
                (alone,) = await spoken(engine, job("a", speed=speed))
                asked = msgspec.structs.replace(job(speed=speed), segments=(*texts, Segment("a", 0, 1)))
                sounds = await spoken(engine, asked)
                rests = [(len(each) - len(alone)) / 2 / tiny.RATE_HZ * 1000 for each in sounds]
                # Less the silence at the end of an answer, and the head of the next piece.
                pauses = [450 / speed, 80, 225 / speed, 850 / speed]
                added = [pause - 150 / speed - 40 for pause in pauses]
                marks = [tiny.TONE_SAMPLES * 2000 / speed / tiny.RATE_HZ * count for count in (1, 0, 2, 1)]
                found = [rest - mark for rest, mark in zip(rests, marks, strict=False)]
                assert found == pytest.approx(added, abs=1)

    asyncio.run(run())


def test_a_voice_without_a_table_is_measured_once_and_is_as_loud_as_all() -> None:
    async def run() -> None:
        async with opened({"amy": {}, "crew": {"speakers": ("ana", "ben")}}, are_measured=True) as engine:
            for name in ("amy", "crew:ben", "amy", "crew:ana"):
                (sound,) = await spoken(engine, job(TEXT, voice=name))
                samples = np.frombuffer(sound, "<i2") / 32768
                assert loudness_of(samples, tiny.RATE_HZ) == pytest.approx(TARGET_LUFS, abs=0.6)
            kept = engine._voices.find(EngineVoice("crew:ana"), "en").voice.folder / STORED_LEVELS
            assert json.loads(kept.read_text()).keys() == {"ana", "ben"}

    asyncio.run(run())


@pytest.mark.parametrize("fault", ["nan", "inf"])
def test_what_is_no_number_is_silent(fault: str) -> None:
    async def run() -> None:
        async with opened({"amy": {}}) as engine:
            make = engine.sounds

            def broken(*given: Any) -> Any:
                for sound in make(*given):
                    sound[1_000:2_000] = float(fault)
                    yield sound

            (whole,) = await spoken(engine, job(TEXT))
            engine.sounds = broken  # type: ignore[method-assign, assignment]
            (heard,) = await spoken(engine, job(TEXT))
            assert (len(heard), heard[4_000:]) == (len(whole), whole[4_000:])

    asyncio.run(run())

    asyncio.run(run())


def test_a_sentence_is_heard_before_the_next_one_is_made() -> None:
    async def run() -> None:
        async with opened({"amy": {}}) as engine:
            runs, seen = 0, []
            async with engine.lend(engine._voices.find(EngineVoice("amy"), "en"), 9.0) as networks:
                network = networks.first
                run_whole = network.run

                def counted(*given: Any) -> Any:
                    nonlocal runs
                    runs += 1
                    return run_whole(*given)

                network.run = counted  # type: ignore[method-assign, assignment]
                async with aclosing(engine.speak(job("one", "two", "three"))) as events:
                    async for event in events:
                        if isinstance(event, Audio):
                            seen.append((event.segment, runs))
            assert {runs for segment, runs in seen if segment == 0} == {1}
            assert {runs for segment, runs in seen if segment == 1} == {2}

    asyncio.run(run())


def test_a_cancelled_piece_ends_between_two_operators() -> None:
    """Most of the network's work is left undone: it reports that it was stopped, and the engine speaks on."""

    async def run() -> None:
        async with opened({"slow": {"work": 400}, "amy": {}}) as engine:
            begun = threading.Event()
            ends: list[object] = []
            async with engine.lend(engine._voices.find(EngineVoice("slow"), "en"), 9.0) as networks:
                network = networks.first
                run_whole = network.run

                def watched(*given: Any) -> Any:
                    begun.set()
                    try:
                        sound = run_whole(*given)
                    except EngineError as stopped:
                        ends.append(stopped)
                        raise
                    ends.append(sound)
                    return sound

                network.run = watched  # type: ignore[method-assign, assignment]
                long = job("one two three four five six " * 10, voice="slow", speed=0.5)
                speaking = asyncio.create_task(spoken(engine, long))
                await asyncio.to_thread(begun.wait)
                asked = time.perf_counter()
                speaking.cancel()
                await asyncio.wait((speaking,))
                print(f"cancelled within {(time.perf_counter() - asked) * 1000:.1f} ms")
            assert speaking.cancelled()
            assert [type(end).__name__ for end in ends] == ["EngineFailed"]
            async with asyncio.timeout(PATIENCE_S):
                for _ in range(engine.slots + 1):
                    await spoken(engine, job("a", voice="amy"))

    asyncio.run(run())


def test_five_voices_share_room_for_two_under_load() -> None:
    async def run() -> None:
        voices = {f"v{number}": {"base_hz": 800.0 + 100 * number, "weight": 300_000} for number in range(6)}
        async with opened(voices, voices_mb=2, slots=2) as engine:

            async def listener(number: int) -> None:
                for turn in range(6):
                    which = (number + turn * (number + 1)) % len(voices)
                    (sound,) = await spoken(engine, job("a lake", voice=f"v{which}"))
                    assert tiny.heard(sound, base_hz=800.0 + 100 * which) == sounds_of("a lake", "en-us")
                    assert engine.loaded_models.bytes <= 2 * 2**20

            async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
                for number in range(4):
                    group.create_task(listener(number))
            assert len(engine.loaded_models.names()) == 3

    asyncio.run(run())


def test_a_network_that_fails_or_makes_an_absurd_sound_fails_alone() -> None:
    async def run() -> None:
        async with opened({"amy": {}}, rhythm=0.0) as engine:
            with pytest.raises(EngineError, match="more than 300 seconds"):
                await spoken(engine, job(TEXT, speed=0.005))
            assert tiny.heard((await spoken(engine, job(TEXT)))[0]) == sounds_of(TEXT, "en-us")

    asyncio.run(run())


SENTENCE = "The boat is on the lake this morning, and nobody knows who left it there, or why."


@pytest.mark.parametrize(
    ("speaker", "ahead_s", "sizes"),
    [
        (None, 0.0, [24, 48, 96]),
        ("ana", -1.0, [24, 48, 96]),
        ("ben", 0.015, [82, 93]),
        (None, 9.0, [175]),
    ],
)
def test_windows_have_the_samples_of_the_whole(speaker: str | None, ahead_s: float, sizes: list[int]) -> None:
    async def run() -> None:
        async with opened({"amy": {"cut": ("ana", "ben") if speaker else ()}}) as engine:
            voice = engine._voices.find(EngineVoice(f"amy:{speaker}" if speaker else "amy"), "en")
            (piece,) = engine.read(SENTENCE, voice, 0)
            async with engine.lend(voice, 9.0) as networks:
                switch = StopSwitch()
                switch.renew(1, ahead_s)
                parts = list(engine.sounds(networks, piece, voice, 1.0, switch))
                whole = VoiceNetworks(OnnxNetwork(voice.voice.folder / "voice.onnx"))
                (sound,) = engine.sounds(whole, piece, voice, 1.0, StopSwitch())
            assert [len(part) // vits.HOP for part in parts[: len(sizes)]] == sizes
            assert np.abs(sound).max() > 0.1
            assert np.abs(np.concatenate(parts) - sound).max() < 1e-4

    asyncio.run(run())


@pytest.mark.parametrize(("first_s", "is_soon"), [(0.0, True), (0.5, False)])
def test_the_first_windows_are_heard_before_the_next_one_is_made(
    monkeypatch: pytest.MonkeyPatch, first_s: float, is_soon: bool
) -> None:
    """With less sound than `first_s` a listener would run dry. This sentence is shorter."""
    monkeypatch.setattr(onnx_engine, "_FIRST_S", first_s)

    async def run() -> None:
        async with opened({"amy": {"cut": ()}}) as engine:
            voice = engine._voices.find(EngineVoice("amy"), "en")
            async with engine.lend(voice, 9.0) as networks:
                assert networks.decoder is not None
                decode, runs, seen = networks.decoder.sound, 0, []

                def counted(*given: Any) -> Any:
                    nonlocal runs
                    runs += 1
                    return decode(*given)

                networks.decoder.sound = counted  # type: ignore[method-assign, assignment]
                async with aclosing(engine.speak(job(SENTENCE))) as events:
                    seen = [runs async for event in events if isinstance(event, Audio)]
            # A window of this voice is shorter than the fade at the end, which is held back.
            assert (seen[0] == 3 < seen[-1]) if is_soon else (seen[0] == seen[-1])

    asyncio.run(run())


def test_a_cut_voice_of_another_rate_is_resampled_whole() -> None:
    async def run() -> None:
        async with opened({"amy": {"rate_hz": 48_000}, "ben": {"cut": ()}}) as engine:
            voice = engine._voices.find(EngineVoice("ben"), "en")
            (piece,) = engine.read(SENTENCE, voice, 0)
            async with engine.lend(voice, 9.0) as networks:
                assert len(list(engine.sounds(networks, piece, voice, 1.0, StopSwitch()))) == 1

    asyncio.run(run())


@pytest.mark.parametrize(
    ("cores", "settings", "share"),
    [
        (1, {}, (4, 1, 1)),
        (2, {}, (8, 1, 2)),
        (2, {"slots": 1, "threads": 8}, (1, 2, 2)),
        (16, {"slots": 3, "threads": 2}, (3, 2, 6)),
        (16, {"slots": 1, "threads": 0}, (1, 4, 4)),
    ],
)
def test_threads_and_slots_follow_the_cores(
    monkeypatch: pytest.MonkeyPatch, cores: int, settings: dict[str, int], share: tuple[int, int, int]
) -> None:
    monkeypatch.setattr(onnx_engine, "usable_cores", lambda: cores)
    assert core_share(msgspec.convert(settings, PiperSettings)) == share


def test_the_run_whose_sound_is_needed_first_gets_the_next_core() -> None:
    async def run() -> None:
        cores, order = onnx_engine._Cores(2), []

        async def use(name: str, needed_at: float) -> None:
            async with cores.lend(2, needed_at) as count:
                order.append((name, count))

        async with asyncio.TaskGroup() as group, cores.lend(2, 0.0) as both:
            assert both == 2
            asked = [group.create_task(use(name, at)) for name, at in (("b", 2.0), ("c", 2.0), ("gone", 0.0))]
            asked.append(group.create_task(use("a", 1.0)))
            await asyncio.sleep(0)
            asked[2].cancel()
            await asyncio.sleep(0)
        assert order == [("a", 1), ("b", 1), ("c", 1)]
        async with cores.lend(2, 0.0) as again:
            assert again == 2

    asyncio.run(run())


def test_a_run_is_needed_when_the_sound_before_it_ends() -> None:
    async def run() -> None:
        async with opened({"amy": {}}) as engine:
            lend, make = engine._cores.lend, engine.sounds
            needed_s: list[float] = []
            ahead_s: list[float] = []

            def watched(wanted: int, needed_at: float) -> Any:
                needed_s.append(needed_at - time.monotonic())
                return lend(wanted, needed_at)

            def counted(*given: Any) -> Any:
                ahead_s.append(given[-1].ahead_s)
                yield from make(*given)

            engine._cores.lend, engine.sounds = watched, counted  # type: ignore[method-assign, assignment]
            sounds = await spoken(engine, job(*[TEXT] * 12))
            whole_s = sum(map(len, sounds)) / 2 / tiny.RATE_HZ
            assert needed_s[0] <= 0 >= ahead_s[0]
            # What is needed later waits no longer than what is needed in three seconds.
            assert 2.9 < max(needed_s) <= 3.0 < ahead_s[-1] < whole_s

    asyncio.run(run())


def test_a_core_that_was_lent_to_a_text_that_ended_goes_to_the_next() -> None:
    async def run() -> None:
        cores = onnx_engine._Cores(1)

        async def use() -> None:
            async with cores.lend(1, 0.0):
                pass

        async with cores.lend(1, 0.0):
            first, second = asyncio.create_task(use()), asyncio.create_task(use())
            await asyncio.sleep(0)
        first.cancel()  # it has the core, and has not run since
        await asyncio.wait((first, second))
        assert (first.cancelled(), second.cancelled()) == (True, False)

    asyncio.run(run())


def test_a_lone_text_has_all_threads_and_others_have_one_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_engine, "usable_cores", lambda: 2)

    async def run() -> None:
        async with opened({"amy": {}, "slow": {"work": 300}}, threads=2, slots=4) as engine:
            begun, given, now = threading.Event(), [], 0
            most = 0
            for name in ("amy", "slow"):
                async with engine.lend(engine._voices.find(EngineVoice(name), "en"), 9.0) as networks:
                    make = networks.first.sound

                    def watched(*values: Any, make: Any = make) -> Any:
                        nonlocal now, most
                        now += values[-1].threads
                        most = max(most, now)
                        given.append(values[-1].threads)
                        begun.set()
                        try:
                            return make(*values)
                        finally:
                            now -= values[-1].threads

                    networks.first.sound = watched  # type: ignore[method-assign, assignment]
            await spoken(engine, job("a"))
            assert given == [2]
            given.clear()
            begun.clear()
            long = asyncio.create_task(spoken(engine, job(TEXT, TEXT, voice="slow", speed=0.5)))
            await asyncio.to_thread(begun.wait)
            async with asyncio.TaskGroup() as group:
                for _ in range(3):
                    group.create_task(spoken(engine, job(TEXT)))
            await long
            assert given[0] == 2
            assert set(given[1:]) == {1}
            assert most == 2

    asyncio.run(run())
