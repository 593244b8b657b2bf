"""Marks of utterances: the sound has one, and of a piece there are no facts, no manifest and no history."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soxr  # type: ignore[import-untyped]

from plugins.spread.detection import find
from proxy.features.marks.section import MARK_KEYS
from proxy.file_store.key_ring import ensure_keys
from tests.features.sockets.utterances.rig import RATE_HZ, Rig, Spoken, rig
from tests.plugins.espeak.heard import espeak_without_time
from tests.plugins.pycld2.sentences import samples
from tests.plugins.spread.clips import Clip, cut, whole
from tests.sound import decoded
from tests.speech_engine.host.simulated_time import simulated

SPEECH = '[engines.said]\n[server]\ndefault_model = "said"\nfirst_audio_s = 60\n'
THREE = "The boats came back before the rain. Nobody had counted them. One was missing, as ever."
LANGUAGES = ("en", "pt", "es", "fr", "de")
LENGTHS_S = (0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0)
FOUND = 0.95


@asynccontextmanager
async def talking(folder: Path) -> AsyncIterator[Rig]:
    async with espeak_without_time() as engine, rig(folder, SPEECH, engines={"said": engine}) as one:
        yield one


async def speak(one: Rig, text: str, **more: Any) -> Spoken:
    speech = await one.begin(text, model="said", voice="said/m3", **more)
    end = await speech.whole()
    assert end.failure is None
    return speech


def heard(data: bytes, format_: str) -> Clip:
    """The sound as a program gets it."""
    if format_ == "pcm":
        return np.frombuffer(data, np.int16)
    sound = decoded(data, format_)
    return whole(soxr.resample(sound.samples, sound.sample_rate_hz, RATE_HZ) * 32768)


def is_found(clip: Clip, folder: Path) -> bool:
    secret = ensure_keys(folder / "data" / MARK_KEYS).newest.secret
    return find(clip.tobytes(), RATE_HZ, [secret]).is_found


@simulated
async def test_a_piece_is_marked_and_has_no_facts_no_manifest_and_no_history(tmp_path: Path) -> None:
    async with talking(tmp_path) as one:
        speech = await speak(one, THREE, language="en")
        plain = await one.server.speech(THREE, model="said", voice="said/m3", response_format="pcm")
        assert plain.is_success, plain.text
        with_facts = await one.server.worker.store.read("SELECT request FROM receipts")
        assert [row["request"] for row in with_facts] == [plain.headers["x-request-id"]]
        assert len(speech.ear.starts) > 1
        for start in speech.ear.starts:
            assert (await one.server.ask("GET", f"/v1/history/{start.request_id}")).status_code == 404
        kept = list((tmp_path / "data").rglob(f"*{speech.utterance.id}*"))
        assert kept == []
        assert is_found(heard(bytes(speech.ear.data), "pcm"), tmp_path)


@simulated
async def test_the_mark_goes_on_over_pieces_of_one_word(tmp_path: Path) -> None:
    """As with ElevenLabs' auto_mode. Each word alone is too short for a mark that is found."""
    async with talking(tmp_path) as one:
        speech = await one.begin(model="said", voice="said/m3", language="en")
        for word in THREE.split():
            count = len(speech.ear.starts)
            speech.utterance.add(f"{word} ")
            speech.utterance.flush()
            while len(speech.ear.starts) == count:
                speech.ear.got.clear()
                await speech.ear.got.wait()
        assert (await speech.whole()).failure is None
        assert len(speech.ear.starts) == len(THREE.split())
        assert is_found(heard(bytes(speech.ear.data), "pcm"), tmp_path)


@pytest.mark.soak
@pytest.mark.parametrize("format_", ["pcm", "mp3"])
@simulated
async def test_of_sixty_utterances_of_three_sentences_the_marks_are_found(
    tmp_path: Path, format_: str
) -> None:
    """It prints the shortest part of them that will do: docs/marking.md names it."""
    async with talking(tmp_path) as one:
        clips = list[Clip]()
        for text, language in _texts():
            speech = await speak(one, text, language=language, response_format=format_)
            clips.append(heard(bytes(speech.ear.data), format_))
        count = sum(is_found(clip, tmp_path) for clip in clips)
        print(f"{format_}: {count} of {len(clips)}, {_length(clips)}")
        for length_s in LENGTHS_S:
            parts = [cut(clip, length_s) for clip in clips]
            print(f"  {length_s} s: {sum(is_found(clip, tmp_path) for clip in parts)}")
    assert count >= FOUND * len(clips)


def _texts() -> list[tuple[str, str]]:
    """Sixty texts of three sentences, each with its language."""
    found = list[tuple[str, str]]()
    for language in LANGUAGES:
        said = [one.text for one in samples() if one.language == language and not one.is_short]
        for number in range(12):
            three = [said[(3 * number + place) % len(said)].rstrip(" .") for place in range(3)]
            found.append((". ".join(three) + ".", language))
    return found


def _length(clips: Sequence[Clip]) -> str:
    lengths = sorted(len(clip) / RATE_HZ for clip in clips)
    return f"{lengths[0]:.1f} to {lengths[-1]:.1f} s"
