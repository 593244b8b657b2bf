"""Recordings written down: every format, field, event and error, as OpenAI's clients know them."""

import asyncio
import json
import re
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest

from proxy.errors import DecodingFailed, HostLost, UpstreamFailed
from proxy.features.transcriptions.events import checked_transcripts
from proxy.features.transcriptions.long_decoder import LongDecoder
from proxy.features.transcriptions.rates import HearingRates
from speech_engine import (
    EngineFailed,
    EngineTimeout,
    EngineUnavailable,
    Event,
    Finished,
    Transcript,
    UnusableSample,
)
from speech_engine.hearing import HEARING_HZ
from tests.features.transcriptions.ears import (
    TRANSLATIONS,
    Ears,
    heard,
    raw,
    recorded,
    said,
    whole,
)
from tests.proxy.api.inside import Inside, LeavingPeer, envelope, inside, inside_fixture
from tests.proxy.audio.recordings.clips import Kind, encoded
from tests.sound import decoded
from tests.speech_engine.host.simulated_time import simulated
from tests.tables import each_row
from tests.tones import of_seconds
from tests.waiting import soon

TEXT = "Hello there. This is a test. It goes on."
CONFIG = """
[server]
default_model = "tone"
[engines.tone]
hosted = false
hears = true
[models]
ears = ["tone/ears"]
gpt-transcribe = ["tone/ears"]
[voices.alloy]
tone = "tone"
"""
server = inside_fixture(CONFIG)


def events(answer: httpx2.Response) -> list[dict[str, Any]]:
    assert answer.headers["content-type"].startswith("text/event-stream")
    return [json.loads(line.removeprefix("data: ")) for line in answer.text.split("\n\n") if line]


def cues(text: str) -> list[tuple[float, float, str]]:
    """An independent reader of both kinds of subtitles."""
    stamp = r"(\d\d):(\d\d):(\d\d)[.,](\d{3})"
    found = []
    for first in re.finditer(rf"^{stamp} --> {stamp}\n((?:.+\n)+)", text, re.MULTILINE):
        numbers = [int(each) for each in first.groups()[:8]]
        start, end = (
            sum(part * unit for part, unit in zip(each, (3600, 60, 1, 0.001), strict=True))
            for each in (numbers[:4], numbers[4:])
        )
        found.append((start, end, first[9].strip()))
    return found


async def test_each_format_has_the_same_words(server: Inside) -> None:
    audio = recorded(TEXT)
    plain = await heard(server, audio)
    assert plain.json()["text"] == TEXT
    assert plain.json()["languages"] == [{"code": "en"}]
    seconds = plain.json()["usage"]["seconds"]
    assert plain.json()["usage"] == {"type": "duration", "seconds": seconds}
    assert plain.headers["x-voxgate-engine"] == "tone/ears"
    assert (await heard(server, audio, response_format="text")).text == f"{TEXT}\n"
    for format_ in ("srt", "vtt"):
        subtitles = await heard(server, audio, response_format=format_)
        assert subtitles.headers["content-type"] == "text/plain; charset=utf-8"
        found = cues(subtitles.text)
        assert " ".join(text for _, _, text in found) == TEXT
        moments = [moment for start, end, _ in found for moment in (start, end)]
        assert moments == sorted(moments)
        assert 0 <= moments[0] < moments[-1] <= seconds
    assert subtitles.text.startswith("WEBVTT\n\n")


async def test_a_verbose_answer_has_the_times_that_were_asked_for(server: Inside) -> None:
    audio = recorded(TEXT)
    verbose: dict[str, Any] = {"response_format": "verbose_json"}
    usual = (await heard(server, audio, **verbose)).json()
    assert (usual["task"], usual["language"], usual["text"]) == ("transcribe", "english", TEXT)
    assert "words" not in usual
    assert "".join(segment["text"] for segment in usual["segments"]) == TEXT
    assert [segment["id"] for segment in usual["segments"]] == [0, 1, 2]
    both: dict[str, Any] = {"timestamp_granularities[]": ["word", "segment"]}
    answer = (await heard(server, audio, **verbose, **both)).json()
    assert [word["word"] for word in answer["words"]] == TEXT.split()
    assert answer["segments"] == usual["segments"]
    words = (await heard(server, audio, **verbose, timestamp_granularities="word")).json()
    assert "segments" not in words
    assert words["words"] == answer["words"]


async def test_the_deltas_of_a_stream_are_its_text(server: Inside) -> None:
    *deltas, done = events(await heard(server, recorded(TEXT), stream="true"))
    assert len(deltas) > 1
    assert {each["type"] for each in deltas} == {"transcript.text.delta"}
    assert "".join(each["delta"] for each in deltas) == done["text"] == TEXT
    assert done["type"] == "transcript.text.done"
    assert done["usage"]["type"] == "duration"


async def test_a_translation_is_in_english_and_has_no_fields_of_its_own(server: Inside) -> None:
    answer = await heard(server, recorded(TEXT), path=TRANSLATIONS, response_format="verbose_json")
    assert (answer.json()["task"], answer.json()["language"]) == ("translate", "english")
    assert answer.json()["text"] == TEXT.upper()
    ignored = await heard(server, recorded(TEXT), path=TRANSLATIONS, language="de", stream="true")
    assert ignored.json()["text"] == TEXT.upper()
    assert ignored.headers["x-voxgate-ignored"] == "language, stream"


async def test_fields_of_openai_that_change_nothing_are_named(server: Inside) -> None:
    fields: dict[str, Any] = {
        "chunking_strategy[type]": "server_vad",
        "chunking_strategy[threshold]": "0.5",
        "include[]": ["logprobs"],
        "vad_filter": "true",
        "diarize": "false",
        "unknown": "x",
    }
    answer = await heard(server, recorded(TEXT), **fields)
    assert answer.json()["text"] == TEXT
    assert answer.headers["x-voxgate-ignored"] == "chunking_strategy, diarize, include, vad_filter"


WRONG: tuple[tuple[dict[str, Any], int, str, str], ...] = (
    ({"response_format": "diarized_json"}, 400, "response_format", "unsupported_value"),
    ({"response_format": "mp3"}, 400, "response_format", "invalid_value"),
    ({"response_format": "srt", "stream": "true"}, 400, "response_format", "unsupported_value"),
    (
        {"response_format": "verbose_json", "stream": "true"},
        400,
        "response_format",
        "unsupported_value",
    ),
    (
        {"timestamp_granularities[]": "word"},
        400,
        "timestamp_granularities",
        "unsupported_value",
    ),
    (
        {"timestamp_granularities[]": "letter", "response_format": "verbose_json"},
        400,
        "timestamp_granularities",
        "invalid_value",
    ),
    ({"temperature": "2"}, 400, "temperature", "invalid_value"),
    ({"temperature": "warm"}, 400, "temperature", "invalid_value"),
    ({"stream": "yes"}, 400, "stream", "invalid_value"),
    ({"model": None}, 400, "model", "missing_required_parameter"),
    ({"model": "nobody"}, 404, "model", "model_not_found"),
    ({"model": "tone/standard"}, 400, "model", "unsupported_model"),
    ({"model": "gpt-4o-transcribe-diarize"}, 400, "model", "unsupported_value"),
    ({"diarize": "true"}, 400, "diarize", "unsupported_value"),
    ({"language": "english please"}, 400, "language", "invalid_value"),
    ({"prompt": "a" * 8193}, 400, "prompt", "invalid_value"),
    ({"prompt": "é" * 4000, "keywords[]": "é" * 200}, 400, "prompt", "invalid_value"),
    ({"audio": b""}, 400, "file", "invalid_audio"),
    ({"audio": b"a text that is named mp3" * 99}, 400, "file", "invalid_audio"),
    ({"audio": of_seconds(0.05)}, 400, "file", "audio_too_short"),
    ({"audio": bytes(25 * 1024 * 1024 + 1)}, 413, "file", "request_too_large"),
)


@each_row(("wrong", "status", "param", "code"), WRONG)
async def test_what_is_wrong_is_named(
    server: Inside, wrong: dict[str, Any], status: int, param: str, code: str
) -> None:
    fields = {"audio": recorded("Hi."), **wrong}
    answer = await heard(server, fields.pop("audio"), **fields)
    error = envelope(answer)
    assert (answer.status_code, error["param"], error["code"]) == (status, param, code), error


async def test_without_a_file_the_field_is_named(server: Inside) -> None:
    async with server.client() as client:
        answer = await client.post(
            "/v1/audio/transcriptions", data={"model": "ears"}, files={"other": ("a", b"")}
        )
    assert envelope(answer)["param"] in ("file", "other")
    assert answer.status_code == 400


async def test_silence_is_an_empty_text(server: Inside) -> None:
    answer = await heard(server, of_seconds(1.0, level=0), response_format="verbose_json")
    assert (answer.status_code, answer.json()["text"], answer.json()["segments"]) == (200, "", [])
    (done,) = events(await heard(server, of_seconds(1.0, level=0), stream="true"))
    assert done["text"] == ""
    for format_, body in (("srt", "\n"), ("vtt", "WEBVTT\n"), ("text", "\n")):
        assert (await heard(server, of_seconds(1.0, level=0), response_format=format_)).text == body


SCRIPTED = """
[server]
default_model = "ears"
[engines.one]
[engines.two]
[models]
ears = ["one/m", "two/m"]
"""


async def test_another_model_hears_until_something_was_given_out(tmp_path: Path) -> None:
    broken = Ears(said(" First."), EngineFailed("It broke."))
    good = Ears(*whole(said("Second.")))
    async with inside(tmp_path, SCRIPTED, {"one": broken, "two": good}) as server:
        answer = await heard(server, of_seconds(2.0))
        assert (answer.json()["text"], answer.headers["x-voxgate-engine"]) == ("Second.", "two/m")
        messages = await raw(server, of_seconds(2.0), LeavingPeer(), stream="true")
        assert messages[-1]["more_body"], "the answer is broken off"
        sent = b"".join(message.get("body", b"") for message in messages).decode()
        delta, error = (json.loads(line.removeprefix("data: ")) for line in sent.split("\n\n") if line)
        assert delta["delta"] == "First."
        assert (error["type"], error["error"]["code"]) == ("error", "engine_unavailable")
        broken.script, broken.jobs = (HostLost("It died."),), []
        assert (await heard(server, of_seconds(2.0))).json()["text"] == "Second."
        assert len(broken.jobs) == 2, "its next host is tried once"


@each_row(
    ("failure", "status", "code"),
    [
        (EngineUnavailable("It is away.", retry_after_s=3.0), 503, "engine_unavailable"),
        (UnusableSample("It is noise."), 400, "invalid_audio"),
    ],
)
async def test_a_failure_of_all_is_told(tmp_path: Path, failure: Exception, status: int, code: str) -> None:
    ears = {"one": Ears(failure), "two": Ears(failure)}
    async with inside(tmp_path, SCRIPTED, ears) as server:
        answer = await heard(server, of_seconds(1.0))
        assert (answer.status_code, envelope(answer)["code"]) == (status, code)
        assert ("retry-after" in answer.headers) == (status == 503)


async def test_the_engine_gets_what_the_request_says_and_all_of_the_sound(tmp_path: Path) -> None:
    ears = Ears(*whole(said("Ja.")))
    async with inside(tmp_path, SCRIPTED, {"one": ears, "two": Ears()}) as server:
        fields: dict[str, Any] = {
            "language": "PT-br",
            "prompt": "Olá",
            "temperature": "0.4",
            "keywords[]": ["a", "b"],
        }
        await heard(server, of_seconds(1.5), **fields)
        (job,) = ears.jobs
        assert (job.language, job.prompt, job.temperature, job.keywords) == ("pt-BR", "Olá", 0.4, ("a", "b"))
        assert (job.task, job.times, job.estimated_s) == ("transcribe", "", 1.5)
        assert abs(ears.heard_bytes / 2 / HEARING_HZ - 1.5) < 0.01


async def test_a_model_without_times_hears_only_where_none_are_needed(tmp_path: Path) -> None:
    blind, timed = Ears(*whole(said("Blind.")), times_words=False), Ears(*whole(said("Timed.")))
    async with inside(tmp_path, SCRIPTED, {"one": blind, "two": timed}) as server:
        assert (await heard(server, of_seconds(1.0))).json()["text"] == "Blind."
        assert (await heard(server, of_seconds(1.0), response_format="verbose_json")).json()[
            "text"
        ] == "Timed."
        only = await heard(server, of_seconds(1.0), model="one/m", response_format="srt")
        assert (only.status_code, envelope(only)["param"]) == (400, "response_format")


async def test_times_that_are_no_numbers_are_a_failure_and_times_outside_are_clamped(tmp_path: Path) -> None:
    mad = Ears(*whole(said("No.", float("nan"), 1.0)))
    far = Ears(*whole(said("Far.", -3.0, 400.0)))
    async with inside(tmp_path, SCRIPTED, {"one": mad, "two": far}) as server:
        answer = (await heard(server, of_seconds(2.0), response_format="verbose_json")).json()
        (segment,) = answer["segments"]
        assert (segment["text"], segment["start"], segment["end"]) == ("Far.", 0.0, 2.0)


async def test_subtitles_survive_texts_that_look_like_them(tmp_path: Path) -> None:
    odd = Ears(*whole(said("One\n\n2\n00:00:00,000 --> 00:00:01,000\n<b>&", 0.0, 1.0)))
    async with inside(tmp_path, SCRIPTED, {"one": odd, "two": Ears(Finished())}) as server:
        srt = await heard(server, of_seconds(2.0), response_format="srt")
        assert len(cues(srt.text)) == 1
        vtt = await heard(server, of_seconds(2.0), response_format="vtt")
        assert "&lt;b&gt;&amp;" in vtt.text
        assert vtt.text.count("-->") == 1


async def test_a_retry_with_its_key_gets_the_same_answer_and_pays_once(tmp_path: Path) -> None:
    ears = Ears(*whole(said("Once.")))
    async with inside(tmp_path, SCRIPTED, {"one": ears, "two": Ears()}) as server:
        key = "k1"
        first = await heard(server, of_seconds(1.0), key=key)
        again = await heard(server, of_seconds(1.0), key=key)
        assert again.content == first.content
        assert again.headers["x-voxgate-replayed"] == "true"
        assert len(ears.jobs) == len(await server.usage()) == 1
        other = await heard(server, of_seconds(1.1), key=key)
        assert envelope(other)["code"] == "idempotency_key_reused"
        assert (await heard(server, of_seconds(1.0), key=key, path=TRANSLATIONS)).status_code >= 400


async def test_its_text_and_its_sound_are_kept_where_the_request_says_so(tmp_path: Path) -> None:
    ears = Ears(*whole(said("To be kept.")))
    async with inside(tmp_path, SCRIPTED, {"one": ears, "two": Ears(EngineFailed("It broke."))}) as server:
        await heard(server, of_seconds(1.0))
        assert (await heard(server, of_seconds(1.0), model="two/m", history="true")).status_code == 503
        await heard(server, of_seconds(2.0), history="true", tag="ep:1")

        async def listed() -> list[dict[str, Any]]:
            data: list[dict[str, Any]] = (await server.ask("GET", "/v1/history")).json()["data"]
            return data

        (entry,) = await soon(listed)
        assert (entry["operation"], entry["text"], entry["tag"]) == ("transcription", "To be kept.", "ep:1")
        assert (entry["seconds"], entry["model"], entry["language"]) == (2.0, "one/m", "en")
        path = f"/v1/history/{entry['id']}"
        assert (await server.ask("GET", path)).json()["request"]["text"] == "To be kept."
        samples, rate_hz = decoded((await server.ask("GET", f"{path}/content")).content, "flac")
        assert (len(samples) / rate_hz, rate_hz) == (2.0, HEARING_HZ)


async def test_what_would_take_too_long_is_told_at_once_and_costs_nothing(tmp_path: Path) -> None:
    rates = HearingRates()
    for seconds, took_s in (*[(2.0, 12.0)] * 20, *[(60.0, 30.0)] * 40):
        rates.begin_hearing("m", "a", seconds)
        rates.end_hearing("m", "a", seconds, took_s)
    rates.check_wait("m", "a", 950.0)
    with pytest.raises(UpstreamFailed, match="kind transcription") as refused:
        rates.check_wait("m", "a", 970.0)
    assert (refused.value.retry_after_s or 0) > 0
    rates.begin_hearing("m", "a", 900.0)
    with pytest.raises(UpstreamFailed):
        rates.check_wait("m", "a", 100.0)
    rates.check_wait("m", "a", 30.0)
    rates.check_wait("m", "b", 400.0)
    with pytest.raises(UpstreamFailed):
        rates.check_wait("m", "b", 500.0)
    async with inside(tmp_path, SCRIPTED, {"one": Ears(), "two": Ears()}) as server:
        silence = np.zeros(1801 * 8000)
        too_long = await heard(server, encoded(Kind("flac", "flac", "s16", 8000), silence))
        assert (too_long.status_code, envelope(too_long)["code"]) == (400, "recording_too_long")
        assert not await server.usage()


async def test_a_long_recording_is_heard_whole_stretch_by_stretch(tmp_path: Path) -> None:
    ears = Ears(*whole(said("Long.", 0.0, 400.0)))
    async with inside(tmp_path, SCRIPTED, {"one": ears, "two": Ears()}) as server:
        answer = await heard(server, of_seconds(400.0), response_format="verbose_json")
        assert answer.json()["duration"] == 400.0
        assert abs(ears.heard_bytes / 2 / HEARING_HZ - 400.0) < 0.01
        (row,) = await server.usage()
        assert row.samples / row.sample_rate_hz == 400.0


async def test_segments_alone_are_no_fault_where_there_are_no_times(server: Inside) -> None:
    answer = await heard(server, recorded(TEXT), **{"timestamp_granularities[]": "segment"})
    assert answer.json()["text"] == TEXT


async def test_far_too_much_text_is_a_failure_and_silence_is_nothing_given_out(tmp_path: Path) -> None:
    endless, good = Ears(), Ears(*whole(said("Good.")))
    async with inside(tmp_path, SCRIPTED, {"one": endless, "two": good}) as server:
        for much in ([said("word " * 1000, 0.0, 1.0)] * 20, [Transcript(said("").segments * 6_000)] * 2):
            endless.script = whole(*much)
            assert (await heard(server, of_seconds(2.0))).json()["text"] == "Good."
    silent = Ears(Transcript((), 1.0), EngineFailed("It broke."))
    (tmp_path / "second").mkdir()
    async with inside(tmp_path / "second", SCRIPTED, {"one": silent, "two": good}) as server:
        *_, done = events(await heard(server, of_seconds(2.0), stream="true"))
        assert done["text"] == "Good."


@each_row(
    ("pauses_s", "stall_s", "fails"),
    [([5.0] * 4, 8.0, False), ([5.0, 9.0], 8.0, True), ([11.0], 8.0, True), ([6.0, 6.0], None, True)],
)
def test_an_engine_may_take_long_as_long_as_it_hears_more(
    pauses_s: list[float], stall_s: float | None, *, fails: bool
) -> None:
    class Slow:
        def __init__(self) -> None:
            self.left = [*enumerate(pauses_s, 1)]

        async def next_event(self) -> Event | None:
            if not self.left:
                return None
            number, pause_s = self.left.pop(0)
            await asyncio.sleep(pause_s)
            return Transcript((), float(number))

        async def close(self) -> None:
            pass

    @simulated
    async def play() -> None:
        found = [each async for each in checked_transcripts(Slow(), 60.0, 10.0, stall_s)]
        assert len(found) == len(pauses_s)

    with pytest.raises(EngineTimeout) if fails else nullcontext():
        play()


async def test_a_recording_that_cannot_be_read_on_is_no_engine_s_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(*_: object) -> bytes:
        raise DecodingFailed

    monkeypatch.setattr(LongDecoder, "stretch", lost)
    one, two = Ears(*whole(said("One."))), Ears(*whole(said("Two.")))
    async with inside(tmp_path, SCRIPTED, {"one": one, "two": two}) as server:
        answer = await heard(server, of_seconds(301.0))
        assert (answer.status_code, envelope(answer)["code"]) == (503, DecodingFailed.default_code)
        assert not two.jobs
        (row,) = await server.usage()
        assert (row.outcome, row.credits) == ("failed", 0)
