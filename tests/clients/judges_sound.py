"""What must be true of the sound that a client got, whichever client it is."""

import base64
import io
import json
import zipfile
from typing import Any

from tests.clients.servers import FORMATS, seconds, texts
from tests.clients.visits import TEXT, Visit, audio, pcm
from tests.sound import PADDING_S, decoded

_MEDIA_TYPES = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
_STREAMED_S = 1.0


def default_is_bare_mp3(visit: Visit) -> None:
    answer = visit.see()
    body = audio(answer)
    assert answer["headers"]["content-type"] == "audio/mpeg"
    assert begins_as("mp3", body)
    # A first frame that holds these instead of sound would claim a length for all that is joined to it.
    assert not {b"Xing", b"Info"} & {body[at : at + 4] for at in range(64)}
    assert texts(body, "mp3") == (TEXT,)
    # What a client that looks at the bytes makes of them.
    assert answer.get("media_type", "audio/mpeg") == "audio/mpeg"


def six_formats(visit: Visit) -> None:
    answers = visit.see()
    assert tuple(answers) == FORMATS
    for audio_format, answer in answers.items():
        body = audio(answer)
        assert answer["headers"]["content-type"] == _MEDIA_TYPES[audio_format]
        assert begins_as(audio_format, body), audio_format
        longer = decoded(body, audio_format).seconds - seconds(TEXT)
        assert -0.001 <= longer <= PADDING_S[audio_format], audio_format
        assert texts(body, audio_format) == (TEXT,), audio_format


def batch_keeps_what_it_can(visit: Visit) -> None:
    seen = visit.see()
    begun, ended = seen["begun"], seen["ended"]
    assert (begun["object"], begun["metadata"]) == ("batch", {"book": "one"})
    assert (ended["id"], ended["status"]) == (begun["id"], "completed")
    assert ended["request_counts"] == {"total": 3, "completed": 2, "failed": 1}
    assert begun["id"] in seen["listed"]
    rows = [json.loads(line) for line in seen["rows"].splitlines()]
    assert [row["custom_id"] for row in rows] == ["first", "last"]
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(seen["sound"], validate=True))) as sound:
        said = [texts(sound.read(row["response"]["body"]["file"]), "wav") for row in rows]
    assert said == [(TEXT,), (TEXT, "Twice.")]
    (refused,) = [json.loads(line) for line in seen["errors"].splitlines()]
    assert (refused["custom_id"], refused["response"]["status_code"]) == ("empty", 400)
    assert refused["response"]["body"]["error"]["param"] == "input"


def livekit_hears_events_and_bytes(visit: Visit) -> None:
    seen = visit.see()
    assert seen["warm"] == [200]
    for way in ("events", "bytes"):
        _assert_spoken(seen[way], way)
        (request_id,) = seen[way]["request_ids"]
        assert request_id.startswith("req_")
    # The numbers of the event that ends the stream; an answer in bytes has no place for any.
    (usage,) = seen["events"]["usage"]
    assert usage == {"input": len(TEXT), "output": -(-seconds(TEXT) * 20 // 1)}


def pipecat_hears_chunks_early(visit: Visit) -> None:
    seen = visit.see()
    for heard in seen.values():
        assert (heard["errors"], heard["rates"]) == ([], [24_000])
    assert texts(pcm(seen["whole"]), "pcm") == (TEXT,)
    # The engine took as long as its audio lasts, and the pipeline had most of that time to play.
    assert len(pcm(seen["slow"])) / 48_000 > 3 * _STREAMED_S
    assert seen["slow"]["lasted_s"] > _STREAMED_S


def voice_as_string_object_and_name(visit: Visit) -> None:
    answers = visit.see()
    assert set(answers) == {"id", "name", "object"}
    for answer in answers.values():
        assert answer["headers"]["x-voxgate-voice"] == "tone16k/only-here"
        assert texts(audio(answer), "mp3") == (TEXT,)


def events_have_openai_s_shape(visit: Visit) -> None:
    answer = visit.see()
    assert answer["headers"]["content-type"].partition(";")[0] == "text/event-stream"
    lines = [line for line in audio(answer).decode().split("\n") if line]
    assert all(line.startswith("data: ") for line in lines)
    *deltas, done = (json.loads(line.removeprefix("data: ")) for line in lines)
    assert len(deltas) > 1
    assert all(set(delta) == {"type", "audio"} for delta in deltas)
    assert {delta["type"] for delta in deltas} == {"speech.audio.delta"}
    joined = b"".join(base64.b64decode(delta["audio"], validate=True) for delta in deltas)
    assert begins_as("mp3", joined)
    assert texts(joined, "mp3") == (TEXT,)
    assert done["type"] == "speech.audio.done"
    counted = [done["usage"][name] for name in ("input_tokens", "output_tokens", "total_tokens")]
    assert all(type(number) is int and number > 0 for number in counted)
    assert counted[0] + counted[1] == counted[2]


def tts_1_never_sends_events(visit: Visit) -> None:
    answers = visit.see()
    assert len(answers) == 2
    for answer in answers:
        assert answer["headers"]["content-type"] == "audio/mpeg"
        assert begins_as("mp3", audio(answer))
        assert texts(audio(answer), "mp3") == (TEXT,)


def begins_as(audio_format: str, body: bytes) -> bool:
    match audio_format:
        case "mp3":
            # Eleven bits of sync, then a layer: ADTS has the same sync, but its layer is always 0.
            return body[0] == 0xFF and body[1] & 0xE0 == 0xE0 and body[1] & 0x06 != 0
        case "aac":
            return body[0] == 0xFF and body[1] & 0xF6 == 0xF0
        case "opus":
            return body.startswith(b"OggS") and body[28:36] == b"OpusHead"
        case "flac":
            return body.startswith(b"fLaC")
        case "wav":
            return body.startswith(b"RIFF") and body[8:16] == b"WAVEfmt "
        case _:
            return len(body) % 2 == 0


def _assert_spoken(heard: dict[str, Any], what: str) -> None:
    """24 kHz mono frames that hold every word."""
    assert heard["shapes"] == [[24_000, 1]], what
    assert texts(pcm(heard), "pcm") == (TEXT,), what


def what_was_said_is_written_down(visit: Visit) -> None:
    seen = visit.see()
    assert seen["json"]["text"] == seen["text"].removesuffix("\n") == seen["translation"].capitalize() == TEXT
    assert seen["srt"].startswith("1\n00:00:00,")
    assert seen["vtt"].startswith("WEBVTT\n\n00:00:00.")
    verbose = seen["verbose"]
    assert "".join(each["text"] for each in verbose["segments"]) == TEXT
    assert (verbose["language"], verbose["duration"]) == ("english", verbose["usage"]["seconds"])
    assert " ".join(seen["words"]) == TEXT
    *deltas, done = seen["events"]
    assert "".join(each["delta"] for each in deltas) == done["text"] == TEXT


def ears_of_frameworks_are_met(visit: Visit) -> None:
    """They ask `whisper-1` alone for times."""
    for model, heard in visit.see().items():
        assert heard["text"] == TEXT, model
        assert heard["language"] in ("en", "english", None)
        if model == "whisper-1" and "segments" in heard:
            assert heard["segments"][0]["text"] == TEXT
            assert heard["seconds"] > 0.5
