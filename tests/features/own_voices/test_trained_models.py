"""Models of voices: they come as files, speak and convert, leave as files, and go with their voice."""

import asyncio
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
import structlog
from msgspec.structs import replace

from plugins.rvc.faiss_index import write_flat_index
from plugins.tone.decode import decode_timbres
from plugins.tone.plugin import ToneSettings
from plugins.tone.worker import ToneEngine
from proxy.file_store.vault import Vault
from proxy.storage import trained_models
from speech_engine import Context, ModelInfo
from speech_engine.model_files.safetensors import read_tensors_and_texts
from tests.features.own_voices.trained_files import rvc_voice, tone_voice
from tests.proxy.api.inside import Inside, envelope, inside
from tests.replies import json_of
from tests.sound import decoded
from tests.tones import of_seconds
from tests.waiting import soon

pytestmark = pytest.mark.slow

TOML = """
[server]
default_model = "tone"
[cache]
on = true
[engines.tone]
hosted = false
[engines.slow]
plugin = "tone"
hosted = false
pace = 1.0
[engines.rvc]
plugin = "listener"
hosted = false
[models]
tts-1 = ["tone/standard"]
[voices.alloy]
tone = "tone"
[plans.free]
consent = "waived"
[plans.small]
consent = "waived"
voices = 1
"""
PATH = "/v1/audio/voice_models"


class Listener(ToneEngine):
    """Takes voices of RVC, and does nothing with them."""

    def models(self) -> tuple[ModelInfo, ...]:
        (info,) = super().models()
        return (replace(info, trained_format="rvc", speaks_samples=False, clones=False),)


def listener() -> Listener:
    return Listener("listener", ToneSettings(), Context(structlog.get_logger()))


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Inside]:
    async with inside(tmp_path, TOML, {"listener": listener()}, "free") as opened:
        yield opened


async def bring(
    server: Inside,
    file: bytes | None = None,
    index: bytes | None = None,
    *,
    key: str | None = None,
    path: str = PATH,
    headers: dict[str, str] | None = None,
    **fields: Any,
) -> httpx2.Response:
    """Send a model of tone, or of RVC if the fields say so."""
    files = {"file": tone_voice() if file is None else file}
    if index is not None:
        files["index"] = index
    given = {"format": "tone", **fields}
    async with server.client(key, **(headers or {})) as client:
        return await client.post(path, data=given, files=files)


async def made(server: Inside, file: bytes | None = None, name: str = "Ana", **more: Any) -> dict[str, Any]:
    return json_of(await bring(server, file, name=name, **more))


async def pitch_of(server: Inside, voice: str, text: str = "Hello there.") -> float:
    answer = await server.speech(text, voice=voice, model="tone/standard", response_format="wav")
    assert answer.status_code == 200, answer.text
    return decode_timbres(*decoded(answer.content, "wav"))[0].pitch_hz


async def convert(server: Inside, voice: str, model: str = "tone/standard") -> httpx2.Response:
    fields = {"model": model, "voice": voice, "consent": "true", "response_format": "wav"}
    async with server.client() as client:
        return await client.post("/v1/audio/conversions", data=fields, files={"file": of_seconds(0.5)})


def loudest_hz(answer: httpx2.Response) -> float:
    """Return the strongest tone below the recording's own."""
    samples, rate_hz = decoded(answer.content, "wav")
    power = np.abs(np.fft.rfft(samples))
    hz = np.fft.rfftfreq(len(samples), 1 / rate_hz)
    return float(hz[np.argmax(np.where(hz < 70, 0, np.where(hz > 350, 0, power)))])


async def test_an_imported_voice_speaks_and_says_what_it_has(server: Inside) -> None:
    entry = await made(server, tone_voice(220), language="en", description="Warm.", gender="female")
    assert entry["type"] == "audio_sample"
    assert entry["engines"] == ["tone", "slow"]
    (model,) = entry["trained"]
    assert (model["format"], model["origin"]) == ("tone", "import")
    assert (entry["language"], entry["gender"], entry["description"]) == ("en", "female", "Warm.")
    assert "quality" not in entry
    assert await pitch_of(server, "Ana") == pytest.approx(220)
    listed = (await server.ask("GET", "/v1/audio/voices?mine=true")).json()["data"]
    assert [each["trained"] for each in listed] == [[model]]


async def test_an_imported_voice_converts_recordings_at_its_pitch(server: Inside) -> None:
    await made(server, tone_voice(220))
    await made(server, tone_voice(300), name="Ben")
    for voice, pitch_hz in (("Ana", 220), ("Ben", 300)):
        answer = await convert(server, voice)
        assert answer.status_code == 200, answer.text
        assert loudest_hz(answer) == pytest.approx(pitch_hz, abs=5)


async def test_another_model_of_the_voice_is_another_sound_and_another_clip(server: Inside) -> None:
    entry = await made(server, tone_voice(220))
    assert await pitch_of(server, "Ana") == pytest.approx(220)
    assert await pitch_of(server, "Ana") == pytest.approx(220)
    answer = await bring(server, tone_voice(330), voice="Ana")
    assert answer.status_code == 200, answer.text
    assert (answer.json()["id"], len(answer.json()["trained"])) == (entry["id"], 1)
    assert await pitch_of(server, "Ana") == pytest.approx(330)
    store = server.worker.store
    assert len(await store.read("SELECT digest FROM blobs")) == 1, "the old file is gone"


async def test_a_voice_of_everybody_has_a_model_and_is_erased(server: Inside) -> None:
    saved = json_of(
        await bring(server, tone_voice(250), name="House", key=server.admin_key, path="/admin/voice_models"),
        201,
    )
    assert (saved["type"], saved["account"], saved["trained"]) == ("catalogue", None, ["tone"])
    assert await pitch_of(server, "House") == pytest.approx(250)
    gone = await server.administer("DELETE", "voices/House")
    assert gone.status_code == 200, gone.text
    assert envelope(await server.speech(voice="House", model="tone/standard"))["code"] == "voice_not_found"
    assert await server.worker.store.read("SELECT id FROM trained_models") == []
    assert await server.worker.store.read("SELECT digest FROM blobs") == []


async def test_the_operator_brings_one_for_an_account(server: Inside) -> None:
    answer = await bring(server, name="Ana", account="ada", key=server.admin_key, path="/admin/voice_models")
    assert (answer.status_code, answer.json()["trained"]) == (201, ["tone"])
    again = await bring(
        server, tone_voice(99), voice=answer.json()["id"], key=server.admin_key, path="/admin/voice_models"
    )
    assert again.status_code == 201, again.text
    assert await pitch_of(server, "Ana") == pytest.approx(99)
    (listed,) = (await server.administer("GET", "voices?account=ada")).json()["data"]
    assert (listed["name"], listed["trained"]) == ("Ana", ["tone"])
    acts = {row["action"] for row in await server.worker.store.read("SELECT action FROM audit")}
    assert {"voice.created", "voice.changed"} <= acts


async def test_a_model_leaves_as_it_came_and_comes_again(server: Inside) -> None:
    entry = await made(server, tone_voice(180))
    answer = await server.ask("GET", f"/v1/audio/voices/{entry['id']}/model")
    assert answer.status_code == 200
    assert answer.headers["content-disposition"] == f'attachment; filename="{entry["id"]}.json"'
    await made(server, answer.content, name="Again")
    assert await pitch_of(server, "Again") == pytest.approx(180)
    refused = envelope(await server.ask("GET", "/v1/audio/voices/Ana/model?form=pth"))
    assert refused["param"] == "form"
    refused = envelope(await server.ask("GET", "/v1/audio/voices/Ana/model?format=rvc"))
    assert (refused["param"], refused["code"]) == ("voice", "model_not_found")
    own = await server.administer("GET", f"voices/{entry['id']}/model")
    assert own.content == answer.content


async def test_a_voice_of_rvc_comes_with_its_index_and_leaves_as_its_programs_read_it(server: Inside) -> None:
    vectors = np.arange(20 * 768, dtype="<f2") / 10_000
    index = _index(vectors)
    entry = await made(server, rvc_voice(), index=index, format="")
    assert [model["format"] for model in entry["trained"]] == ["rvc"]
    assert entry["engines"] == ["rvc"]
    stored = await _kept(server)
    tensors, about = read_tensors_and_texts(*stored)
    assert (about["format"], about["version"], about["f0"]) == ("rvc", "v2", "1")
    assert tensors["index.vectors"].shape == (20, 768)
    left = await server.ask("GET", "/v1/audio/voices/Ana/model?form=pth")
    again = await made(server, left.content, name="Again", format="rvc")
    assert again["trained"][0]["bytes"] < entry["trained"][0]["bytes"], "without its index"
    out = await server.ask("GET", "/v1/audio/voices/Ana/model?form=index")
    assert out.content == index


def _index(vectors: Any) -> bytes:
    made = BytesIO()
    write_flat_index([vectors.tobytes()], vectors.size // 768, 768, made)
    return made.getvalue()


async def _kept(server: Inside) -> tuple[Any, int]:
    (model,) = (await trained_models.list_of_account(server.worker.store, server.account.id)).popitem()[1]
    data = await server.worker.open_features.context.find(Vault).open(model.account, model.digest)
    return BytesIO(data), len(data)


async def test_an_idempotency_key_makes_one_voice(server: Inside) -> None:
    headers = {"idempotency-key": "k1"}
    first = await bring(server, name="Ana", headers=headers)
    again = await bring(server, name="Ana", headers=headers)
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json()["id"] == again.json()["id"]
    assert again.headers["x-voxgate-replayed"] == "true"
    other = await bring(server, tone_voice(99), name="Ana", headers=headers)
    assert envelope(other)["code"] == "idempotency_key_reused"


async def test_an_erasure_ends_a_conversion_and_leaves_nothing(server: Inside) -> None:
    entry = await made(server)

    async def listen() -> int:
        fields = {"model": "slow/standard", "voice": "Ana", "consent": "true", "response_format": "pcm"}
        heard = 0
        async with (
            server.client() as client,
            client.stream(
                "POST", "/v1/audio/conversions", data=fields, files={"file": of_seconds(20)}
            ) as answer,
        ):
            async for part in answer.aiter_bytes():
                heard += len(part)
        return heard

    listening = asyncio.create_task(listen())
    await soon(lambda: "1 heard" in repr(server.worker.open_features.context.erased))
    deleted = await server.ask("DELETE", f"/v1/audio/voices/{entry['id']}")
    assert deleted.status_code == 200
    (ended,) = await asyncio.gather(listening, return_exceptions=True)
    assert isinstance(ended, Exception) or (isinstance(ended, int) and ended < 20 * 24_000 * 2)
    store = server.worker.store
    assert await store.read("SELECT id FROM trained_models") == []
    assert await store.read("SELECT digest FROM blobs") == []
    assert envelope(await server.speech(voice="Ana", model="tone/standard"))["code"] == "voice_not_found"
