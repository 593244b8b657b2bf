"""The fake is as strict as its reference: its bounds, its streams, its sounds, its pace, and as a program."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import httpx2
import msgspec
import pytest

from fakes.minimax.account import Account
from fakes.minimax.app import KEY
from tests.plugins.minimax.rig import MODEL, VOICE, error_of, rig, speech_job, toned
from tests.sound import decoded

BODY: dict[str, Any] = {"model": MODEL, "text": "Hello.", "voice_setting": {"voice_id": VOICE}}


async def _post(url: str, body: Any, key: str = KEY) -> httpx2.Response:
    async with httpx2.AsyncClient(headers={"authorization": f"Bearer {key}"}) as client:
        return await client.post(f"{url}/v1/t2a_v2", json=body)


async def _code(url: str, body: Any) -> int:
    answer = await _post(url, body)
    assert answer.status_code == 200
    code: int = answer.json()["base_resp"]["status_code"]
    return code


def _with(**more: Any) -> dict[str, Any]:
    return {**BODY, **more}


@pytest.mark.parametrize(
    "wrong",
    [
        {"model": "speech-3"},
        {"text": ""},
        {"text": "x" * 10_000},
        {"text": "a <#0#> b"},
        {"voice_setting": {"voice_id": VOICE, "speed": 2.01}},
        {"voice_setting": {"voice_id": VOICE, "vol": 0}},
        {"voice_setting": {"voice_id": VOICE, "pitch": 1.0}},
        {"voice_setting": {"voice_id": VOICE, "pitch": 13}},
        {"voice_setting": {"voice_id": VOICE, "emotion": "neutral"}},
        {"voice_setting": {"voice_id": VOICE, "emotion": "whisper"}},
        {"voice_setting": {}},
        {"audio_setting": {"sample_rate": 48_000}},
        {"audio_setting": {"bitrate": 96_000}},
        {"audio_setting": {"format": "aac"}},
        {"audio_setting": {"format": "wav"}, "stream": True},
        {"language_boost": "Yoruba"},
        {"timbre_weights": [{"voice_id": VOICE, "weight": 101}]},
        {"timbre_weights": [{"voice_id": VOICE, "weight": 1}] * 5},
    ],
)
async def test_each_bound_is_kept(wrong: dict[str, Any]) -> None:
    async with rig() as running:
        assert await _code(running.at.url, BODY) == 0
        assert await _code(running.at.url, _with(**wrong)) == 2013


async def test_a_wrong_name_is_passed_over_and_told() -> None:
    body = _with(langauge_boost="Thai", voice_setting={"voice_id": VOICE, "volume": 3})
    async with rig() as running:
        assert await _code(running.at.url, body) == 0
        assert sorted(running.fake.unknown) == ["langauge_boost", "voice_setting.volume"]


async def test_the_last_event_repeats_the_clip_unless_that_is_excluded() -> None:
    audio = {"format": "pcm", "sample_rate": 24000}
    async with rig() as running:
        default = await _post(running.at.url, _with(stream=True, audio_setting=audio))
        options = {"exclude_aggregated_audio": True}
        lean = await _post(running.at.url, _with(stream=True, audio_setting=audio, stream_options=options))
    for answer, is_repeated in ((default, True), (lean, False)):
        events = [msgspec.json.decode(line[6:]) for line in answer.text.splitlines() if line]
        chunks = [bytes.fromhex(event["data"]["audio"]) for event in events if event["data"]["status"] == 1]
        assert b"".join(chunks) == toned("Hello.")
        assert any(len(chunk) % 2 for chunk in chunks)
        assert events[-1]["data"] == {"audio": toned("Hello.").hex() * is_repeated, "status": 2, "ced": ""}
        assert events[-1]["extra_info"]["usage_characters"] == 6


@pytest.mark.parametrize(
    ("format_", "rate_hz"), [("mp3", 32_000), ("flac", 44_100), ("wav", 8_000), ("opus", 48_000)]
)
async def test_its_audio_is_what_it_says(format_: str, rate_hz: int) -> None:
    setting = {"format": format_, "sample_rate": rate_hz if format_ != "opus" else 24_000}
    async with rig() as running:
        answer = (await _post(running.at.url, _with(audio_setting=setting))).json()
    sound = decoded(bytes.fromhex(answer["data"]["audio"]), format_)
    assert sound.sample_rate_hz == rate_hz
    assert abs(sound.seconds - answer["extra_info"]["audio_length"] / 1000) < 0.12
    assert sound.loudness > 0.05


async def test_a_pause_is_heard_as_silence() -> None:
    setting = {"format": "pcm", "sample_rate": 24_000}
    async with rig() as running:
        answer = await _post(running.at.url, _with(text="Hello<#0.5#>there.", audio_setting=setting))
    audio = bytes.fromhex(answer.json()["data"]["audio"])
    assert audio == toned("Hello") + bytes(24_000) + toned("there.")


async def test_a_key_is_needed() -> None:
    async with rig() as running:
        assert (await _post(running.at.url, BODY, key="no")).json()["base_resp"]["status_code"] == 1004


async def test_the_fake_counts_requests_by_the_minute() -> None:
    now = 0.0
    async with rig(Account(clock=lambda: now, rpm=2)) as running:
        assert [await _code(running.at.url, BODY) for _ in range(3)] == [0, 0, 1002]
        error = await error_of(running.engine, speech_job("Hello."))
        assert error.may_retry
        now = 60.5
        assert await _code(running.at.url, BODY) == 0


def test_the_fake_runs_as_a_program_and_takes_faults_from_other_processes() -> None:
    command = [sys.executable, "-m", "fakes.minimax", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[-1]
            headers = {"authorization": f"Bearer {KEY}"}
            with httpx2.Client(base_url=url, headers=headers) as client:
                client.post("/_fake/faults", json=[{"name": "5xx", "status": 502}])
                assert client.post("/v1/t2a_v2", json=BODY).status_code == 502
                assert client.post("/v1/t2a_v2", json=BODY).json()["data"]["status"] == 2
                seen = client.get("/_fake/requests").json()["requests"]
                assert [each["json"] for each in seen] == [BODY, BODY]
        finally:
            process.terminate()
