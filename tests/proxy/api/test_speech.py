"""POST /v1/audio/speech from outside: what was said comes back, in the shape that was asked for."""

import base64
import io
import json
import wave

import pytest

from plugins.tone.decode import decode
from tests.proxy.api.inside import Inside, envelope
from tests.sound import decoded
from tests.tables import each_row

TEXT = "Hello there. สวัสดีครับ!"
SEGMENTS = ("Hello there.", "สวัสดีครับ!")


def heard(data: bytes, audio_format: str) -> tuple[str, ...]:
    return decode(*decoded(data, audio_format))


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


@each_row("text", [".", "…", "?!", "😀", "1", "\x00a", "a\u0301", "👨‍👩‍👧", "\n.\n"])
@each_row("audio_format", ["mp3", "opus", "wav"])
async def test_the_smallest_texts_are_valid_audio(server: Inside, text: str, audio_format: str) -> None:
    answer = await server.speech(text, response_format=audio_format)
    assert answer.status_code == 200
    assert decoded(answer.content, audio_format).seconds > 0.05


@each_row("text", ["\u200b", "\u200d\u200c", "\x07", "\ufeff \ufeff"])
async def test_a_text_with_nothing_to_say_is_a_400(server: Inside, text: str) -> None:
    answer = await server.speech(text)
    assert (answer.status_code, envelope(answer)["param"]) == (400, "input")


@each_row(
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


@each_row(
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
