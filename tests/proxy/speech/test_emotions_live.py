"""Emotions on a real port, where the engine is a process that is sent the recordings of a job."""

import asyncio
from pathlib import Path

import pytest

from proxy.config.sections import VaultSection
from proxy.feature_list import open_store
from proxy.file_store.vault import open_vault
from proxy.telemetry.metrics import Metrics
from tests import speech_clips
from tests.proxy.speech.felt import Felt, add_recordings, felt
from tests.server import ALONE, Server, running

pytestmark = pytest.mark.slow


def test_an_engine_is_sent_the_recordings_of_each_part(tmp_path: Path) -> None:
    text = "Well. [sad] Oh. [happy] Ha! [neutral] So."
    cast = {"cast": {"Me": "Ana", "You": "alloy"}}
    with running(tmp_path, ALONE) as server, server.client() as client:
        voice = _save(server)

        def said(text: str, **more: object) -> Felt:
            body = {"model": "tts-1", "voice": "Ana", "input": text, "response_format": "wav", **more}
            answer = client.post("/v1/audio/speech", json=body)
            assert answer.status_code == 200, answer.text
            return felt(answer.content)

        for emotion, tag in (("happy", "happy"), (None, ""), ("sad", "sad")):
            assert said("Hello.", emotion=emotion) == Felt("Hello.", (tag,))
        assert said(text) == Felt("Well. Oh. Ha! So.", ("", "sad", "happy", ""))
        assert said("[Me] [happy] Hi. [You] [happy] Ho.", voice=cast) == Felt("Hi. Ho.", ("happy",))
        refused = client.post(
            "/v1/audio/speech",
            json={"model": "tts-1", "voice": voice, "input": "Grr.", "emotion": "angry"},
        )
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "emotion")


def _save(server: Server) -> str:
    with server.client() as client:
        consent = client.post(
            "/v1/audio/voice_consents", json={"name": "Ana", "language": "en", "statement": "Yes."}
        )
        made = client.post(
            "/v1/audio/voices",
            data={"name": "Ana", "consent": consent.raise_for_status().json()["id"]},
            files={"audio_sample": ("a.wav", speech_clips.wav(), "audio/wav")},
        )
        voice: str = made.raise_for_status().json()["id"]
        account = client.get("/v1/me").raise_for_status().json()["account"]["id"]
        asyncio.run(_add(server, account, voice))
        # What a change does: every library is read again.
        client.post(f"/v1/audio/voices/{voice}", json={"description": "felt"}).raise_for_status()
    return voice


async def _add(server: Server, account: str, voice: str) -> None:
    async with (
        open_store("sqlite", server.data) as store,
        open_vault(store, server.data, VaultSection(), Metrics()) as vault,
    ):
        await add_recordings(store, vault, account, voice)
