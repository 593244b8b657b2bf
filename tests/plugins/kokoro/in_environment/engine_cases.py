"""What is heard of a tiny model: the right sounds, voices, styles and times; and how a piece is cancelled."""

import asyncio
import itertools
import json
import tempfile
import threading
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

from bench.sentences import LANGUAGES, sentences
from plugins.kokoro.engine import KokoroEngine, without_halts
from plugins.kokoro.model_format import READINGS
from plugins.kokoro.plugin import KokoroSettings
from plugins.kokoro.reading import (
    FIRST_SOUNDS,
    LEAST_SOUNDS,
    MOST_SOUNDS,
    own_alphabet,
)
from plugins.kokoro.worker import reader, voxgate_register
from speech_engine import Audio, Context, EngineVoice, Mix, Segment, SpeechJob, UnsupportedLanguage
from speech_engine.host import listeners, onnx_engine
from speech_engine.host.log import HostLogger
from speech_engine.host.voice_levels import STORED_LEVELS
from speech_engine.levels import TARGET_LUFS
from speech_engine.text.sounds import Piece
from speech_engine.values import Voice
from tests.plugins.kokoro import tiny
from tests.plugins.piper.tiny import BASE_HZ, RATE_HZ, TONE_SAMPLES

TEXT = "The boat is on the lake."
LONG = (
    "The morning train was late again, so we stood on the platform and talked about the weather of the last "
    "weeks while the sun came up behind the old mill on the other bank of the river."
)
WRITTEN = "\u00f0\u0259 b\u02c8Ot \u026az \u0254n\u00f0\u0259 l\u02c8Ak."


@asynccontextmanager
async def opened(settings: dict[str, Any] | None = None, **model: Any) -> AsyncIterator[KokoroEngine]:
    with tempfile.TemporaryDirectory(prefix="kokoro-") as folder:
        path = str(tiny.stored(Path(folder) / "tiny", **model))
        # They need no gain.
        (Path(path) / STORED_LEVELS).write_text(json.dumps(dict.fromkeys(tiny.VOICES, TARGET_LUFS)))
        made = msgspec.convert({"model_path": path, **(settings or {})}, KokoroSettings)
        (plugin,) = voxgate_register()
        assert callable(plugin.create)
        async with plugin.create("kokoro", made, Context(HostLogger("kokoro"))) as engine:
            yield engine


def job(*texts: str, voice: str | Voice = "af_heart", language: str = "en", speed: float = 1.0) -> SpeechJob:
    return SpeechJob(
        id="job",
        tenant="acc_1",
        model="standard",
        voice=EngineVoice(voice) if isinstance(voice, str) else voice,
        segments=tuple(Segment(text, 0, len(text)) for text in texts),
        language=language,
        speed=speed,
    )


async def spoken(engine: KokoroEngine, asked: SpeechJob) -> list[bytes]:
    """Return the sound of each segment."""
    sounds = [b"" for _ in asked.segments]
    async with aclosing(engine.speak(asked)) as events:
        async for event in events:
            if isinstance(event, Audio):
                sounds[event.segment] += event.pcm
    return sounds


LETTERS = "AIOQSTWYabcdefhijklmnopqrstuvwxyzæçðøŋœɐɑɒɔɕɖəɚɛɜɟɡɣɤɥɨɪɯɰɲɳɴɸɹɻɽɾʁʂʃʈʊʋʌʎʒʔʝʣʤʥʦʧʨʰʲˈˌːβθχᵊᵝᵻꭧ"
"""Of the alphabet of Kokoro-82M."""


def sounds_of(text: str, letter: str) -> str:
    """What a listener should hear of a text."""
    reading = READINGS[letter]
    written = "".join("".join(sentence) for sentence in reader.read(text, reading.espeak))
    return "".join(sound for sound in own_alphabet(written, reading) if sound in tiny.SYMBOLS)


def test_no_sound_of_daily_speech_is_missing_in_kokoros_alphabet() -> None:
    letters = {reading.tag.removesuffix("-FR"): letter for letter, reading in READINGS.items()}
    for tag in LANGUAGES:
        reading = READINGS[letters[tag]]
        for sentence in sentences(tag):
            for sounds in reader.read(sentence, reading.espeak):
                written = own_alphabet("".join(sounds), reading)
                assert {sound for sound in written if sound.isalpha()} <= set(LETTERS), (tag, sentence)


def test_the_sounds_are_those_of_the_models_alphabet() -> None:
    async def run() -> None:
        async with opened() as engine:
            (sound,) = await spoken(engine, job(TEXT))
            assert tiny.heard(sound) == sounds_of(TEXT, "a") == WRITTEN

    asyncio.run(run())


@pytest.mark.parametrize(
    ("voice", "letter", "language", "text"),
    [
        ("am_echo", "a", "en-US", TEXT),
        ("bf_emma", "b", "en-GB", TEXT),
        ("pf_dora", "p", "pt-BR", "Bom dia."),
    ],
)
def test_each_voice_reads_in_its_language_with_its_style(
    voice: str, letter: str, language: str, text: str
) -> None:
    async def run() -> None:
        async with opened(tokens="input_ids") as engine:
            (sound,) = await spoken(engine, job(text, voice=voice, language=language))
            assert tiny.heard(sound, base_hz=BASE_HZ + tiny.VOICES[voice]) == sounds_of(text, letter)

    asyncio.run(run())


def test_a_mix_has_the_weighted_mean_of_its_voices_styles_and_reads_as_the_heaviest() -> None:
    mix = Mix(((EngineVoice("af_heart"), 3.0), (EngineVoice("bf_emma"), 5.0)))

    async def run() -> None:
        async with opened() as engine:
            (sound,) = await spoken(engine, job(TEXT, voice=mix))
            assert tiny.heard(sound, base_hz=BASE_HZ + 5 / 8 * tiny.VOICES["bf_emma"]) == sounds_of(TEXT, "b")

    asyncio.run(run())


def test_the_style_is_that_of_the_pieces_length() -> None:
    def by_length(_higher: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        made = np.zeros((510, 1, 256), np.float32)
        made[:, 0, 0] = 10 * np.arange(1, 511)
        return made

    async def run() -> None:
        async with opened(styles=by_length) as engine:
            (sound,) = await spoken(engine, job("a"))
            assert round(tiny.pitch(sound) / 10) == len(sounds_of("a", "a"))

    asyncio.run(run())


def test_speed_changes_the_times_and_not_the_pitch() -> None:
    async def run() -> None:
        async with opened() as engine:
            for speed in (0.5, 2.0):
                (sound,) = await spoken(engine, job(TEXT, speed=speed))
                assert tiny.heard(sound, speed=speed) == sounds_of(TEXT, "a")

    asyncio.run(run())


@pytest.mark.parametrize(
    ("voice", "language", "reason"),
    [
        ("jf_alpha", "en-US", "Japanese, which this engine cannot read; af_heart"),
        ("zf_xiaobei", "zh", "a voice for Mandarin"),
    ],
)
def test_texts_of_languages_without_a_reader_are_refused(voice: str, language: str, reason: str) -> None:
    async def run() -> None:
        async with opened(voices={"af_heart": 0.0, "jf_alpha": 0.0, "zf_xiaobei": 0.0}) as engine:
            with pytest.raises(UnsupportedLanguage, match=reason):
                await spoken(engine, job("a", voice=voice, language=language))

    asyncio.run(run())


def test_a_listener_hears_a_short_piece_first_and_a_job_gets_the_whole() -> None:
    async def run() -> None:
        async with opened() as engine:
            given: list[Piece] = []
            make = engine.sounds

            def watched(network: Any, piece: Piece, *more: Any) -> Any:
                given.append(piece)
                return make(network, piece, *more)

            engine.sounds = watched  # type: ignore[method-assign, assignment]
            (live, _) = await spoken(engine, job(LONG, "And again."))
            sizes = [piece.sounds for piece in given]
            assert sizes[0] <= FIRST_SOUNDS < max(sizes) <= MOST_SOUNDS
            assert min(sizes[:-1]) >= LEAST_SOUNDS
            assert {"phrase", "clause"} >= {piece.ends for piece in given[:-2]}
            assert [piece.ends for piece in given[-2:]] == ["sentence", "sentence"]
            rests_s = {"phrase": 0.04, "clause": 0.185, "sentence": 0.41}
            lengths_s = [
                (piece.sounds + 2) * TONE_SAMPLES / RATE_HZ + rests_s[piece.ends] for piece in given[:-1]
            ]
            assert len(live) / 48_000 == pytest.approx(sum(lengths_s), abs=0.01)
            for urgency in ("idle", "whole"):
                given.clear()
                await spoken(engine, msgspec.structs.replace(job(LONG), urgency=urgency))
                assert min(piece.sounds for piece in given) > FIRST_SOUNDS

    asyncio.run(run())


def test_a_silence_inside_a_sentence_is_as_long_as_at_a_comma() -> None:
    tone, second = np.ones(100, np.float32), np.zeros(24_000, np.float32)
    short = second[:4_800]
    for speed in (1.0, 2.0):
        whole = np.concatenate((second, tone, second, tone, short, tone, second))
        sound = whole[without_halts(whole, speed)]
        loud = np.flatnonzero(sound)
        gaps = np.diff(loud)
        assert [*gaps[gaps > 1]] == [6_000 / speed, min(4_801, 6_000 / speed)]
        assert (loud[0], len(sound) - loud[-1] - 1) == (24_000, 24_000), "the ends are cut elsewhere"
    assert without_halts(second, 1.0).all()


def test_pieces_are_short_once_the_listener_has_nothing_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    async def sizes() -> list[int]:
        async with opened({"pause_ms": 0}) as engine:
            given: list[int] = []
            make = engine.sounds

            def watched(network: Any, piece: Piece, *more: Any) -> Any:
                given.append(piece.sounds)
                return make(network, piece, *more)

            engine.sounds = watched  # type: ignore[method-assign, assignment]
            await spoken(engine, job(LONG, LONG))
        return given

    assert max(asyncio.run(sizes())[1:]) > 40
    moments = itertools.count(0.0, 100.0)
    clock = SimpleNamespace(monotonic=lambda: next(moments))
    monkeypatch.setattr(onnx_engine, "time", clock)
    monkeypatch.setattr(listeners, "time", clock)
    assert max(asyncio.run(sizes())[1:]) <= 40


def test_a_loop_without_end_is_stopped_when_its_listener_leaves() -> None:
    async def run() -> None:
        async with opened({"slots": 1}, turns=tiny.FOR_EVER) as engine:
            for _ in range(2):  # the one thread is free again
                begun = threading.Event()
                make = engine.sounds

                def watched(*given: Any, begun: threading.Event = begun, make: Any = make) -> Any:
                    begun.set()
                    yield from make(*given)

                engine.sounds = watched  # type: ignore[method-assign, assignment]
                speaking = asyncio.create_task(spoken(engine, job(TEXT)))
                await asyncio.to_thread(begun.wait)
                speaking.cancel()
                await asyncio.wait((speaking,))
                assert speaking.cancelled()

    asyncio.run(run())
