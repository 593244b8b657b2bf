"""The figures of `voxgate engines prove --voice`: they move when the sound does."""

import asyncio
import base64
import io
import json
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from proxy.audio.formats import wav_header
from proxy.audio.recordings.master import make_master
from proxy.catalogue.voice_records import ComparisonResult
from proxy.cli import voice_proof
from proxy.cli.proof_sentences import proof_sentences
from proxy.cli.voice_proof import cut_sentences, loudness, prove_voice
from proxy.errors import CommandRefused
from proxy.feature_list import load_config
from proxy.features.consents import likeness
from proxy.features.consents.comparison import RatedRecording
from tests.proxy.audio.recordings.speech import RATE_HZ, SENTENCES, VOICES, master_of, speech

TEXTS = proof_sentences("en")[:10]


class Spoken:
    """A server that speaks what `sounds` has: by voice, a sound of a second for each sentence."""

    def __init__(self, **sounds: list[bytes]) -> None:
        self.sounds = sounds

    def fetch(self, to: io.BytesIO, method: str, path: str, **sent: Any) -> None:
        to.write(json.dumps(self._answer(path, sent.get("json", {}))).encode())

    def _answer(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if path.endswith("/voices"):
            rows = [{"id": name, "engines": ["e"]} for name in self.sounds if name != "ana"]
            return {"data": [{"id": "own", "engines": ["e"], "quality": {}}, *rows]}
        if path.endswith("/models"):
            return {"data": [{"id": "e/m"}, {"id": "tts-1"}]}
        if body["voice"] != "ana" and body["model"] != "e/m":
            raise CommandRefused("not by this model", code="voice_not_available")
        return spoken(self.sounds[body["voice"]])


def spoken(sounds: list[bytes]) -> dict[str, Any]:
    """An answer: each sentence is one word that begins with its sound."""
    at_s, at, words = 0.0, 0, []
    for text, sound in zip(TEXTS, sounds, strict=False):
        words.append({"start_seconds": at_s, "source_start": at})
        at_s, at = at_s + len(sound) / (2 * RATE_HZ), at + len(text) + 1
    wav = make_master(b"".join(sounds), RATE_HZ, 2)
    return {"audio_base64": base64.b64encode(wav).decode(), "words": words}


def pcm_of(wav: bytes) -> bytes:
    return wav[len(wav_header(0)) :]


@pytest.fixture(scope="module")
def voices() -> dict[str, bytes]:
    """A sentence of each of four speakers."""
    return {name: pcm_of(master_of(asyncio.run(speech(name, SENTENCES[0])))) for name in VOICES}


def prove(folder: Path, server: Spoken, export: bytes) -> dict[str, Any]:
    (folder / "config.toml").write_text(f'[server]\ndata = "{folder}/data"\n')
    config = load_config(folder / "config.toml", {})
    body = {"model": "tts-1", "voice": "ana", "language": "en"}
    return prove_voice(config, server, body, export)  # type: ignore[arg-type]  # it has what is asked


def export_of(pcm: bytes) -> bytes:
    with zipfile.ZipFile(file := io.BytesIO(), "w") as files:
        files.writestr("recordings/1.wav", make_master(pcm, RATE_HZ, 2))
    return file.getvalue()


@pytest.mark.unit
def test_a_voice_that_becomes_quieter_has_drifted(tmp_path: Path, voices: dict[str, bytes]) -> None:
    sound = voices["m3"]
    half = (np.frombuffer(sound, "<i2") // 2).astype("<i2").tobytes()
    same = prove(tmp_path, Spoken(ana=[sound] * 10), b"")
    assert same["loudness_drift_db"] == pytest.approx(0.0, abs=0.1)
    assert "likeness" not in same
    quieter = prove(tmp_path, Spoken(ana=[sound] * 9 + [half]), b"")
    assert quieter["loudness_drift_db"] == pytest.approx(-6.0, abs=0.3)


@pytest.mark.unit
def test_a_voice_that_becomes_another_is_less_alike(
    tmp_path: Path, voices: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Comparing:
        """A module of a feature, whose score is the share of equal samples."""

        @staticmethod
        async def likeness(_config: object, export: bytes, wavs: list[bytes]) -> dict[str, Any]:
            with zipfile.ZipFile(io.BytesIO(export)) as files:
                (own,) = [pcm_of(files.read(name)) for name in files.namelist()]
            scores = [1.0 if pcm_of(wav) == own else 0.25 for wav in wavs]
            return {"halves": {"score": 0.9, "comparer": "c"}, "spoken": [{"score": each} for each in scores]}

    monkeypatch.setattr(voice_proof, "feature_modules", lambda _part: [Comparing])
    ana, other = voices["m3"], voices["f3"]
    strangers = {"bo": [other], "cy": [voices["klatt4"]], "di": [voices["Annie"]], "ed": [other]}
    same = prove(tmp_path, Spoken(ana=[ana] * 10, **strangers), export_of(ana))
    assert (same["likeness"], same["likeness_drift"], same["halves"]) == ([1.0, 1.0], 0.0, 0.9)
    assert same["others"] == {"bo": 0.25, "cy": 0.25, "di": 0.25}
    drifting = prove(tmp_path, Spoken(ana=[ana] * 9 + [other], **strangers), export_of(ana))
    assert (drifting["likeness"], drifting["likeness_drift"]) == ([1.0, 0.25], -0.75)


@pytest.mark.unit
def test_a_sentence_is_cut_out_where_its_words_are(voices: dict[str, bytes]) -> None:
    sounds = [voices["m3"], *[voices["f3"]] * 8, voices["Annie"]]
    answer = spoken(sounds)
    wav = make_master(b"".join(sounds), RATE_HZ, 2)
    first, tenth = cut_sentences(wav, answer["words"], TEXTS)
    assert (pcm_of(first), pcm_of(tenth)) == (sounds[0], sounds[-1])
    with pytest.raises(CommandRefused, match="times of the words"):
        cut_sentences(wav, [], TEXTS)


@pytest.mark.unit
def test_silence_has_no_loudness() -> None:
    assert loudness(make_master(bytes(2 * RATE_HZ), RATE_HZ, 2)) is None


@pytest.mark.unit
async def test_the_recording_is_compared_with_each_sound_and_its_halves_with_each_other(
    voices: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Comparison:
        async def compare(self, first: RatedRecording, second: RatedRecording) -> ComparisonResult:
            one, other = [np.frombuffer(pcm_of(each.master), "<i2").astype(float) for each in (first, second)]
            size = min(len(one), len(other))
            score = np.corrcoef(one[:size], other[:size])[0, 1]
            return ComparisonResult("same", round(float(score), 2))

    @asynccontextmanager
    async def opened(*_: object) -> AsyncIterator[Comparison]:
        yield Comparison()

    monkeypatch.setattr(likeness, "open_comparison", opened)
    ana = voices["m3"]
    wavs = [make_master(pcm, RATE_HZ, 2) for pcm in (ana, voices["f3"])]
    config = load_config(None, {})
    found = await likeness.likeness(config, export_of(ana), wavs)
    assert found is not None
    same, other = [each["score"] for each in found["spoken"]]
    assert same == 1.0
    assert abs(other) < 0.5
    twice = await likeness.likeness(config, export_of(ana + ana), wavs)
    assert twice is not None
    assert twice["halves"]["score"] == 1.0 > found["halves"]["score"]
    assert await likeness.likeness(config, b"", wavs) is None
