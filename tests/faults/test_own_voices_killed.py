"""Kills while a second model repeats the speech of an engine in an account's voice: both are paid once."""

import threading
from pathlib import Path

import httpx2
import pytest

from tests.faults.kills import CONFIG, POINTS, FaultOrder, Killing, Place, ask, expect_books_to_outlive
from tests.features.own_voices.trained_files import tone_voice

pytestmark = pytest.mark.slow

ESPEAK = """
[engines.espeak]
processes = 1
[models]
"tts-1" = ["espeak/standard"]
"""
METERED = CONFIG.replace('[models]\n"ears" = ["tone/ears"]\n', ESPEAK).replace(
    '"tts-1" = ["tone/standard"]\n', ""
)


class Own:
    """Asks for speech in a voice that it makes first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._voice = ""

    def __call__(self, client: httpx2.Client) -> FaultOrder:
        with self._lock:
            if not self._voice:
                agreed = {"name": "Ana", "language": "en", "statement": "Ana agreed.", "uses": ["speech"]}
                consent = client.post("/v1/audio/voice_consents", json=agreed).raise_for_status().json()
                fields = {"name": "Ana", "consent": consent["id"], "format": "tone"}
                made = client.post("/v1/audio/voice_models", data=fields, files={"file": tone_voice()})
                self._voice = made.raise_for_status().json()["id"]
        return ask(client, voice=self._voice, language="en", response_format="pcm")


@pytest.mark.parametrize("whom", ["worker", "supervisor"])
def test_the_books_outlive_kills_at_eight_points(tmp_path: Path, whom: str) -> None:
    place = Place("sqlite", METERED.format(workers=1, storage="sqlite", limits="memory"), "sqlite")
    killing = Killing(tmp_path, place, whom, Own())
    expect_books_to_outlive(killing, POINTS)
    rows = killing.books().rows.values()
    assert {row.engine for row in rows if row.credits} == {"espeak+tone"}
