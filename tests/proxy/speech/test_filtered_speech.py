"""A mark over a whole answer: samples are counted once, failures cost nothing, and nothing is left over."""

import asyncio
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import httpx2
import numpy as np
import pytest
from msgspec.structs import replace

from proxy.audio.formats import FORMATS, Chunk, OutputForm, SoundFailed
from proxy.features.marks.marker import day_of, installation_bits
from proxy.speech.call import SpeechCall
from proxy.speech.filtered_speech import FilteredSpeech, begin_filtered
from proxy.speech.sound_filter import Treatment
from proxy.speech.source import LookUp
from proxy.speech.speech_stream import Speech
from proxy.storage.schema import installation_id
from speech_engine import Audio, EngineFailed, Finished, Started
from tests.features.marks.marks import HUM, HumMark, hum, hums
from tests.proxy.api.inside import Inside, envelope, inside
from tests.proxy.api.scripted import RATE_HZ, Scripted, Step, sound, spoken
from tests.proxy.speech.test_text_preparation import call
from tests.sound import PADDING_S, decoded
from tests.tables import each_row

pytestmark = pytest.mark.slow

CONFIG = """
[engines.one]
[marking]
mark = "hum"
"""
BODY = {"model": "one", "voice": "one/v", "input": "Hello there.", "response_format": "pcm"}


def serving(
    folder: Path, *script: Step, text: str = CONFIG, marks: list[HumMark] | None = None
) -> AbstractAsyncContextManager[Inside]:
    engine = Scripted(*script, is_speech=True)
    return inside(folder, text, {"one": engine}, more={("mark", "hum"): hum(marks)})


async def ask(server: Inside, **more: object) -> httpx2.Response:
    return await server.ask("POST", "/v1/audio/speech", body={**BODY, **more})


@each_row("audio_format", FORMATS)
@each_row("speed", [1.0, 1.7])
async def test_it_is_as_long_as_without_and_charged_so(
    tmp_path: Path, audio_format: str, speed: float
) -> None:
    async with serving(tmp_path, *spoken(1.0)) as server:
        answer = await ask(server, response_format=audio_format, speed=speed)
        (row,) = await server.usage()
    heard = decoded(answer.content, audio_format)
    assert row.samples == pytest.approx(row.sample_rate_hz / speed, abs=2)
    assert -0.001 <= heard.seconds - row.samples / row.sample_rate_hz <= PADDING_S[audio_format]
    assert hums(heard) == 1


async def test_the_mark_is_made_at_the_rate_of_the_answer_and_says_where_and_when(tmp_path: Path) -> None:
    marks: list[HumMark] = []
    async with serving(tmp_path, *spoken(0.2), marks=marks) as server:
        for rate_hz in (8_000, 48_000):
            answer = await ask(server, sample_rate=rate_hz)
            assert answer.headers["x-voxgate-sample-rate"] == str(rate_hz)
        installation = await installation_id(server.worker.store, "another")
        now = (await server.worker.store.now()) / 1e6
    (mark,) = marks
    assert [rate_hz for rate_hz, _key, _payload in mark.opened] == [8_000, 48_000]
    for _rate, key, payload in mark.opened:
        assert answer.headers["x-voxgate-mark"] == f"hum; key={key.id}"
        assert payload >> 16 == installation_bits(installation)
        assert 0 <= now - day_of(payload) < 2 * 86_400


async def test_a_pause_of_the_engine_is_marked_like_any_other_sound(tmp_path: Path) -> None:
    silence = Audio(0, bytes(RATE_HZ * 2 // 10))
    async with serving(tmp_path, Started(RATE_HZ), *sound(0.3), silence, *sound(0.3), Finished()) as server:
        content = (await ask(server)).content
    middle = np.frombuffer(content, "<i2")[int(0.32 * RATE_HZ) : int(0.38 * RATE_HZ)]
    assert np.abs(middle).max() == pytest.approx(HUM, abs=2)


async def test_a_text_without_sound_is_still_a_valid_answer(tmp_path: Path) -> None:
    async with serving(tmp_path, Started(RATE_HZ), Finished()) as server:
        answer = await ask(server, input="…", response_format="mp3")
    assert decoded(answer.content, "mp3").seconds > 0.05


async def test_an_answer_whose_mark_breaks_is_broken_off_and_costs_nothing(tmp_path: Path) -> None:
    text = f"{CONFIG}[marks.hum]\nfails_after_s = 1.0\n"
    async with serving(tmp_path, *spoken(3.0), text=text) as server:
        sent = await server.raw_speech(BODY)
        (row,) = await server.usage()
    assert sum(len(message.get("body", b"")) for message in sent) > RATE_HZ, "it had begun"
    assert all(message.get("more_body", True) for message in sent), "and has no clean end"
    assert (row.outcome, row.credits, row.error) == ("failed", 0, "engine_unavailable")


async def test_before_the_first_byte_and_in_events_the_failure_of_a_mark_is_that_of_an_engine(
    tmp_path: Path,
) -> None:
    text = f"{CONFIG}[marks.hum]\nfails_after_s = 1.0\n"
    async with serving(tmp_path, *spoken(3.0), text=text) as server:
        whole = await ask(server, response_format="wav")
        events = await server.raw_speech({**BODY, "stream_format": "sse"})
    assert (whole.status_code, envelope(whole)["code"]) == (503, "engine_unavailable")
    assert "retry-after" in whole.headers
    assert b'"code":"engine_unavailable"' in b"".join(message.get("body", b"") for message in events)


@each_row(
    "fault", ["[marks.hum]\ncannot_open = true\n", "[marks.hum]\nunknown = 1\n", 'mark = "no such mark"']
)
async def test_what_is_due_and_cannot_be_marked_is_not_spoken(tmp_path: Path, fault: str) -> None:
    text = CONFIG.replace('mark = "hum"', fault) if fault.startswith("mark =") else CONFIG + fault
    engine = Scripted(*spoken(1.0), is_speech=True)
    async with inside(tmp_path, text, {"one": engine}, more={("mark", "hum"): hum()}) as server:
        answer = await ask(server)
        rows = await server.usage()
    assert answer.status_code == 503
    assert envelope(answer)["code"] == "engine_unavailable"
    assert "retry-after" in answer.headers
    assert not engine.jobs
    assert [(row.outcome, row.credits, row.samples) for row in rows] == [("failed", 0, 0)]


async def test_the_mark_has_no_more_time_than_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class LateSource:
        async def look_up(self, _call: SpeechCall, budget_s: float) -> LookUp:
            return LookUp(waited_s=budget_s)

    engine = Scripted(*spoken(1.0), is_speech=True)
    async with inside(tmp_path, CONFIG, {"one": engine}, more={("mark", "hum"): hum()}) as server:
        monkeypatch.setattr(server.worker.pipeline, "_source", LateSource())
        answer = await ask(server)
    assert (answer.status_code, envelope(answer)["code"]) == (503, "engine_unavailable")
    assert not engine.jobs


async def test_a_client_that_leaves_frees_the_engine(tmp_path: Path) -> None:
    began, never = asyncio.Event(), asyncio.Event()

    async def begin() -> None:
        began.set()

    engine = Scripted(Started(RATE_HZ), *sound(0.5), begin, never.wait, Finished(), is_speech=True)
    async with inside(tmp_path, CONFIG, {"one": engine}, more={("mark", "hum"): hum()}) as server:
        asking = asyncio.create_task(ask(server))
        await began.wait()
        assert engine.open == 1
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert engine.open == 0


async def test_a_mark_that_breaks_before_the_first_byte_frees_the_engine(tmp_path: Path) -> None:
    never = asyncio.Event()
    engine = Scripted(Started(RATE_HZ), *sound(0.5), never.wait, Finished(), is_speech=True)
    text = f"{CONFIG}[marks.hum]\nfails_after_s = 0.0\n"
    async with inside(tmp_path, text, {"one": engine}, more={("mark", "hum"): hum()}) as server:
        answer = await ask(server)
        assert (answer.status_code, engine.open) == (503, 0)


class SilentSpeech:
    """A speech that is over at once."""

    holds_engine = False
    engine = "one/m"
    words = stored = None
    sample_rate_hz = RATE_HZ
    is_closed = False

    async def next_chunk(self) -> Chunk | None:
        return None

    def last_chunk(self) -> Chunk:
        return Chunk()

    async def close(self) -> None:
        self.is_closed = True


class TornSpeech(SilentSpeech):
    """A speech whose engine is gone."""

    async def close(self) -> None:
        raise EngineFailed("it is torn")


class NoFilter:
    """A filter that leaves the sound as it is, and opens itself."""

    key = "none"
    headers = ()

    async def open(self, _sample_rate_hz: int, _within_s: float) -> "NoFilter":
        return self

    def feed(self, pcm: bytes) -> bytes:
        return pcm

    def flush(self) -> bytes:
        return b""


async def test_the_encoder_is_closed_though_the_speech_cannot_be() -> None:
    filtered = FilteredSpeech(TornSpeech(), NoFilter(), OutputForm("pcm"))
    with pytest.raises(EngineFailed):
        await filtered.close()
    with pytest.raises(SoundFailed, match="the encoder is closed"):
        filtered._encoder.feed(bytes(2))


async def test_a_speech_is_closed_though_no_encoder_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    speech, mark, asked = SilentSpeech(), NoFilter(), call("Hello.", "plain")

    def open_no_encoder(_form: OutputForm) -> None:
        raise SoundFailed("no encoder")

    async def begin(_waited_s: float) -> Speech:
        return speech

    monkeypatch.setattr("proxy.speech.filtered_speech.open_encoder", open_no_encoder)
    marked = replace(asked, plan=replace(asked.plan, treatment=Treatment(filter=mark)))
    with pytest.raises(SoundFailed):
        await begin_filtered(marked, mark, 1.0, begin)
    assert speech.is_closed
