"""A recording is judged before anybody is asked for a consent, and nothing of it stays."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from tests import speech_clips
from tests.server import Server

pytestmark = pytest.mark.slow

_RATE_HZ = 24_000


def _wav(samples: NDArray[np.float64]) -> bytes:
    written = io.BytesIO()
    soundfile.write(written, samples, _RATE_HZ, format="WAV")
    return written.getvalue()


def _times(seconds: float) -> NDArray[np.float64]:
    return np.arange(round(seconds * _RATE_HZ)) / _RATE_HZ


def _chord() -> NDArray[np.float64]:
    return 0.1 * sum((np.sin(2 * np.pi * hz * _times(20)) for hz in (220.0, 277.2, 329.6)), np.zeros(1))


def test_bad_recordings_are_refused_with_the_one_thing_to_change_and_nothing_stays(
    plain_server: Server, subtests: pytest.Subtests
) -> None:
    noise = np.random.default_rng(0).normal(0.0, 0.1, 30 * _RATE_HZ)
    bad = {
        "0.2 s": (0.3 * np.sin(2 * np.pi * 200 * _times(0.2)), "no speech is heard in it"),
        "silence": (np.zeros(20 * _RATE_HZ), "nobody speaks in it"),
        "music": (_chord(), "no speech is heard in it"),
        "noise": (noise, "no speech is heard in it"),
    }
    vault = Path(plain_server.config).parent / "data"

    def stored() -> list[str]:
        return sorted(str(path) for path in vault.rglob("*") if "vault" in path.parts)

    before = stored()
    with plain_server.client() as client:
        for name, (samples, says) in bad.items():
            with subtests.test(name):
                answer = client.post("/v1/audio/voice_quality", files={"audio_sample": _wav(samples)})
                error = answer.json()["error"]
                assert (answer.status_code, error["code"], error["param"]) == (
                    400,
                    "invalid_audio",
                    "audio_sample",
                )
                assert says in error["message"]
        good = client.post("/v1/audio/voice_quality", files={"audio_sample": speech_clips.wav()})
        assert (good.status_code, good.json()["quality"]["rating"], good.json()["advice"]) == (
            200,
            "high",
            "",
        )
        loud, rate_hz = soundfile.read(io.BytesIO(speech_clips.wav()))
        hiss = np.random.default_rng(1).normal(0.0, 0.03, len(loud))
        written = io.BytesIO()
        soundfile.write(written, loud + hiss, rate_hz, format="WAV")
        warned = client.post("/v1/audio/voice_quality", files={"audio_sample": written.getvalue()}).json()
        assert warned["advice"].startswith("there is noise behind the voice")
    assert stored() == before
