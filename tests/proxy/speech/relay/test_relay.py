"""Many parts, one stream: who is asked when, who takes over, and how it ends for each that is under way."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.types import Message
from structlog.testing import capture_logs

from policies.price import MICRO
from proxy.features.admin.verify import verify
from speech_engine import Audio, Finished, Started, Word, Words, errors
from tests.proxy.api.inside import envelope
from tests.proxy.api.scripted import RATE_HZ, Scripted, Step, sound, spoken
from tests.proxy.speech.relay.voices import CONFIG, PAUSE_S, body, hear, said, speech, stage, telling
from tests.speech_engine.host.simulated_time import simulated
from tests.tables import each_row
from tests.waiting import forever

SECOND = RATE_HZ * 2
"""Bytes of one."""


async def test_each_says_its_own_in_order_in_one_stream_with_pauses_between(tmp_path: Path) -> None:
    one, two, three = Scripted(*spoken(1.0)), Scripted(*spoken(0.5)), Scripted(*spoken(0.25))
    async with stage(tmp_path, one, two, three) as server:
        content = await hear(server, "[Ana] Olá. Tudo bem? [Ben] Hi. [Cid] สวัสดี [Ana] Tchau.")
        (row,) = await server.usage()
    assert [said(job) for job in one.jobs] == ["Olá. Tudo bem?", "Tchau."]
    assert [said(job) for engine in (two, three) for job in engine.jobs] == ["Hi.", "สวัสดี"]
    assert len(content) == (1.0 + 0.5 + 0.25 + 1.0 + 3 * PAUSE_S) * SECOND
    assert (row.engine, row.model, row.outcome) == ("one+two+three", "m", "finished")
    assert (row.samples, row.voice) == (len(content) // 2, "ana+ben+cid")
    assert [engine.open for engine in (one, two, three)] == [0, 0, 0]


async def test_a_script_is_spoken_as_the_same_dialogue_with_brackets(tmp_path: Path) -> None:
    texts = "[Ana] Olá.\n[Ben] Hi: you.\n[Ana] Tchau.", "ANA: Olá.\n**Ben:** Hi: you.\nana：Tchau."
    heard = list[tuple[bytes, list[str], list[str]]]()
    for number, text in enumerate(texts):
        one, two, three = Scripted(*spoken(1.0)), Scripted(*spoken(0.5)), Scripted(*spoken(0.25))
        (folder := tmp_path / str(number)).mkdir()
        async with stage(folder, one, two, three) as server:
            content = await hear(server, text)
        heard.append((content, [said(job) for job in one.jobs], [said(job) for job in two.jobs]))
    assert heard[0] == heard[1]
    assert heard[0][1:] == (["Olá.", "Tchau."], ["Hi: you."])


@simulated
async def test_the_next_is_asked_while_one_is_heard_and_the_one_after_it_is_not(tmp_path: Path) -> None:
    goes_on, is_made = asyncio.Event(), asyncio.Event()
    one, two = Scripted(*speech(1.0, goes_on.wait)), Scripted(*speech(0.5, telling(is_made)))
    three = Scripted(*spoken(0.5))
    asked: list[list[int]] = []

    async def look(message: Message) -> None:
        if message.get("body") and not goes_on.is_set():
            async with asyncio.timeout(5):
                await is_made.wait()
            asked.append([len(engine.jobs) for engine in (one, two, three)])
            goes_on.set()

    async with stage(tmp_path, one, two, three) as server:
        sent = await server.raw_speech(body("[Ana] Olá. [Ben] Hi. [Cid] สวัสดี"), on_sent=look)
    assert asked == [[1, 1, 0]]
    assert not sent[-1]["more_body"]
    assert [len(engine.jobs) for engine in (one, two, three)] == [1, 1, 1]


@simulated
async def test_an_engine_with_one_slot_is_asked_when_it_has_made_the_part_before(tmp_path: Path) -> None:
    """In line behind its own answer a part would lose its time to first audio."""
    one = Scripted(*speech(0.3, lambda: asyncio.sleep(1.2)))
    one.slots = 1
    config = f"[server]\nfirst_audio_s = 1\n{CONFIG}"
    with capture_logs() as logs:
        async with stage(tmp_path, one, config=config) as server:
            content = await hear(server, "[Ana] Um. [Ana] Dois. [Ana] Três.")
    assert "engine.speak.refused" not in {line["event"] for line in logs}
    assert [said(job) for job in one.jobs] == ["Um.", "Dois.", "Três."]
    assert all(job.deadline_s > 0.0 for job in one.jobs)
    assert len(content) == round((0.9 + 2 * PAUSE_S) * RATE_HZ) * 2


async def test_a_part_falls_back_before_its_first_sound(tmp_path: Path) -> None:
    one, two, three = Scripted(*spoken(1.0)), Scripted(errors.EngineFailed("x")), Scripted(*spoken(0.5))
    async with stage(tmp_path, one, two, three) as server:
        answer = await server.ask("POST", "/v1/audio/speech", body=body("[Ana] Olá. [Dot] Hi. [Ana] Tchau."))
        (row,) = await server.usage()
    assert len(answer.content) == (2.5 + 2 * PAUSE_S) * SECOND
    assert (row.engine, row.outcome) == ("one+three", "finished")
    assert [said(job) for job in three.jobs] == ["Hi."]


@simulated
async def test_every_part_has_its_own_time_to_first_audio(tmp_path: Path) -> None:
    """What they take in all is more than any one of them has."""
    late = [lambda: asyncio.sleep(0.5), *spoken(0.1)]
    config = f"[server]\nfirst_audio_s = 1.2\n{CONFIG}"
    async with stage(tmp_path, *(Scripted(*late) for _ in range(3)), config=config) as server:
        content = await hear(server, "[Ana] Olá. [Ben] Hi. [Cid] Oi.")
    assert len(content) == round((0.3 + 2 * PAUSE_S) * RATE_HZ) * 2


@each_row(
    "second",
    [
        [errors.EngineFailed("x")],
        [asyncio.Event().wait],
        [Started(RATE_HZ), *sound(0.3), errors.EngineFailed("x")],
        [Started(RATE_HZ), *sound(0.3)],
    ],
    ids=["at once", "silent", "midway", "no end"],
)
@pytest.mark.parametrize("audio_format", ["pcm", "mp3"])
@simulated
async def test_a_later_part_that_cannot_be_spoken_breaks_the_answer_and_costs_nothing(
    tmp_path: Path, second: list[Step], audio_format: str
) -> None:
    config = (
        f"[server]\nfirst_audio_s = 1\n{CONFIG}[plans.paid]\nprices.speech = {{ credits = 1, per = 'job' }}"
    )
    one, two = Scripted(*spoken(1.0)), Scripted(*second)
    async with stage(tmp_path, one, two, config=config, plan="paid") as server:
        sent = await server.raw_speech(body("[Ana] Olá. [Ben] Hi. [Ana] Oi.", response_format=audio_format))
        (row,) = await server.usage()
        failures = server.worker.metrics.page_text()
    assert sent[0]["status"] == 200
    assert all(message["more_body"] for message in sent[1:])
    assert (row.outcome, row.credits) == ("failed", 0)
    assert row.error in ("engine_unavailable", "engine_timeout")
    assert 'voxgate_engine_failures_total{engine="two"' in failures
    assert 'voxgate_engine_failures_total{engine="one"' not in failures
    assert (one.open, two.open) == (0, 0)


async def test_the_first_part_that_cannot_be_spoken_is_an_http_error(tmp_path: Path) -> None:
    one, two = Scripted(errors.EngineUnavailable("x", retry_after_s=3.0)), Scripted(*spoken(1.0))
    async with stage(tmp_path, one, two) as server:
        answer = await server.ask("POST", "/v1/audio/speech", body=body("[Ana] Olá. [Ben] Hi."))
        (row,) = await server.usage()
    assert (answer.status_code, envelope(answer)["code"]) == (503, "engine_unavailable")
    assert not two.jobs
    assert (row.engine, row.outcome) == ("one", "failed")


MUTE = errors.UnsupportedText("Invalid 'input': this language has no way to read any of it.")


@each_row(
    ("text", "seconds", "turns"),
    [
        pytest.param("[Ana] Olá. [Ben] \N{PARTY POPPER} [Ana] Tchau.", 2.0 + PAUSE_S, 2, id="between"),
        pytest.param("[Ben] \N{PARTY POPPER} [Ana] Olá.", 1.0, 1, id="first"),
        pytest.param("[Ana] Olá. [Ben] \N{RIGHTWARDS ARROW}", 1.0 + PAUSE_S, 1, id="last"),
        pytest.param("[Ben] ^ [Ben] = [Ana] Olá. [Ben] ^ [Ben] ^ [Ana] Oi.", 2.0 + PAUSE_S, 2, id="many"),
    ],
)
async def test_a_turn_of_signs_that_nobody_can_read_is_passed_over(
    tmp_path: Path, text: str, seconds: float, turns: int
) -> None:
    one, two = Scripted(*spoken(1.0)), Scripted(MUTE)
    async with stage(tmp_path, one, two) as server:
        content = await hear(server, text)
        (row,) = await server.usage()
    assert len(content) == seconds * SECOND
    assert (row.engine, row.outcome) == ("one", "finished")
    assert (len(one.jobs), len(two.jobs)) == (turns, text.count("[Ben] ^") + text.count("[Ben] ="))


@each_row(("per", "credits"), [("job", 1), ("character", len("[Ana] Olá. [Ana] Oi. "))])
@each_row("text", ["[Ana] Olá. [Ben] ^^ [Ana] Oi. ", "[Ben] ^^ [Ana] Olá. [Ana] Oi. "])
async def test_a_turn_that_was_passed_over_costs_nothing(
    tmp_path: Path, text: str, per: str, credits: int
) -> None:
    config = f"{CONFIG}[plans.paid]\nprices.speech = {{ credits = 1, per = '{per}' }}"
    one, two = Scripted(*spoken(1.0)), Scripted(MUTE)
    async with stage(tmp_path, one, two, config=config, plan="paid") as server:
        await hear(server, text)
        (row,) = await server.usage()
        found = await verify(server.worker.store)
    assert (row.credits, row.characters) == (credits * MICRO, len(text) - len("[Ben] ^^ "))
    assert found.is_clean


async def test_an_answer_with_a_turn_that_was_passed_over_is_kept(tmp_path: Path) -> None:
    one, two = Scripted(*spoken(1.0)), Scripted(MUTE)
    asked = body("[Ana] Olá. [Ben] \N{PARTY POPPER} [Ana] Tchau.", cache=True)
    async with stage(tmp_path, one, two, config=f"[cache]\non = true\n{CONFIG}") as server:
        answers = [await server.ask("POST", "/v1/audio/speech", body=asked) for _ in range(2)]
    assert [answer.headers["x-voxgate-cache"] for answer in answers] == ["miss", "hit"]
    assert answers[1].headers["x-voxgate-engine"] == "one/m"
    assert answers[0].content == answers[1].content


@each_row(
    ("text", "more", "asked"),
    [
        ("…", {"voice": "ana"}, 0),
        ("\N{THUMBS UP SIGN}\N{EMOJI MODIFIER FITZPATRICK TYPE-4} !", {"voice": "ana"}, 0),
        ("\N{HEAVY BLACK HEART}\N{VARIATION SELECTOR-16}", {"voice": "ana"}, 0),
        ("^", {"voice": "ana"}, 1),
        ("[Ana] \N{PARTY POPPER} [Ana] \N{RIGHTWARDS ARROW}", {}, 0),
        ("[Ana] ^ [Ana] =", {}, 2),
    ],
)
@each_row("audio_format", ["pcm", "mp3"])
async def test_signs_alone_are_a_short_silence_that_costs_nothing(
    tmp_path: Path, text: str, more: dict[str, str], asked: int, audio_format: str
) -> None:
    config = f"[cache]\non = true\n{CONFIG}[plans.paid]\nprices.speech = {{ credits = 1, per = 'job' }}"
    one = Scripted(MUTE)
    async with stage(tmp_path, one, config=config, plan="paid") as server:
        question = body(text, response_format=audio_format, cache=True, **more)
        answers = [await server.ask("POST", "/v1/audio/speech", body=question) for _ in range(2)]
        held = (await server.ask("POST", "/v1/audio/speech/estimate", body=question)).json()["credits"]
        rows = await server.usage()
        found = await verify(server.worker.store)
    for answer in answers:
        assert (answer.status_code, answer.headers["x-voxgate-engine"]) == (200, "one/m")
        assert 0 < len(answer.content) <= SECOND // 10
        assert audio_format != "pcm" or not any(answer.content)
    assert len(one.jobs) == 2 * asked
    assert (float(held) == 0) == (asked == 0)
    assert {(row.outcome, row.credits, row.characters) for row in rows} == {("finished", 0, 0)}
    assert found.is_clean


@each_row(
    ("said_by_ben", "script"),
    [
        pytest.param("\N{EGYPTIAN HIEROGLYPH A001}", [MUTE], id="a letter"),
        pytest.param("7", [MUTE], id="a digit"),
        pytest.param("^", [errors.EngineFailed("x")], id="a fault"),
        pytest.param("^", [Started(RATE_HZ), Audio(0, bytes(60 * SECOND))], id="no end"),
    ],
)
async def test_no_letter_is_passed_over_and_no_fault(
    tmp_path: Path, said_by_ben: str, script: list[Step]
) -> None:
    async with stage(tmp_path, Scripted(*spoken(1.0)), Scripted(*script)) as server:
        sent = await server.raw_speech(body(f"[Ana] Olá. [Ben] {said_by_ben} [Ana] Oi."))
        (row,) = await server.usage()
    assert all(message["more_body"] for message in sent[1:])
    assert row.outcome == "failed"


@pytest.mark.parametrize("audio_format", ["json", "wav"])
async def test_where_nothing_is_sent_yet_a_later_failure_is_an_http_error_too(
    tmp_path: Path, audio_format: str
) -> None:
    one, two = Scripted(*spoken(1.0)), Scripted(errors.EngineFailed("x"))
    async with stage(tmp_path, one, two) as server:
        asked = body("[Ana] Olá. [Ben] Hi.", response_format=audio_format)
        answer = await server.ask("POST", "/v1/audio/speech", body=asked)
        (row,) = await server.usage()
    assert (answer.status_code, envelope(answer)["code"]) == (503, "engine_unavailable")
    assert (row.outcome, row.samples) == ("failed", 0)


@pytest.mark.parametrize("is_first_silent", [True, False])
async def test_a_client_who_leaves_stops_all_that_is_under_way(tmp_path: Path, is_first_silent: bool) -> None:
    leaves, never = asyncio.Event(), asyncio.Event()
    one = Scripted(telling(leaves), never.wait) if is_first_silent else Scripted(*speech(1.0, never.wait))
    two = Scripted(*speech(2.0, telling(leaves), never.wait))
    async with stage(tmp_path, one, two) as server:
        async with asyncio.timeout(5):
            await server.raw_speech(body("[Ana] Olá. [Ben] Hi."), leaves)
        (row,) = await server.usage()
    assert row.outcome == "left"
    assert len(two.jobs) == (0 if is_first_silent else 1)
    assert (one.open, two.open) == (0, 0)


async def test_an_answer_has_ended_when_the_engine_of_the_next_part_has(tmp_path: Path) -> None:
    leaves = asyncio.Event()
    two = Scripted(*speech(2.0, telling(leaves), _lingering()))
    async with stage(tmp_path, Scripted(*speech(1.0, asyncio.Event().wait)), two) as server:
        await server.raw_speech(body("[Ana] Olá. [Ben] Hi."), leaves)
        assert (len(two.jobs), two.open) == (1, 0)


async def test_a_part_ahead_stops_while_the_one_before_it_still_ends(tmp_path: Path) -> None:
    leaves = asyncio.Event()
    two = Scripted(*speech(2.0, telling(leaves), asyncio.Event().wait))
    open_then: list[int] = []
    one = Scripted(*speech(1.0, _lingering(lambda: open_then.append(two.open))))
    async with stage(tmp_path, one, two) as server:
        await server.raw_speech(body("[Ana] Olá. [Ben] Hi."), leaves)
    assert open_then == [0]


def _lingering(then: Callable[[], object] = int) -> Step:
    """A step that waits for ever, and takes its time to end."""

    async def linger() -> None:
        try:
            await forever()
        finally:
            for _ in range(200):
                await asyncio.sleep(0)
            then()

    return linger


async def test_a_client_who_leaves_between_two_parts_pays_for_what_was_written(tmp_path: Path) -> None:
    leaves = asyncio.Event()
    config = f"""{CONFIG}
[plans.paid]
prices.speech = {{ credits = 1, per = "second" }}
prices.models."two" = {{ credits = 100, per = "second" }}
"""
    one, two = Scripted(*spoken(1.0)), Scripted(asyncio.Event().wait)
    written = 0

    async def count(message: Message) -> None:
        nonlocal written
        written += len(message.get("body", b""))
        # All of the first part and its pause but the last bytes, which wait for more.
        if written >= SECOND + PAUSE_S * SECOND - 128:
            leaves.set()

    async with stage(tmp_path, one, two, config=config, plan="paid") as server:
        await server.raw_speech(body("[Ana] Olá. [Ben] Hi."), leaves, count)
        (row,) = await server.usage()
    assert (row.outcome, two.open) == ("left", 0)
    assert RATE_HZ < row.samples <= RATE_HZ + PAUSE_S * RATE_HZ
    assert row.credits == -(-row.samples * 10**6 // RATE_HZ)


async def test_a_client_who_leaves_pays_for_a_part_ahead_that_bills_on_submit(tmp_path: Path) -> None:
    leaves, never = asyncio.Event(), asyncio.Event()
    config = f"""{CONFIG}
[plans.paid]
prices.models."two" = {{ credits = 1, per = "character" }}
prices.models."three" = {{ credits = 100, per = "character" }}
"""
    one = Scripted(*speech(1.0, never.wait))
    two, three = (Scripted(telling(leaves), never.wait, billed_on_submit=True) for _ in range(2))
    async with stage(tmp_path, one, two, three, config=config, plan="paid") as server:
        await server.raw_speech(body("[Ana] Olá. [Ben] Hi. [Cid] Oi."), leaves)
        (row,) = await server.usage()
    assert (row.outcome, row.credits) == ("left", len("[Ben] Hi. ") * 10**6)


async def test_words_of_all_parts_point_into_the_text_and_into_the_sound(tmp_path: Path) -> None:
    def timed(seconds: float, end: int) -> list[Step]:
        return [Started(RATE_HZ), Words((Word(RATE_HZ // 10, 0, end),)), *sound(seconds), Finished()]

    one, three = Scripted(*timed(1.0, 3), times_words=True), Scripted(*timed(0.5, 2), times_words=True)
    text = "[Ana] Olá. [Ben] Hi. [Cid] Oi."
    async with stage(tmp_path, one, Scripted(*spoken(0.5)), three) as server:
        answer = await server.ask("POST", "/v1/audio/speech", body=body(text, response_format="json"))
    found = [(word["word"], word["start_seconds"]) for word in answer.json()["words"]]
    assert found == [("Olá", 0.1), ("Hi", 1.0 + PAUSE_S), ("Oi", 1.6 + 2 * PAUSE_S)]
    assert [word.get("interpolated", False) for word in answer.json()["words"]] == [False, True, False]
    for word in answer.json()["words"]:
        assert text[word["source_start"] : word["source_end"]] == word["word"]


async def test_events_tell_the_words_of_each_part_once(tmp_path: Path) -> None:
    text = "[Ana] Olá tia. [Ben] Hi. [Cid] Oi."
    async with stage(tmp_path, *(Scripted(*spoken(1.0)) for _ in range(3))) as server:
        asked = body(text, stream_format="words", response_format="pcm")
        answer = await server.ask("POST", "/v1/audio/speech", body=asked)
    events = [json.loads(each.removeprefix("data: ")) for each in answer.text.split("\n\n") if each]
    told = [event["words"] for event in events if event["type"] == "speech.audio.words"]
    found = [(word["word"], word["start_seconds"]) for words in told for word in words]
    assert found == [
        ("Olá", 0.0),
        ("tia", 0.5),
        ("Hi", 1.0 + PAUSE_S),
        ("Oi", 2.0 + 2 * PAUSE_S),
    ]
    assert len(told) > 1


async def test_a_dialogue_of_one_turn_is_as_direct_as_any_other_speech(tmp_path: Path) -> None:
    """Bytes that the engine encoded itself pass; only where parts meet are they made of PCM."""
    one = Scripted(*spoken(0.5), formats=("mp3",))
    async with stage(tmp_path, one, Scripted(*spoken(0.5))) as server:
        await hear(server, "[Ana] Olá.", response_format="mp3")
        await hear(server, "[Ana] Olá. [Ben] Hi.", response_format="mp3")
    assert [job.formats for job in one.jobs] == [("mp3",), ()]


async def test_each_part_costs_what_its_engine_takes(tmp_path: Path) -> None:
    config = CONFIG.replace(
        "[engines.one]", '[engines.one]\ncosts = { "*" = { usd = 0.01, per = "character" } }'
    )
    config = config.replace("[engines.two]", '[engines.two]\ncosts = { "*" = { usd = 0.5, per = "second" } }')
    async with stage(tmp_path, Scripted(*spoken(1.0)), Scripted(*spoken(2.0)), config=config) as server:
        await hear(server, "[Ana] Olá. [Ben] Hi. [Ana] Oi.")
        rows = await server.worker.store.read("SELECT * FROM costs ORDER BY attempt", {})
        (row,) = await server.usage()
    # A provider bills what it was given to speak, without the blanks around it.
    assert [(cost["engine"], cost["characters"], cost["micro_usd"]) for cost in rows] == [
        ("one", len("Olá."), 40_000),
        ("two", len("Hi."), 1_000_000),
        ("one", len("Oi."), 30_000),
    ]
    assert row.micro_usd == 1_070_000


async def test_the_seconds_of_every_engine_are_counted_as_its_own_with_the_pause_after_it(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, Scripted(*spoken(1.0)), Scripted(*spoken(2.0))) as server:
        await hear(server, "[Ana] Olá. [Ben] Hi. [Ana] Oi.")
        metrics = server.worker.metrics.page_text()
    assert 'voxgate_speech_seconds_total{engine="one",model="m"} 2.25' in metrics
    assert 'voxgate_speech_seconds_total{engine="two",model="m"} 2.25' in metrics
