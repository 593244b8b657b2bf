"""Text-to-speech as ElevenLabs has it: the fields that count, and the shape of each refusal."""

import base64
import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from plugins.tone.decode import decode
from proxy.features.elevenlabs_api.fields import OUTPUT_FORMATS, parse_output_format
from tests.proxy.api.inside import TONE, Inside, inside, inside_fixture
from tests.sound import decoded
from tests.tables import each_row

TEXT = "Hello there, my friend."
server = inside_fixture(
    f"""{TONE}
[engines.tone16k]
plugin = "tone"
hosted = false
sample_rate_hz = 16000
[plans.tight]
max_characters = 10
[plans.poor]
allowance = 0
prices.speech = {{ credits = 1, per = "second" }}
"""
)


async def speak(server: Inside, path: str = "alloy", key: str | None = None, **body: Any) -> httpx2.Response:
    sent = {"text": TEXT, **body}
    headers = {"xi-api-key": server.key if key is None else key}
    return await server.ask("POST", f"/elevenlabs/v1/text-to-speech/{path}", key="", body=sent, **headers)


def detail(answer: httpx2.Response) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/json"
    (name, found), *more = answer.json().items()
    assert (name, more) == ("detail", [])
    assert found["code"] == found["status"]
    assert found["request_id"] == answer.headers["x-request-id"]
    assert found["message"]
    return dict(found)


def said(answer: httpx2.Response, format_: str = "mp3") -> str:
    assert answer.status_code == 200, answer.text
    sound = decoded(answer.content, format_)
    return " ".join(decode(sound.samples, sound.sample_rate_hz))


async def test_a_body_of_a_text_alone_is_spoken_as_mp3_by_the_default_model(server: Inside) -> None:
    answer = await speak(server)
    assert said(answer) == TEXT
    assert answer.headers["content-type"] == "audio/mpeg"
    assert answer.headers["request-id"] == answer.headers["x-request-id"]
    assert answer.headers["character-cost"] == str(len(TEXT))
    (row,) = await server.usage()
    assert row.characters == len(TEXT)


async def test_a_voice_is_found_by_the_id_of_the_list_also_with_a_slash(server: Inside) -> None:
    assert said(await speak(server, "tone/slow/stream?output_format=pcm_24000"), "pcm") == TEXT
    assert said(await speak(server, "tone%2Fslow?output_format=pcm_24000"), "pcm") == TEXT


@each_row("name", OUTPUT_FORMATS)
def test_each_format_is_one_of_ours(name: str) -> None:
    form = parse_output_format(name)
    numbers = name.split("_")
    assert form.sample_rate_hz == int(numbers[1])
    assert form.kbit_s == (int(numbers[2]) if numbers[2:] else None)


@each_row(("name", "format_"), [("ulaw_8000", "g711_ulaw"), ("opus_48000_64", "opus"), ("wav_24000", "wav")])
async def test_formats_are_sent_as_they_are_called(server: Inside, name: str, format_: str) -> None:
    answer = await speak(server, f"alloy?output_format={name}")
    assert answer.status_code == 200
    assert abs(decoded(answer.content, format_).seconds - 1.6) < 0.3


@each_row(
    ("more", "model"),
    [
        ({}, "tone/standard"),
        ({"model_id": "eleven_multilingual_v2"}, "tone/standard"),
        ({"model_id": "tone16k"}, "tone16k/standard"),
    ],
)
async def test_a_model_of_elevenlabs_that_no_engine_has_is_the_default(
    server: Inside, more: dict[str, Any], model: str
) -> None:
    answer = await speak(server, "tone16k/tone" if "16k" in model else "alloy", **more)
    assert answer.headers["x-voxgate-engine"] == model


async def test_speed_counts_and_other_settings_do_not(server: Inside) -> None:
    usual = await speak(server, "alloy?output_format=pcm_24000")
    settings: dict[str, Any] = {"speed": 2.0, "stability": 0.1, "similarity_boost": 2, "style": "x"}
    fast = await speak(server, "alloy?output_format=pcm_24000", voice_settings=settings)
    assert len(fast.content) == pytest.approx(len(usual.content) / 2, rel=0.05)


async def test_fields_without_a_meaning_here_are_taken(server: Inside) -> None:
    more: dict[str, Any] = {
        "previous_text": "a",
        "next_request_ids": [],
        "apply_text_normalization": "off",
        "nothing": [1],
    }
    query = "enable_logging=false&optimize_streaming_latency=3"
    assert said(await speak(server, f"alloy?{query}", seed=7, **more)) == TEXT


async def test_a_language_that_the_model_lacks_is_ignored(server: Inside) -> None:
    assert (await speak(server, language_code="xx")).status_code == 200
    assert detail(await speak(server, language_code="no language"))["param"] == "language_code"


async def test_elements_of_ssml_are_read_if_the_query_says_so(server: Inside) -> None:
    text = 'R&B <break time="100ms"/> is <loud>now</loud>.'
    answer = await speak(server, "alloy?enable_ssml_parsing=true&output_format=pcm_24000", text=text)
    assert said(answer, "pcm") == "R&B is now."
    (row,) = await server.usage()
    assert answer.headers["character-cost"] == str(row.characters)
    rooted = f'<?xml version="1.0"?><speak>{text}</speak>'
    again = await speak(server, "alloy?enable_ssml_parsing=true&output_format=pcm_24000", text=rooted)
    assert said(again, "pcm") == "R&B is now."
    broken = await speak(server, "alloy?enable_ssml_parsing=true", text="a </loud> b")
    assert (broken.status_code, detail(broken)["code"], detail(broken)["param"]) == (
        400,
        "invalid_ssml",
        "text",
    )
    assert "'text': at line 1, column 5 of" in detail(broken)["message"]


@each_row(
    ("path", "body", "status", "code", "param"),
    [
        ("alloy", {"text": ""}, 400, "invalid_value", "text"),
        ("alloy", {"text": "  "}, 400, "invalid_value", "text"),
        ("alloy", {"text": None}, 400, "missing_required_parameter", "text"),
        ("alloy", {"text": 7}, 400, "invalid_value", "text"),
        ("alloy", {"text": "a" * 4097}, 400, "max_character_limit_exceeded", "text"),
        ("alloy", {"model_id": "none"}, 404, "model_not_found", "model_id"),
        ("alloy", {"model_id": ""}, 400, "invalid_value", "model_id"),
        ("alloy", {"voice_settings": []}, 400, "invalid_value", "voice_settings"),
        ("alloy", {"voice_settings": {"speed": 9}}, 400, "invalid_value", "voice_settings.speed"),
        ("alloy", {"voice_settings": {"speed": "1"}}, 400, "invalid_value", "voice_settings.speed"),
        ("alloy", {"seed": -1}, 400, "invalid_value", "seed"),
        ("nobody", {}, 400, "voice_not_found", "voice_id"),
        ("alloy?output_format=pcm_32000", {}, 422, "unsupported_output_format", "output_format"),
        ("alloy?output_format=mp3", {}, 422, "unsupported_output_format", "output_format"),
        ("alloy/backwards/with-timestamps", {}, 400, "voice_not_found", "voice_id"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_what_is_wrong_is_named(
    server: Inside, path: str, body: dict[str, Any], status: int, code: str, param: str
) -> None:
    answer = await speak(server, path, **body)
    found = detail(answer)
    assert (answer.status_code, found["code"], found["param"]) == (status, code, param)
    assert found["message"].isprintable()


async def test_a_refusal_names_the_lists_of_this_api(server: Inside) -> None:
    for path, body, listed in (("nobody", {}, "v2/voices"), ("alloy", {"model_id": "none"}, "v1/models")):
        assert f"GET /elevenlabs/{listed} " in detail(await speak(server, path, **body))["message"]


async def test_a_page_of_another_origin_may_read_the_headers(tmp_path: Path) -> None:
    config = TONE.replace("[server]", '[server]\ncors_origins = ["https://page.test"]')
    async with inside(tmp_path, config) as opened:
        headers = {"xi-api-key": opened.key, "origin": "https://page.test"}
        path = "/elevenlabs/v1/text-to-speech/alloy"
        answer = await opened.ask("POST", path, key="", body={"text": TEXT}, **headers)
        exposed = answer.headers["access-control-expose-headers"].split(", ")
        assert {"request-id", "character-cost"} <= {*exposed} & {*answer.headers}


async def test_a_body_that_is_no_json_is_refused(server: Inside) -> None:
    async with server.client("", **{"xi-api-key": server.key}) as client:
        for content in (b"", b"{", b"[1]", b'{"text": "\\ud800"}', b"\xff\xfe"):
            answer = await client.post("/elevenlabs/v1/text-to-speech/alloy", content=content)
            assert (answer.status_code, detail(answer)["type"]) == (400, "invalid_request_error")
        large = await client.post("/elevenlabs/v1/text-to-speech/alloy", content=b" " * 300_000)
        assert (large.status_code, detail(large)["code"]) == (413, "request_too_large")


async def test_used_up_credits_are_no_reason_to_ask_again(server: Inside) -> None:
    account = (await server.administer("POST", "accounts", {"name": "bob", "plan": "poor"})).json()
    key = (await server.administer("POST", "keys", {"account": account["id"]})).json()["key"]
    answer = await speak(server, key=key)
    assert (answer.status_code, detail(answer)["code"]) == (401, "quota_exceeded")
    assert answer.headers["x-should-retry"] == "false"


async def test_a_plan_limits_the_characters(server: Inside) -> None:
    account = (await server.administer("POST", "accounts", {"name": "bob", "plan": "tight"})).json()
    key = (await server.administer("POST", "keys", {"account": account["id"]})).json()["key"]
    answer = await speak(server, key=key)
    assert (answer.status_code, detail(answer)["code"]) == (403, "max_character_limit_exceeded")


@each_row(
    ("method", "path", "status", "code"),
    [
        ("GET", "v1/text-to-speech/alloy", 405, "method_not_allowed"),
        ("POST", "v1/sound-generation", 404, "unknown_url"),
        ("POST", "v1/speech-to-speech/alloy", 404, "unknown_url"),
        ("POST", "v1/text-to-dialogue", 404, "unknown_url"),
        ("GET", "v1/user", 404, "unknown_url"),
        ("POST", "v1/voices/add", 405, "method_not_allowed"),
        ("GET", "v1/voices/nobody", 404, "voice_not_found"),
        ("GET", "v1/audio/speech", 404, "unknown_url"),
    ],
)
async def test_what_is_not_served_is_said_in_elevenlabs_shape(
    server: Inside, method: str, path: str, status: int, code: str
) -> None:
    answer = await server.ask(method, f"/elevenlabs/{path}", key="", **{"xi-api-key": server.key})
    assert (answer.status_code, detail(answer)["code"]) == (status, code)


async def test_the_key_is_in_its_header_alone(server: Inside) -> None:
    for headers in ({}, {"authorization": f"Bearer {server.key}"}, {"xi-api-key": "vg-wrong"}):
        answer = await server.ask("GET", "/elevenlabs/v1/models", key="", **headers)
        assert (answer.status_code, detail(answer)["code"]) == (401, "invalid_api_key")
        assert "xi-api-key" in detail(answer)["message"] or "wrong" in headers.get("xi-api-key", "")


async def test_times_of_characters_come_with_a_whole_answer(server: Inside) -> None:
    answer = await speak(server, "alloy/with-timestamps?output_format=pcm_24000")
    found = answer.json()
    pcm = base64.b64decode(found["audio_base64"])
    check_alignment(found["alignment"], TEXT, len(pcm) / 48_000)
    assert found["normalized_alignment"] == found["alignment"]


async def test_times_of_characters_come_with_the_lines_of_a_stream(server: Inside) -> None:
    text = "Hello there. How are you today? I am fine."
    answer = await speak(server, "alloy/stream/with-timestamps?output_format=pcm_24000", text=text)
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert len(lines) > 3
    pcm = b"".join(base64.b64decode(line["audio_base64"]) for line in lines)
    assert decode(decoded(pcm, "pcm").samples, 24_000) == ("Hello there.", "How are you today?", "I am fine.")
    whole: dict[str, list[Any]] = {}
    for line in lines:
        for name, values in (line["alignment"] or {}).items():
            whole.setdefault(name, []).extend(values)
    check_alignment(whole, text, len(pcm) / 48_000)
    assert lines[0]["alignment"] is None or lines[0]["alignment"]["characters"] != [*text]


def check_alignment(alignment: dict[str, list[Any]], text: str, seconds: float) -> None:
    characters, starts, ends = alignment.values()
    assert "".join(characters) == text
    assert len(starts) == len(ends) == len(text)
    assert starts == sorted(starts)
    assert all(start <= end for start, end in zip(starts, ends, strict=True))
    assert 0 <= starts[0] < ends[-1] <= seconds + 0.1
