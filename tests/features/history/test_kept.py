"""What is kept of a request that asks for it, and that nothing is kept of others."""

import asyncio
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from starlette.types import Message

from proxy.audio.formats import FORMATS, MEDIA_TYPES
from tests.features.conversions.test_conversions import recorded
from tests.features.history.rig import content, entry, id_of, ids, keeping, listed, speak, spoken
from tests.fixtures import opened
from tests.proxy.api.inside import Inside, envelope
from tests.replies import json_of
from tests.sound import decoded
from tests.tables import each_row
from tests.waiting import soon

server = opened(keeping, "tmp_path")


async def test_an_entry_has_what_was_asked_heard_and_paid(tmp_path: Path, store_url: str) -> None:
    async with keeping(tmp_path, store_url) as server:
        answer = await speak(server, "Good morning.", response_format="mp3", tag="show:1", speed=2.0)
        shown = await entry(server, id_of(answer))
        (row,) = await server.usage()
        assert row.credits > 0
        assert shown["created_at"] * 1_000_000 >= row.started - 1_000_000
        assert shown["expires_at"] - shown["created_at"] == 30 * 86_400
        assert {name: shown[name] for name in shown if name not in ("created_at", "expires_at")} == {
            "object": "history.entry",
            "id": row.id,
            "operation": "speech",
            "outcome": "finished",
            "error": None,
            "model": answer.headers["x-voxgate-engine"],
            "voice": "alloy",
            "language": "en",
            "format": "mp3",
            "characters": 13,
            "seconds": round(row.samples / row.sample_rate_hz, 3),
            "credits": row.credits / 1_000_000,
            "refunded": 0,
            "tag": "show:1",
            "text": "Good morning.",
            "check": None,
            "sound": {"format": "mp3", "media_type": "audio/mpeg", "bytes": len(answer.content)},
            "request": {
                "model": "tts-1",
                "input": "Good morning.",
                "voice": "alloy",
                "response_format": "mp3",
                "speed": 2.0,
            },
        }
        page = await listed(server)
        del shown["request"]
        assert page["data"] == [shown]
        assert (page["days"], page["account_mb"], page["has_more"]) == (30.0, 512, False)
        assert 0 < page["used_mb"] < 0.1


async def test_of_others_nothing_is_kept(server: Inside) -> None:
    for more in ({}, {"history": False}, {"history": None}):
        assert (await server.speech(**more)).is_success
    refused = await server.speech(history="yes")
    assert (refused.status_code, envelope(refused)["param"]) == (400, "history")
    # A job has its own text and sound.
    job = json_of(await server.speech(history=True, background=True), 202)
    await soon(lambda: server.ask("GET", f"/v1/jobs/{job['id']}"), lambda shown: shown.json()["ended"])
    kept = (await spoken(server))["id"]
    assert await ids(server) == [kept]


@each_row(
    "section, plan, days",
    [
        ("", "none", 0),
        ("days = 0", "metered", 0),
        ("days = 0", "longer", 60),
        ("account_mb = 0", "longer", 0),
    ],
)
async def test_a_plan_without_days_keeps_nothing(
    tmp_path: Path, section: str, plan: str, days: float
) -> None:
    async with keeping(tmp_path, plan=plan, section=f"[history]\n{section}") as server:
        answer = await speak(server)
        if days:
            await entry(server, id_of(answer))
        page = await listed(server)
        assert (page["days"], len(page["data"])) == (days, int(bool(days)))


@each_row("audio_format", FORMATS)
async def test_sound_is_kept_as_it_was_heard(server: Inside, audio_format: str) -> None:
    answer = await speak(server, "Some words to hear.", response_format=audio_format)
    shown = await entry(server, id_of(answer))
    kept = await content(server, shown["id"])
    assert kept.headers["content-type"] == shown["sound"]["media_type"]
    assert len(kept.content) == shown["sound"]["bytes"]
    if audio_format not in ("wav", "pcm"):
        assert (kept.content, shown["sound"]["format"]) == (answer.content, audio_format)
        return
    assert shown["sound"]["format"] == "flac"
    assert len(kept.content) < len(answer.content)
    assert np.array_equal(
        decoded(kept.content, "flac").samples, decoded(answer.content, audio_format).samples
    )
    assert kept.headers["content-type"] == MEDIA_TYPES["flac"]


@each_row("more", [{"stream_format": "sse"}, {"stream_format": "words"}, {"response_format": "json"}])
async def test_sound_is_kept_whatever_it_comes_in(server: Inside, more: dict[str, Any]) -> None:
    plain = await server.speech()
    shown = await spoken(server, **more)
    assert shown["sound"]["format"] == "mp3"
    assert (await content(server, shown["id"])).content == plain.content


async def test_a_wav_that_is_streamed_is_kept_as_well(server: Inside) -> None:
    async with server.client(**{"x-stainless-raw-response": "stream"}) as client:
        body = {"model": "tts-1", "voice": "alloy", "input": "Hi.", "response_format": "wav", "history": True}
        answer = await client.post("/v1/audio/speech", json=body)
    shown = await entry(server, id_of(answer))
    kept = decoded((await content(server, shown["id"])).content, "flac")
    assert kept.seconds == pytest.approx(shown["seconds"], abs=0.001)


async def test_from_the_cache_an_answer_is_kept_again(server: Inside) -> None:
    spoken_ = await spoken(server, cache=True)

    async def hit() -> httpx2.Response | None:
        answer = await speak(server, cache=True)
        return answer if answer.headers["x-voxgate-cache"] == "hit" else None

    replayed = await entry(server, id_of(await soon(hit)))
    assert replayed["sound"] == spoken_["sound"]
    assert replayed["model"] == spoken_["model"]
    assert (await content(server, replayed["id"])).content == (await content(server, spoken_["id"])).content


async def test_a_replay_of_an_idempotency_key_is_no_second_entry(server: Inside) -> None:
    body = {"model": "tts-1", "voice": "alloy", "input": "Once.", "history": True}
    for _ in range(2):
        async with server.client(**{"idempotency-key": "order-1"}) as client:
            answer = await client.post("/v1/audio/speech", json=body)
    assert answer.headers["x-voxgate-replayed"] == "true"
    last = (await spoken(server))["id"]
    assert await ids(server) == [last, answer.headers["x-voxgate-replay-of"]]


async def test_a_conversion_is_kept_without_its_recording(server: Inside) -> None:
    fields = {
        "model": "tone/standard",
        "voice": "alloy",
        "consent": "true",
        "bitrate": "48",
        "history": "true",
    }
    async with server.client() as client:
        answer = await client.post("/v1/audio/conversions", data=fields, files={"file": recorded()})
        other = await client.post(
            "/v1/audio/conversions", data={**fields, "history": "often"}, files={"file": recorded()}
        )
    assert answer.is_success, answer.text
    assert (other.status_code, envelope(other)["param"]) == (400, "history")
    shown = await entry(server, id_of(answer))
    assert (shown["operation"], shown["text"], shown["outcome"]) == ("conversion", "", "finished")
    assert shown["request"] == {
        "model": "tone/standard",
        "voice": "alloy",
        "response_format": "mp3",
        "sample_rate": 24000,
        "bitrate": 48,
    }
    assert (await content(server, shown["id"])).content == answer.content


async def test_of_a_request_with_its_own_recording_nothing_can_be_kept(tmp_path: Path) -> None:
    async with keeping(tmp_path, plan="unlimited") as server, server.client() as client:
        fields = {"model": "tts-1", "input": "Hi.", "consent": "true", "history": "true"}
        files = {"reference_audio": recorded()}
        answer = await client.post("/v1/audio/speech", data=fields, files=files)
        assert (answer.status_code, envelope(answer)["param"]) == (400, "history")


async def test_an_answer_that_breaks_or_is_left_keeps_its_text_alone(server: Inside) -> None:
    long = "A text that is long enough to break in its middle. " * 4
    broken = await server.raw_speech({"model": "breaks", "voice": "alloy", "input": long, "history": True})
    start = next(message for message in broken if message["type"] == "http.response.start")
    id_ = dict(start["headers"])[b"x-request-id"].decode()
    shown = await entry(server, id_)
    assert (shown["outcome"], shown["credits"], shown["sound"]) == ("failed", 0, None)
    assert shown["error"]
    assert shown["text"] == long[:200] + shown["text"][200:]
    none = await content(server, id_)
    assert (none.status_code, envelope(none)["code"]) == (409, "conflict")
    left = asyncio.Event()

    async def leave(message: Message) -> None:
        if message["type"] == "http.response.body" and message["body"]:
            left.set()
            await asyncio.sleep(0)

    body = {"model": "tts-1", "voice": "alloy", "input": long, "response_format": "pcm", "history": True}
    await server.raw_speech(body, left, leave)

    async def of_left() -> dict[str, Any] | None:
        rows = (await listed(server))["data"]
        return rows[0] if len(rows) == 2 else None

    shown = await soon(of_left)
    assert (shown["outcome"], shown["sound"]) == ("left", None)


SETTINGS: dict[str, dict[str, Any]] = {
    "speed and language": {"speed": 1.5, "language": "pt-BR", "instructions": "Slowly."},
    "languages of sentences": {"language": "auto"},
    "words": {"lexicon": {"Hello": "Good day"}},
    "a cast": {"voice": {"cast": {"Ana": "alloy", "Ben": "tone/slow"}}, "input": "[Ana] Hi. [Ben] Ho."},
    "a form": {"response_format": "opus", "sample_rate": 16000, "bitrate": 24},
}


@each_row("more", SETTINGS.values(), SETTINGS.keys())
async def test_it_can_be_said_again_with_the_same_settings(server: Inside, more: dict[str, Any]) -> None:
    body = {"model": "tone/standard", "voice": "alloy", "input": "Hello, it is me.", **more}
    first = await server.ask("POST", "/v1/audio/speech", body={**body, "history": True})
    assert first.is_success, first.text
    kept = (await entry(server, id_of(first)))["request"]
    assert {name: kept[name] for name in more} == more
    again = await server.ask("POST", "/v1/audio/speech", body={**kept, "history": True})
    heard = [decoded(each.content, kept["response_format"]).seconds for each in (first, again)]
    assert heard[0] == pytest.approx(heard[1], abs=0.001)
    assert _of_sound(first) == _of_sound(again)
    assert (await entry(server, id_of(again)))["request"] == kept


def _of_sound(answer: httpx2.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name.startswith("x-voxgate-")}


HOSTILE = {
    "markup": "<script>alert(1)</script> \"'&",
    "right to left": "\u202eevil\u202c \u200f\u0645\u0631\u062d\u0628\u0627",
    "an endless word": "a" * 4096,
    "SQL": "'; DROP TABLE history; --",
    "emoji at the cut": "x" * 199 + "👩‍👩‍👧",
    "JSON": '{"history": true, "input": "\\u0000"}',
    "a line": "one\r\ntwo\ttab",
    "NUL": "before\u0000after",
}


@each_row("text", HOSTILE.values(), HOSTILE.keys())
async def test_hostile_texts_are_kept_as_they_are(server: Inside, text: str, capsys: Any) -> None:
    shown = await spoken(server, text)
    assert shown["text"] == shown["request"]["input"] == text
    (first,) = (await listed(server, "?limit=1"))["data"]
    assert first["text"] == text[:200]
    printed = capsys.readouterr()
    assert text[:20] not in printed.out + printed.err
