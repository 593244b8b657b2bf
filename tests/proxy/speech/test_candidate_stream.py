"""Bytes that an engine encoded itself: passed on as they are, less their tags, counted by their frames."""

import asyncio
import io
import re
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import av
import pytest

from policies.routing import Candidate, Model
from proxy.audio.compressed import audio_frame
from proxy.audio.formats import USUAL_FORMS, SoundFailed
from proxy.speech.candidate_stream import CandidateStream
from proxy.speech.deadline import AudioTimeout
from proxy.speech.spoken_word import TimedWords
from speech_engine import (
    Audio,
    Encoded,
    EngineVoice,
    Event,
    Finished,
    ModelInfo,
    Speak,
    SpeechJob,
    Started,
    Word,
    Words,
)
from speech_engine.host.engine_stream import EngineAnswer
from tests.proxy.api.inside import envelope, inside
from tests.proxy.api.scripted import RATE_HZ, Scripted, spoken
from tests.sound import decoded, tone
from tests.speech_engine.host.fakes import FakeEngine, FakeLog
from tests.tables import each_row
from tests.waiting import forever

CONFIG = "[engines.one]\n"
JOB = SpeechJob(id="req_1", tenant="acc", model="m", voice=EngineVoice("v"), segments=(), language="en")
BODY = {"model": "one", "voice": "one/v", "input": "Hello there.", "response_format": "mp3"}


def mp3(seconds: float, *, tags: bool, rate_hz: int = RATE_HZ) -> bytes:
    """As libav writes it, with its ID3 tag and Xing frame or without."""
    sink = io.BytesIO()
    options = {} if tags else {"write_xing": "0", "id3v2_version": "0"}
    with av.open(sink, "w", format="mp3", options=options) as container:
        if tags:
            container.metadata["title"] = "a tag"
        stream = container.add_stream("libmp3lame", rate=rate_hz, layout="mono")
        container.mux(stream.encode(audio_frame(tone(440, seconds, rate_hz), rate_hz)))
        container.mux(stream.encode(None))
    return sink.getvalue()


def passed(data: bytes, size: int) -> list[Event]:
    pieces = [Encoded("mp3", data[at : at + size]) for at in range(0, len(data), size)]
    return [Started(RATE_HZ), *pieces, Finished()]


@each_row("size", [1, 100, 4096, 1_000_000])
async def test_mp3_passes_unchanged_but_for_its_tags(tmp_path: Path, size: int) -> None:
    tagged, bare = mp3(2.0, tags=True), mp3(2.0, tags=False)
    assert tagged.startswith(b"ID3")
    assert b"Xing" in tagged or b"Info" in tagged
    engine = Scripted(*passed(tagged, size), formats=("mp3",))
    async with inside(tmp_path, CONFIG, {"one": engine}) as server:
        answer = await server.ask("POST", "/v1/audio/speech", body=BODY)
        (row,) = await server.usage()
    assert engine.jobs[0].formats == ("mp3",)
    assert answer.content == bare
    assert (row.outcome, row.sample_rate_hz) == ("finished", RATE_HZ)
    assert row.samples == pytest.approx(2.0 * RATE_HZ, abs=3 * 576)
    assert row.samples == len(decoded(answer.content, "mp3").samples)


@each_row(
    "more",
    [{"response_format": "flac"}, {"response_format": "wav"}, {"speed": 1.5}],
)
async def test_audio_that_has_to_be_changed_is_asked_for_as_pcm(
    tmp_path: Path, more: dict[str, object]
) -> None:
    engine = Scripted(*spoken(1.0), formats=("mp3", "flac", "wav"))
    async with inside(tmp_path, CONFIG, {"one": engine}) as server:
        answer = await server.ask("POST", "/v1/audio/speech", body={**BODY, **more})
    assert answer.status_code == 200
    assert engine.jobs[0].formats == ()


@each_row(
    ("more", "encoded_hz", "formats"),
    [
        ({}, 0, ("mp3",)),
        ({}, 44_100, ("mp3",)),
        ({"sample_rate": RATE_HZ}, 0, ()),
        ({"sample_rate": RATE_HZ}, RATE_HZ, ("mp3",)),
        ({"sample_rate": 44_100}, RATE_HZ, ()),
        ({"sample_rate": RATE_HZ, "bitrate": 64}, RATE_HZ, ()),
    ],
)
async def test_an_engines_mp3_passes_only_at_the_rate_that_the_client_named(
    tmp_path: Path, more: dict[str, int], encoded_hz: int, formats: tuple[str, ...]
) -> None:
    events = passed(mp3(1.0, tags=False), 4096) if formats else spoken(1.0)
    engine = Scripted(*events, formats=("mp3",), encoded_hz=encoded_hz)
    async with inside(tmp_path, CONFIG, {"one": engine}) as server:
        answer = await server.ask("POST", "/v1/audio/speech", body={**BODY, **more})
        (row,) = await server.usage()
    assert engine.jobs[0].formats == formats
    expected_hz = more.get("sample_rate", RATE_HZ)
    assert answer.headers["x-voxgate-sample-rate"] == str(expected_hz)
    assert row.sample_rate_hz == expected_hz == decoded(answer.content, "mp3").sample_rate_hz
    assert row.samples / row.sample_rate_hz == pytest.approx(1.0, abs=0.1)


async def test_an_engines_mp3_at_another_rate_than_it_said_is_charged_by_its_own(tmp_path: Path) -> None:
    events = passed(mp3(1.0, tags=False, rate_hz=44_100), 4096)
    async with inside(tmp_path, CONFIG, {"one": Scripted(*events, formats=("mp3",))}) as server:
        await server.ask("POST", "/v1/audio/speech", body=BODY)
        (row,) = await server.usage()
    assert row.sample_rate_hz == 44_100
    assert row.samples / row.sample_rate_hz == pytest.approx(1.0, abs=0.1)


@each_row(
    ("format_", "more", "sample_bytes", "rate_hz"),
    [("g711_ulaw", {}, 1, 8_000), ("g711_alaw", {}, 1, 8_000), ("pcm", {"sample_rate": 16_000}, 2, 16_000)],
)
async def test_an_engines_own_samples_pass_and_are_counted_at_their_rate(
    tmp_path: Path, format_: str, more: dict[str, int], sample_bytes: int, rate_hz: int
) -> None:
    data = bytes(range(1, 251)) * (rate_hz * sample_bytes // 250)
    pieces = [Encoded(format_, data[at : at + 333]) for at in range(0, len(data), 333)]
    engine = Scripted(Started(rate_hz), *pieces, Finished(), formats=(format_,), encoded_hz=rate_hz)
    async with inside(tmp_path, CONFIG, {"one": engine}) as server:
        body = {**BODY, "response_format": format_, **more}
        answer = await server.ask("POST", "/v1/audio/speech", body=body)
        (row,) = await server.usage()
    assert answer.content == data
    assert (row.samples, row.sample_rate_hz) == (rate_hz, rate_hz)


async def test_an_engine_asked_for_mp3_may_still_answer_with_pcm(tmp_path: Path) -> None:
    engine = Scripted(*spoken(1.0), formats=("mp3",))
    async with inside(tmp_path, CONFIG, {"one": engine}) as server:
        answer = await server.ask("POST", "/v1/audio/speech", body=BODY)
    assert engine.jobs[0].formats == ("mp3",)
    assert decoded(answer.content, "mp3").seconds == pytest.approx(1.0, abs=0.1)


@each_row("data", [b"not a frame at all", b"\xff\xf3", b"RIFF" + bytes(200)])
async def test_bytes_that_are_no_mp3_are_a_failure(tmp_path: Path, data: bytes) -> None:
    engine = Scripted(*passed(data, 1000), formats=("mp3",))
    async with inside(tmp_path, CONFIG, {"one": engine}) as server:
        answer = await server.ask("POST", "/v1/audio/speech", body={**BODY, "response_format": "json"})
    assert answer.status_code == 503


async def test_encoded_audio_has_the_same_cap(tmp_path: Path) -> None:
    second = mp3(1.0, tags=False)
    endless: list[Event] = [Started(RATE_HZ), *(Encoded("mp3", second) for _ in range(60)), Finished()]
    engine = Scripted(*endless, formats=("mp3",))
    async with inside(tmp_path, CONFIG, {"one": engine}) as server:
        answer = await server.ask("POST", "/v1/audio/speech", body={**BODY, "response_format": "json"})
        (row,) = await server.usage()
    assert (answer.status_code, envelope(answer)["code"]) == (400, "unsupported_text")
    # Nothing of it has gone out, so nothing is charged.
    assert (row.outcome, row.samples, row.credits) == ("failed", 0, 0)


async def test_the_words_of_one_expansion_are_one_word_of_the_text(tmp_path: Path) -> None:
    said = "It costs five dollars and ninety-nine cents now."
    timed = [Word(number * 1000, *found.span()) for number, found in enumerate(re.finditer(r"[^ .]+", said))]
    events: list[Event] = [Started(RATE_HZ), Words(tuple(timed)), Audio(0, bytes(RATE_HZ)), Finished()]
    engine = Scripted(*events, reads_numbers=False, times_words=True)
    text = "It costs $5.99 now."
    async with inside(tmp_path, CONFIG, {"one": engine}) as server:
        answer = await server.ask(
            "POST", "/v1/audio/speech", body={**BODY, "input": text, "response_format": "json"}
        )
    assert [segment.spoken for segment in engine.jobs[0].segments] == [said]
    words = answer.json()["words"]
    assert [word["word"] for word in words] == ["It", "costs", "$5.99", "now"]
    assert [round(word["start_seconds"] * RATE_HZ / 1000) for word in words] == [0, 1, 2, 7]


class Borrowing(EngineAnswer):
    """Has recordings until it is closed."""

    def __init__(self, speak: Callable[[SpeechJob], AsyncGenerator[Event, None]]) -> None:
        super().__init__(FakeEngine(speak), Speak(JOB), FakeLog())
        self.closings = 0

    async def close(self) -> None:
        self.closings += 1
        await super().close()


async def begun(events: Borrowing, deadline: AudioTimeout | None = None) -> CandidateStream:
    model = Model("one", ModelInfo(id="m", languages=(), sample_rate_hz=RATE_HZ))
    form = USUAL_FORMS["mp3"]
    stream = CandidateStream(
        Candidate(model, JOB.voice), JOB, TimedWords, 1.0, form, deadline or AudioTimeout()
    )
    await stream.read_first_audio(events)
    return stream


@each_row(("seconds", "turns"), [((3.0,), 0), ((3.0, 3.0), 1), ((1.0,) * 9, 4)])
async def test_sound_that_is_ready_leaves_others_their_turns_and_a_short_answer_pays_for_none(
    seconds: tuple[float, ...], turns: int
) -> None:
    async def speak(_job: SpeechJob) -> AsyncGenerator[Event, None]:
        yield Started(RATE_HZ)
        for each in seconds:
            yield Audio(0, tone(440, each))
        yield Finished()

    had = 0

    def take_a_turn() -> None:
        nonlocal had
        had += 1
        loop.call_soon(take_a_turn)

    loop = asyncio.get_running_loop()
    loop.call_soon(take_a_turn)
    stream = await begun(Borrowing(speak))
    while await stream.next_chunk() is not None:
        pass
    assert had == turns
    await stream.close()


async def test_an_engine_that_has_finished_gives_back_what_it_has_before_the_client_has_all() -> None:
    async def speak(_job: SpeechJob) -> AsyncGenerator[Event, None]:
        for event in spoken(1.0):
            yield event

    events = Borrowing(speak)
    stream = await begun(events)
    assert events.closings == 0
    while await stream.next_chunk() is not None:
        pass
    assert events.closings == 1
    await stream.close()


async def test_a_stream_that_is_closed_midway_has_freed_its_encoder_and_its_timer() -> None:
    async def speak(_job: SpeechJob) -> AsyncGenerator[Event, None]:
        yield Started(RATE_HZ)
        yield Audio(0, tone(440, 1.0))
        await forever()

    deadline = AudioTimeout().expire_in(600.0)
    stream = await begun(Borrowing(speak), deadline)
    await stream.close()
    assert deadline._timer is None
    with pytest.raises(SoundFailed, match="the encoder is closed"):
        stream.last_chunk()
