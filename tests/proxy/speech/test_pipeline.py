"""The one path: who is tried and when no longer, one budget for all, speeds fitted, records kept."""

import asyncio
import time
from pathlib import Path

import pytest
from starlette.types import Message

from proxy.config.sections import Server
from speech_engine import Audio, Encoded, Event, Finished, Started, Word, Words, errors
from tests.proxy.api.inside import Inside, envelope, inside
from tests.proxy.api.scripted import RATE_HZ, Scripted, sound, spoken
from tests.proxy.engines.keys import SILENT
from tests.sound import decoded
from tests.speech_engine.host.simulated_time import simulated
from tests.tables import each_row

PAIR = """
[engines.one]
[engines.two]
[models]
pair = ["one/m", "two/m"]
[voices.ana]
one = "v"
two = "v"
"""
BODY = {"model": "pair", "voice": "ana", "input": "Hello there.", "response_format": "pcm"}
BUDGET = "[server]\nfirst_audio_s = 0.3\n" + PAIR


async def ask(server: Inside, **more: object) -> tuple[int, bytes, str]:
    """Status, body, and which engine answered."""
    answer = await server.ask("POST", "/v1/audio/speech", body={**BODY, **more})
    if answer.is_error:
        envelope(answer)
    return answer.status_code, answer.content, answer.headers.get("x-voxgate-engine", "")


@each_row(
    "before",
    [
        [errors.EngineFailed("x")],
        [errors.EngineUnavailable("x")],
        [errors.EngineBusy("x")],
        [errors.EngineTimeout("x")],
        [errors.UnsupportedLanguage("x")],
        [errors.UnsupportedText("x")],
        [errors.VoiceNotFound("x")],
        [ZeroDivisionError("x")],
        [Started(RATE_HZ), errors.EngineFailed("x")],
        [Started(RATE_HZ), Words((Word(0, 0, 5),)), errors.EngineFailed("x")],
        [Started(RATE_HZ), Audio(0, b""), errors.EngineFailed("x")],
        [],
    ],
)
async def test_until_there_is_audio_the_next_may_try(tmp_path: Path, before: list[Event | Exception]) -> None:
    one, two = Scripted(*before), Scripted(*spoken(0.5))
    async with inside(tmp_path, PAIR, {"one": one, "two": two}) as server:
        status, content, engine = await ask(server)
        (row,) = await server.usage()
    assert (status, engine, len(content)) == (200, "two/m", RATE_HZ)
    assert (row.engine, row.outcome, row.samples) == ("two", "finished", RATE_HZ // 2)
    assert (len(one.jobs), len(two.jobs), one.open) == (1, 1, 0)


async def test_a_candidate_that_speaks_first_is_not_followed(tmp_path: Path) -> None:
    one, two = Scripted(*spoken(0.5)), Scripted(*spoken(0.5))
    async with inside(tmp_path, PAIR, {"one": one, "two": two}) as server:
        assert (await ask(server))[2] == "one/m"
    assert not two.jobs


async def test_after_audio_nobody_else_tries_and_the_answer_breaks(tmp_path: Path) -> None:
    one, two = Scripted(*spoken(0.5)[:-1], errors.EngineFailed("x")), Scripted(*spoken(0.5))
    async with inside(tmp_path, PAIR, {"one": one, "two": two}) as server:
        sent = await server.raw_speech(BODY)
        (row,) = await server.usage()
    assert sent[0]["status"] == 200
    assert all(message["more_body"] for message in sent[1:])
    assert not two.jobs
    assert (row.engine, row.outcome, row.error) == ("one", "failed", "engine_unavailable")


@pytest.mark.parametrize("refusal", [errors.ContentRefused("Refused."), errors.UnusableSample("Too short.")])
async def test_a_refusal_is_final(tmp_path: Path, refusal: errors.EngineError) -> None:
    two = Scripted(*spoken(0.5))
    async with inside(tmp_path, PAIR, {"one": Scripted(refusal), "two": two}) as server:
        status, _, _ = await ask(server)
    assert status == 400
    assert not two.jobs


async def test_when_all_fail_the_last_ones_error_is_told(tmp_path: Path) -> None:
    one, two = Scripted(errors.EngineFailed("x")), Scripted(errors.EngineTimeout("x", retry_after_s=7.0))
    async with inside(tmp_path, PAIR, {"one": one, "two": two}) as server:
        answer = await server.ask("POST", "/v1/audio/speech", body=BODY)
        (row,) = await server.usage()
    assert (answer.status_code, envelope(answer)["code"]) == (503, "engine_timeout")
    assert answer.headers["retry-after"] == "7"
    assert (row.outcome, row.samples, row.error) == ("failed", 0, "engine_timeout")


@simulated
async def test_one_budget_to_first_audio_is_for_all_together(tmp_path: Path) -> None:
    one, two = Scripted(asyncio.Event().wait), Scripted(asyncio.Event().wait)
    async with inside(tmp_path, BUDGET, {"one": one, "two": two}) as server:
        answer = await server.ask("POST", "/v1/audio/speech", body=BODY)
    assert (answer.status_code, envelope(answer)["code"]) == (503, "engine_timeout")
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert (len(one.jobs), len(two.jobs), one.open, two.open) == (1, 1, 0, 0)
    assert [one.jobs[0].deadline_s, two.jobs[0].deadline_s] == pytest.approx([0.18, 0.12])


@simulated
async def test_a_silent_first_leaves_time_for_the_second(tmp_path: Path) -> None:
    one, two = Scripted(asyncio.Event().wait), Scripted(*spoken(0.5))
    async with inside(tmp_path, BUDGET, {"one": one, "two": two}) as server:
        assert (await ask(server))[2] == "two/m"
    assert one.open == 0


@simulated
async def test_time_that_the_first_used_up_is_not_there_for_the_second(tmp_path: Path) -> None:
    one = Scripted(lambda: asyncio.sleep(0.1), errors.EngineFailed("x"))
    two = Scripted(*spoken(0.5))
    async with inside(tmp_path, PAIR, {"one": one, "two": two}) as server:
        assert (await ask(server))[0] == 200
    assert two.jobs[0].deadline_s == pytest.approx(Server().first_audio_s - 0.1)


@each_row(
    ("model", "form", "after_s", "found"),
    [
        # It goes on for five minutes, as no listener waits and no other engine could speak.
        ("one/m", "wav", 299.0, (200, "one/m")),
        ("one/m", "pcm", 299.0, (503, "")),
        ("pair", "wav", 299.0, (200, "two/m")),
    ],
)
@simulated
async def test_what_a_named_model_has_begun_goes_on_where_it_is_sent_whole(
    tmp_path: Path, model: str, form: str, after_s: float, found: tuple[int, str]
) -> None:
    slow, quick = Scripted(lambda: asyncio.sleep(after_s), *spoken(0.5)), Scripted(*spoken(0.5))
    async with inside(tmp_path, BUDGET, {"one": slow, "two": quick}) as server:
        status, _, engine = await ask(server, model=model, response_format=form)
        assert (status, engine) == found


@simulated
async def test_what_has_begun_ends_in_its_usual_time_if_others_wait(tmp_path: Path) -> None:
    slow = Scripted(lambda: asyncio.sleep(299.0), *spoken(0.5))
    async with inside(tmp_path, BUDGET, {"one": slow, "two": Scripted()}) as server:
        began = time.monotonic()
        whole = [asyncio.create_task(ask(server, model="one/m", response_format="wav")) for _ in "ab"]
        await asyncio.sleep(0.25)
        waits = asyncio.create_task(ask(server, model="one/m", response_format="wav"))
        assert [(await each)[0] for each in whole] == [503, 503]
        # It got their slot, and nobody waits for it.
        assert time.monotonic() - began < 1.0
        assert (await waits)[0] == 200


@simulated
async def test_an_engine_may_raise_the_budget(tmp_path: Path) -> None:
    slow = Scripted(lambda: asyncio.sleep(0.5), *spoken(0.5), first_audio_s=60.0)
    async with inside(tmp_path, BUDGET, {"one": slow, "two": Scripted()}) as server:
        assert (await ask(server))[2] == "one/m"


@each_row(
    ("native", "asked", "told", "seconds"),
    [
        ((1.0, 1.0), 2.0, 1.0, 1.0),
        ((1.0, 1.0), 0.5, 1.0, 4.0),
        ((0.5, 1.5), 3.0, 1.5, 1.0),
        ((0.5, 2.0), 2.0, 2.0, 2.0),
    ],
)
async def test_a_speed_that_an_engine_cannot_do_is_fitted(
    tmp_path: Path, native: tuple[float, float], asked: float, told: float, seconds: float
) -> None:
    engine = Scripted(*spoken(2.0), speed=native)
    async with inside(tmp_path, PAIR, {"one": engine, "two": Scripted()}) as server:
        _, content, _ = await ask(server, speed=asked)
        (row,) = await server.usage()
    heard = decoded(content, "pcm")
    assert engine.jobs[0].speed == told
    assert heard.seconds == pytest.approx(seconds, abs=0.01)
    assert heard.pitch_hz == pytest.approx(440, abs=5)
    assert row.samples == len(content) // 2


@each_row("rate_hz", [8_000, 16_000, 44_100, 48_000])
async def test_every_rate_comes_out_at_24_khz(tmp_path: Path, rate_hz: int) -> None:
    engine = Scripted(*spoken(1.0, rate_hz), sample_rate_hz=rate_hz)
    async with inside(tmp_path, PAIR, {"one": engine, "two": Scripted()}) as server:
        _, content, _ = await ask(server)
    heard = decoded(content, "pcm")
    assert len(content) == 2 * RATE_HZ
    assert heard.pitch_hz == pytest.approx(440, abs=5)


async def test_an_engine_that_finds_nothing_to_say_is_a_short_silence(tmp_path: Path) -> None:
    async with inside(
        tmp_path, PAIR, {"one": Scripted(Started(8_000), Finished()), "two": Scripted()}
    ) as server:
        _, content, _ = await ask(server, input=".")
    assert len(content) == RATE_HZ // 10 * 2
    assert not any(content)


async def test_an_engine_that_speaks_nothing_of_a_word_gives_way_to_the_next(tmp_path: Path) -> None:
    nothing = Scripted(Started(8_000), Finished())
    async with inside(tmp_path, PAIR, {"one": nothing, "two": Scripted(*spoken(1.0))}) as server:
        _, content, _ = await ask(server, input="Hello.")
    assert len(content) == RATE_HZ * 2


async def test_a_word_of_which_no_engine_speaks_anything_is_a_400(tmp_path: Path) -> None:
    nothing = (Started(8_000), Finished())
    async with inside(tmp_path, PAIR, {"one": Scripted(*nothing), "two": Scripted(*nothing)}) as server:
        status, content, _ = await ask(server, input="Hello.")
        (row,) = await server.usage()
    assert (status, row.credits) == (400, 0)
    assert b"unsupported_text" in content


@each_row(
    "script",
    [
        sound(0.1),
        [Started(RATE_HZ)],
        [Started(0), *sound(0.1), Finished()],
        [Started(RATE_HZ), *sound(0.1, segment=1), *sound(0.1, segment=0), Finished()],
        [Started(RATE_HZ), *sound(0.2)],
        [Started(RATE_HZ), Encoded("mp3", b"\xff\xf3"), Finished()],
        [Started(RATE_HZ), *sound(0.1), Encoded("pcm", b"\0\0"), Finished()],
        [Words((Word(0, 0, 1),)), *spoken(0.1)],
        [Started(RATE_HZ), Words((Word(0, 0, 1),), segment=9), *sound(0.1), Finished()],
        [Started(RATE_HZ), Words((Word(0, 0, 1),), segment=-1), *sound(0.1), Finished()],
    ],
    ids=[
        "never starts",
        "never finishes",
        "no rate",
        "out of order",
        "breaks off",
        "unasked encoding",
        "mixes pcm and encoded",
        "words before the start",
        "words of no segment",
        "words of a negative segment",
    ],
)
async def test_an_engine_that_breaks_the_contract_is_a_503_and_free(
    tmp_path: Path, script: list[Event]
) -> None:
    # As JSON, so that a failure late in the sound still has a status to be told by.
    engine = Scripted(*script, formats=("pcm",))
    two = Scripted(errors.EngineFailed("x"))
    async with inside(tmp_path, PAIR, {"one": engine, "two": two}) as server:
        status, _, _ = await ask(server, response_format="json", audio_format="wav")
        rows = await server.usage()
    assert status == 503
    assert [(row.outcome, row.error) for row in rows] == [("failed", "engine_unavailable")]
    assert engine.open == 0


async def test_a_client_that_leaves_stops_the_engine_and_pays_for_what_was_written(tmp_path: Path) -> None:
    leaves = asyncio.Event()
    engine = Scripted(*spoken(1.0)[:-1], asyncio.Event().wait)

    async def leave_at_the_third(message: Message) -> None:
        sizes.append(len(message.get("body", b"")))
        if len(sizes) == 3:
            leaves.set()

    sizes: list[int] = []
    async with inside(tmp_path, PAIR, {"one": engine, "two": Scripted()}) as server:
        sent = await server.raw_speech(BODY, leaves, leave_at_the_third)
        (row,) = await server.usage()
    assert sent[-1]["more_body"]
    assert (row.outcome, row.error) == ("left", None)
    assert 0 < row.samples <= sum(sizes) // 2
    assert engine.open == 0


@each_row("audio_format", ["pcm", "wav", "json", "mp3"])
async def test_the_record_is_there_before_the_last_chunk_goes_out(tmp_path: Path, audio_format: str) -> None:
    outcomes: list[list[str]] = []

    async def look(message: Message) -> None:
        if message.get("body"):
            outcomes.append([row.outcome for row in await server.usage()])

    async with inside(tmp_path, PAIR, {"one": Scripted(*spoken(0.5)), "two": Scripted()}) as server:
        await server.raw_speech({**BODY, "response_format": audio_format}, on_sent=look)
    assert outcomes[-1] == ["finished"]
    assert all(row == [] for row in outcomes[:-1])


async def test_an_engine_is_told_what_was_asked(tmp_path: Path) -> None:
    stated = {"pitch": (-12.0, 12.0), "emotions": ("happy",), "max_characters": 10}
    engine = Scripted(*spoken(0.1), **stated)
    async with inside(tmp_path, PAIR, {"one": engine, "two": Scripted()}) as server:
        await ask(server, input="One two three. Four.", pitch=-2.5, emotion="happy", seed=7, language="pt-BR")
        account = server.account.id
    (job,) = engine.jobs
    assert (job.tenant, job.model, job.language, job.pitch) == (account, "m", "pt-BR", -2.5)
    assert (job.emotion, job.seed, job.formats) == ("happy", 7, ())
    assert [segment.spoken for segment in job.segments] == ["One two", "three.", "Four."]
    assert job.max_samples == 11 * RATE_HZ, "a second more than its answer may have"


@each_row(("is_local", "after_s"), [(False, 20.0), (True, 90.0)])
@simulated
async def test_an_engine_that_falls_silent_ends_its_answer_broken_later_if_its_host_is_watched(
    tmp_path: Path, is_local: bool, after_s: float
) -> None:
    engine = Scripted(Started(RATE_HZ), *sound(0.5), *SILENT, is_local=is_local)
    async with inside(tmp_path, PAIR, {"one": engine, "two": Scripted()}) as server:
        began = time.monotonic()
        sent = await server.raw_speech({**BODY, "model": "one/m"})
        assert time.monotonic() - began == pytest.approx(after_s, abs=1.0)
        (row,) = await server.usage()
    assert sent[-1].get("more_body"), "it was broken off"
    assert (row.outcome, row.credits) == ("failed", 0)
