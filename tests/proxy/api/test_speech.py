"""POST /v1/audio/speech from outside: what was said comes back, in the shape that was asked for."""

from __future__ import annotations

import base64
import io
import json
import wave
from pathlib import Path

import pytest

from plugins.tone.decode import decode
from tests.proxy.api.inside import TONE, Inside, envelope, inside
from tests.sound import decoded

TEXT = "Hello there. สวัสดีครับ!"
SEGMENTS = ("Hello there.", "สวัสดีครับ!")


def heard(data: bytes, audio_format: str) -> tuple[str, ...]:
    return decode(*decoded(data, audio_format))


async def test_an_answer_says_who_spoke_and_is_not_to_be_kept(server: Inside) -> None:
    headers = (await server.speech(language="pt-BR")).headers
    assert headers["content-type"] == "audio/mpeg"
    assert headers["x-voxgate-engine"] == "tone/standard"
    assert headers["x-voxgate-voice"] == "alloy"
    assert headers["x-voxgate-language"] == "pt-BR"
    assert headers["x-voxgate-sample-rate"] == "24000"
    assert headers["cache-control"] == "no-store"
    assert headers["x-request-id"].startswith("req_")
    assert "content-encoding" not in headers


async def test_a_short_wav_has_true_sizes_and_a_streamed_one_says_unknown(server: Inside) -> None:
    body = {"model": "tts-1", "voice": "alloy", "input": TEXT, "response_format": "wav"}
    whole = await server.ask("POST", "/v1/audio/speech", body=body)
    streamed = await server.ask(
        "POST", "/v1/audio/speech", body=body, **{"x-stainless-raw-response": "stream"}
    )
    with wave.open(io.BytesIO(whole.content)) as sound:
        assert sound.getnframes() * 2 == len(whole.content) - 44
    assert int(whole.headers["content-length"]) == len(whole.content)
    assert streamed.content[4:8] == streamed.content[40:44] == b"\xff\xff\xff\xff"
    assert "content-length" not in streamed.headers
    assert streamed.content[44:] == whole.content[44:]


async def test_json_carries_the_audio_its_length_and_its_words(server: Inside) -> None:
    answer = await server.speech(TEXT, response_format="json", audio_format="flac")
    body = answer.json()
    audio = base64.b64decode(body["audio_base64"])
    assert answer.headers["content-type"] == "application/json"
    assert (body["audio_format"], body["voice_used"], body["model_used"]) == (
        "flac",
        "alloy",
        "tone/standard",
    )
    assert heard(audio, "flac") == SEGMENTS
    assert body["duration_seconds"] == pytest.approx(decoded(audio, "flac").seconds, abs=0.01)
    assert [word["word"] for word in body["words"]] == TEXT.split()
    starts = [word["start_seconds"] for word in body["words"]]
    assert starts == sorted(starts)
    assert 0 <= starts[0] < starts[-1] < body["duration_seconds"]


async def test_events_carry_the_same_audio_and_end_with_the_usage(server: Inside) -> None:
    answer = await server.speech(TEXT, model="gpt-4o-mini-tts", stream_format="sse", response_format="wav")
    assert answer.headers["content-type"].startswith("text/event-stream")
    lines = [line for line in answer.text.split("\n\n") if line]
    assert all(line.startswith("data: ") and "\n" not in line for line in lines)
    *deltas, done = (json.loads(line.removeprefix("data: ")) for line in lines)
    audio = b"".join(base64.b64decode(delta["audio"]) for delta in deltas)
    assert {delta["type"] for delta in deltas} == {"speech.audio.delta"}
    assert heard(audio, "wav") == SEGMENTS
    usage = done["usage"]
    assert done["type"] == "speech.audio.done"
    assert usage["input_tokens"] == usage["characters"] == len(TEXT)
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    assert usage["output_tokens"] == pytest.approx(decoded(audio, "wav").seconds * 20, abs=1)


async def test_events_for_tts_1_are_plain_audio(server: Inside) -> None:
    answer = await server.speech(stream_format="sse")
    assert answer.headers["content-type"] == "audio/mpeg"


@pytest.mark.parametrize("text", [".", "…", "?!", "😀", "1", "\x00a", "a\u0301", "👨‍👩‍👧", "\n.\n"])
@pytest.mark.parametrize("audio_format", ["mp3", "opus", "wav"])
async def test_the_smallest_texts_are_valid_audio(server: Inside, text: str, audio_format: str) -> None:
    answer = await server.speech(text, response_format=audio_format)
    assert answer.status_code == 200
    assert decoded(answer.content, audio_format).seconds > 0.05


@pytest.mark.parametrize("text", ["\u200b", "\u200d\u200c", "\x07", "\ufeff \ufeff"])
async def test_a_text_with_nothing_to_say_is_a_400(server: Inside, text: str) -> None:
    answer = await server.speech(text)
    assert (answer.status_code, envelope(answer)["param"]) == (400, "input")


@pytest.mark.parametrize("voice", ["alloy", {"id": "alloy"}, "Tone", "tone/tone"])
async def test_a_voice_is_its_id_an_object_or_a_name(server: Inside, voice: object) -> None:
    answer = await server.speech("Hi.", voice=voice, response_format="pcm")
    assert heard(answer.content, "pcm") == ("Hi.",)


@pytest.mark.parametrize(
    ("change", "status", "code", "param"),
    [
        ({"model": "gpt-9"}, 404, "model_not_found", "model"),
        ({"voice": "nobody"}, 400, "voice_not_found", "voice"),
        ({"pitch": 3}, 400, "unsupported_value", "pitch"),
        ({"emotion": "happy"}, 400, "unsupported_value", "emotion"),
        ({"voice": "tone/refuse"}, 400, "content_refused", "input"),
        ({"voice": "tone/no-text"}, 400, "unsupported_text", "input"),
        ({"voice": "tone/no-language"}, 400, "unsupported_language", "language"),
        ({"voice": "tone/fail"}, 503, "engine_unavailable", None),
        ({"voice": "tone/bug"}, 503, "engine_unavailable", None),
        ({"voice": "tone/busy"}, 503, "engine_unavailable", None),
        ({"voice": "tone/timeout"}, 503, "engine_timeout", None),
    ],
)
async def test_a_failure_before_audio_is_a_status_and_charges_nothing(
    server: Inside, change: dict[str, object], status: int, code: str, param: str | None
) -> None:
    answer = await server.speech("Private words.", **change)
    error = envelope(answer)
    assert (answer.status_code, error["code"], error["param"]) == (status, code, param)
    assert "rivate" not in answer.text
    if status == 503:
        assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert all((row.outcome, row.samples) == ("failed", 0) for row in await server.usage())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            {"voice": "aloy"},
            "'aloy' does not exist. Did you mean alloy? GET /v1/audio/voices has all voices.",
        ),
        ({"voice": {"cast": {"Ana": "aloy"}}}, "GET /v1/audio/voices has all voices."),
        ({"model": "tts-11"}, "Did you mean tts-1? GET /v1/models lists those that you may use."),
        ({"lexicon": "gone"}, "The lexicon 'gone' does not exist. The lexicons are: none."),
    ],
)
async def test_an_unknown_name_is_answered_with_the_closest_and_all(
    server: Inside, change: dict[str, object], says: str
) -> None:
    assert says in envelope(await server.speech("[Ana] Hello.", **change))["message"]


async def test_an_answer_that_was_written_is_on_record(server: Inside) -> None:
    answer = await server.speech("Hello there.", response_format="pcm", language="pt")
    (row,) = await server.usage()
    assert row.id == answer.headers["x-request-id"]
    assert (row.account, row.outcome, row.error) == (server.account.id, "finished", None)
    assert (row.engine, row.model, row.voice, row.language) == ("tone", "standard", "alloy", "pt")
    assert (row.format, row.characters) == ("pcm", 12)
    assert row.samples * 2 == len(answer.content)
    assert row.first_byte_ms is not None


@pytest.mark.parametrize("speed", [0.25, 0.5, 2.0, 4.0])
async def test_a_speed_is_the_engines_own_where_it_can(server: Inside, speed: float) -> None:
    answer = await server.speech("Quick or slow.", speed=speed, response_format="flac")
    sound = decoded(answer.content, "flac")
    assert decode(sound.samples, sound.sample_rate_hz, speed=speed) == ("Quick or slow.",)


async def test_the_longest_text_is_spoken_whole(server: Inside) -> None:
    text = " ".join(["word"] * 820)[:4096]
    answer = await server.speech(text, response_format="pcm")
    assert len(text) > 4090
    assert " ".join(heard(answer.content, "pcm")) == text


async def test_missing_fields_are_filled_only_where_the_operator_says_so(tmp_path: Path) -> None:
    filled = TONE.replace("[server]", "[server]\nfill_missing = true")
    async with inside(tmp_path, filled) as server:
        answer = await server.ask("POST", "/v1/audio/speech", body={"input": "Hello."})
    assert answer.headers["x-voxgate-voice"] == "alloy"


async def test_missing_fields_are_a_400_as_shipped(server: Inside) -> None:
    answer = await server.ask("POST", "/v1/audio/speech", body={"input": "Hello."})
    assert (answer.status_code, envelope(answer)["param"]) == (400, "model")


@pytest.mark.parametrize("voice", ["tone/fail-late", "tone/no-finish"])
async def test_a_failure_after_audio_breaks_the_answer_and_never_ends_it(server: Inside, voice: str) -> None:
    body = {
        "model": "tts-1",
        "voice": voice,
        "input": "A text of some length. " * 4,
        "response_format": "pcm",
    }
    start, *rest = await server.raw_speech(body)
    assert start["status"] == 200
    assert sum(len(message["body"]) for message in rest) > 10_000
    assert all(message["more_body"] for message in rest)
    (row,) = await server.usage()
    assert (row.outcome, row.error) == ("failed", "engine_unavailable")


async def test_events_of_a_failure_tell_it_before_they_break_off(server: Inside) -> None:
    body = {"model": "gpt-4o-mini-tts", "voice": "tone/fail-late", "stream_format": "sse"}
    sent = await server.raw_speech({"input": "A text of some length. " * 4, **body})
    last = json.loads(sent[-1]["body"].removeprefix(b"data: "))
    assert (last["type"], last["error"]["code"]) == ("error", "engine_unavailable")
    assert len(sent) > 2
    assert all(message["more_body"] for message in sent[1:])


@pytest.mark.parametrize("model", ["tts-1", "gpt-4o-mini-tts"])
async def test_events_of_words_tell_each_word_once_beside_the_same_audio(server: Inside, model: str) -> None:
    answer = await server.speech(TEXT, model=model, stream_format="words", response_format="pcm")
    events = [json.loads(line.removeprefix("data: ")) for line in answer.text.split("\n\n") if line]
    assert [each["type"] for each in events][-1] == "speech.audio.done"
    audio = b"".join(base64.b64decode(each["audio"]) for each in events if "audio" in each)
    assert audio == (await server.speech(TEXT, response_format="pcm")).content
    words = [word for each in events for word in each.get("words", ())]
    whole = await server.speech(TEXT, response_format="json")
    assert words == whole.json()["words"]
