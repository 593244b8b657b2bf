"""The same request twice: the same bytes, no engine speaks, and it costs what the plan says."""

import base64
import json
import os
from pathlib import Path
from typing import Any

import httpx2

from policies.plans import UNLIMITED, build_terms
from proxy.access.callers import Caller
from proxy.http.replies import encode_json
from proxy.speech import speech_request
from proxy.speech.answer import Answer
from proxy.speech.call import SpeechCall, Totals
from proxy.storage.store import Statement
from speech_engine import Encoded, Finished, Started, Word, Words, errors
from tests.features.cache.keeping import (
    BODY,
    CONFIG,
    all_landed,
    ask,
    cache_of,
    found,
    landed,
    reopened,
    revise,
    speaking,
    stored,
)
from tests.proxy.api.scripted import RATE_HZ, Scripted, spoken
from tests.proxy.file_store.idempotent import KEY
from tests.tables import each_row

FORMATS = ("mp3", "opus", "aac", "flac", "wav", "pcm")
SHAPES: dict[str, dict[str, str]] = {
    **{name: {"response_format": name} for name in FORMATS},
    "json": {"response_format": "json", "audio_format": "opus"},
    "json with a wav": {"response_format": "json", "audio_format": "wav"},
    "events": {"response_format": "mp3", "stream_format": "sse"},
}
WORDS = Words((Word(0, 0, 5), Word(RATE_HZ // 2, 6, 11)))
PRICED = (
    CONFIG
    + """
[plans.small]
allowance = 1000
streams = 1
cache = true
[plans.small.prices]
speech = { credits = 1, per = "second" }
cached = { credits = %s, per = "%s" }
"""
)


def events(answer: httpx2.Response) -> list[dict[str, Any]]:
    lines = answer.text.split("\n\n")
    return [json.loads(line.removeprefix("data: ")) for line in lines if line]


def sound(answer: httpx2.Response) -> bytes:
    """Return the sound of an answer, in whatever form it came."""
    kind = answer.headers["content-type"]
    if kind == "application/json":
        return base64.b64decode(answer.json()["audio_base64"])
    if kind.startswith("text/event-stream"):
        deltas = [event["audio"] for event in events(answer) if event["type"] == "speech.audio.delta"]
        return b"".join(map(base64.b64decode, deltas))
    return answer.content


@each_row("shape", SHAPES)
async def test_the_second_time_it_is_the_same_to_the_byte_and_nobody_speaks(
    tmp_path: Path, shape: str
) -> None:
    engine = Scripted(*spoken(1.0)[:-1], WORDS, Finished(), times_words=True)
    async with speaking(tmp_path, engine) as server:
        miss, hit = [await ask(server, **SHAPES[shape]) for _ in range(2)]
    assert [found(answer) for answer in (miss, hit)] == ["miss", "hit"]
    assert sound(hit) == sound(miss)
    assert len(sound(hit)) > 1000
    assert len(engine.jobs) == 1
    if shape.startswith("json"):
        assert hit.json() == miss.json()
        assert [word["word"] for word in hit.json()["words"]] == ["Hello", "there"]
    if shape == "events":
        assert events(hit)[-1] == events(miss)[-1]
        assert events(hit)[-1]["type"] == "speech.audio.done"
    for name in ("content-type", "content-length", "x-voxgate-engine", "x-voxgate-sample-rate"):
        assert hit.headers.get(name) == miss.headers.get(name)


async def test_one_take_serves_bytes_events_json_and_whole_wavs(tmp_path: Path) -> None:
    engine = Scripted(*spoken(1.0))
    async with speaking(tmp_path, engine) as server:
        streamed = await server.ask(
            "POST",
            "/v1/audio/speech",
            body={**BODY, "cache": True, "response_format": "wav"},
            **{"x-stainless-raw-response": "stream"},
        )
        whole = await ask(server, response_format="wav")
        as_json = await ask(server, response_format="json", audio_format="wav")
        as_events = await ask(server, response_format="wav", stream_format="sse")
    assert [found(answer) for answer in (streamed, whole, as_json, as_events)] == ["miss", *["hit"] * 3]
    assert streamed.content[4:8] == b"\xff\xff\xff\xff"
    assert int.from_bytes(whole.content[4:8], "little") == len(whole.content) - 8
    assert sound(as_json) == whole.content
    assert sound(as_events) == streamed.content
    assert len(engine.jobs) == 1


async def test_audio_that_an_engine_encoded_itself_is_kept_as_it_is(tmp_path: Path) -> None:
    async with speaking(tmp_path, Scripted(*spoken(1.0))) as server:
        mp3 = (await ask(server, response_format="mp3", cache=False)).content
    engine = Scripted(Started(RATE_HZ), Encoded("mp3", mp3), Finished(), formats=("mp3",))
    (tmp_path / "other").mkdir()
    async with speaking(tmp_path / "other", engine) as server:
        miss, hit = [await ask(server, response_format="mp3") for _ in range(2)]
        rows = await server.usage()
    assert [found(miss), found(hit)] == ["miss", "hit"]
    assert miss.content == hit.content == mp3
    assert rows[0].samples == rows[1].samples > 0


async def test_a_large_one_comes_from_the_disk_in_pieces(tmp_path: Path) -> None:
    engine = Scripted(*spoken(30.0))
    async with speaking(tmp_path, engine, text=CONFIG.replace("megabytes = 1", "megabytes = 8")) as server:
        text = "word " * 100
        miss, hit = [await ask(server, input=text) for _ in range(2)]
        rows = await server.usage()
    assert [found(miss), found(hit)] == ["miss", "hit"]
    assert miss.content == hit.content
    assert len(hit.content) == 60 * RATE_HZ
    assert [row.samples for row in rows] == [30 * RATE_HZ] * 2


async def test_a_clip_survives_its_worker(tmp_path: Path) -> None:
    engine = Scripted(*spoken(1.0))
    async with speaking(tmp_path, engine) as server:
        miss = await ask(server)
    async with reopened(tmp_path, server, engine) as again:
        hit = await ask(again)
    assert (found(miss), found(hit), hit.content) == ("miss", "hit", miss.content)
    assert len(engine.jobs) == 1


@each_row(
    ("asked", "planned", "configured", "states"),
    [
        (None, "false", "false", ["off", "off"]),
        (None, "true", "false", ["miss", "hit"]),
        (None, "false", "true", ["miss", "hit"]),
        (True, "false", "false", ["miss", "hit"]),
        (False, "true", "true", ["off", "off"]),
    ],
)
async def test_request_before_plan_and_configuration(
    tmp_path: Path, asked: bool | None, planned: str, configured: str, states: list[str]
) -> None:
    text = f"{CONFIG}on = {configured}\n[plans.small]\ncache = {planned}\n"
    engine = Scripted(*spoken(0.5))
    async with speaking(tmp_path, engine, text=text, plan="small") as server:
        answers = [await ask(server, cache=asked) for _ in range(2)]
        rows = await server.usage()
    assert [found(answer) for answer in answers] == states
    assert [row.cache for row in reversed(rows)] == states
    assert len(engine.jobs) == (1 if "hit" in states else 2)
    assert bool(stored(tmp_path)) is ("hit" in states)


async def test_without_megabytes_nothing_is_kept_and_a_reload_gives_or_takes_them(tmp_path: Path) -> None:
    none = CONFIG.replace("megabytes = 1", "megabytes = 0")
    async with speaking(tmp_path, Scripted(*spoken(0.5)), text=none) as server:
        assert [found(await ask(server)) for _ in range(2)] == ["off", "off"]
        revise(server, tmp_path, CONFIG)
        assert [found(await ask(server)) for _ in range(2)] == ["miss", "hit"]
        revise(server, tmp_path, none)
        assert found(await ask(server)) == "off"


@each_row("sent", ["yes", 1, [], {}])
async def test_a_value_that_is_no_switch_is_a_400_that_names_the_field(tmp_path: Path, sent: object) -> None:
    async with speaking(tmp_path, Scripted(*spoken(0.5))) as server:
        answer = await server.ask("POST", "/v1/audio/speech", body={**BODY, "cache": sent})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "cache")


@each_row(
    ("credits", "per", "charged"),
    [("0.25", "second", 500_000), ("0.1", "character", 1_200_000), ("3", "job", 3_000_000)],
)
async def test_a_hit_costs_the_plans_price_for_it(
    tmp_path: Path, credits: str, per: str, charged: int
) -> None:
    engine = Scripted(*spoken(2.0))
    async with speaking(tmp_path, engine, text=PRICED % (credits, per), plan="small") as server:
        for shape in ("pcm", "json"):
            await ask(server, cache=None, response_format=shape, audio_format="pcm")
        hit, miss = await server.usage()
        entries = await server.worker.store.read("SELECT amount FROM entries ORDER BY at DESC, amount DESC")
    assert (miss.cache, miss.credits, miss.samples) == ("miss", 2_000_000, 2 * RATE_HZ)
    assert (hit.cache, hit.credits, hit.samples) == ("hit", charged, 2 * RATE_HZ)
    assert (hit.engine, hit.model, hit.voice, hit.language) == (
        miss.engine,
        miss.model,
        miss.voice,
        miss.language,
    )
    assert (hit.outcome, hit.characters, hit.units, hit.micro_usd) == ("finished", 12, None, 0)
    assert sorted(entry["amount"] for entry in entries) == sorted([-miss.credits, -hit.credits])


async def test_a_client_without_credits_may_still_hear_what_is_free_again(tmp_path: Path) -> None:
    text = (PRICED % ("0", "job")).replace("allowance = 1000", "allowance = 2")
    async with speaking(tmp_path, Scripted(*spoken(2.0)), text=text, plan="small") as server:
        first = await ask(server, cache=None, input="Hi.")
        again = await ask(server, cache=None, input="Hi.")
        other = await server.ask("POST", "/v1/audio/speech", body={**BODY, "input": "Something else."})
    assert [found(first), found(again)] == ["miss", "hit"]
    assert (other.status_code, other.json()["error"]["code"]) == (429, "insufficient_quota")


async def test_a_hit_that_cannot_be_paid_is_refused(tmp_path: Path) -> None:
    text = (PRICED % ("1", "second")).replace("allowance = 1000", "allowance = 3")
    engine = Scripted(*spoken(2.0))
    async with speaking(tmp_path, engine, text=text, plan="small") as server:
        await ask(server, cache=None, input="Hi.")
        refused = await server.ask("POST", "/v1/audio/speech", body={**BODY, "input": "Hi."})
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "insufficient_quota")
    assert len(engine.jobs) == 1


def _open_files() -> list[str]:
    return [os.readlink(link) for link in Path("/proc/self/fd").iterdir() if link.exists()]


async def test_a_large_clip_that_cannot_be_paid_leaves_no_file_open(tmp_path: Path) -> None:
    text = (PRICED % ("1", "second")).replace("allowance = 1000", "allowance = 50")
    text = text.replace("megabytes = 1", "megabytes = 8")
    engine = Scripted(*spoken(30.0))
    async with speaking(tmp_path, engine, text=text, plan="small") as server:
        body = {**BODY, "input": "word " * 100}
        await ask(server, cache=None, input=body["input"])
        await landed(tmp_path)
        refused = await server.ask("POST", "/v1/audio/speech", body=body)
        await landed(tmp_path)
        files = _open_files()
    assert refused.json()["error"]["code"] == "insufficient_quota"
    assert not [file for file in files if file.startswith(str(tmp_path / "data" / "cache"))]


async def test_a_clip_that_another_candidate_spoke_is_that_candidates(tmp_path: Path) -> None:
    async def fail_once() -> None:
        if len(one.jobs) == 1:
            raise errors.EngineFailed("x")

    one, two = Scripted(fail_once, *spoken(0.5)), Scripted(*spoken(1.0))
    async with speaking(tmp_path, one, two) as server:
        answers = []
        for _ in range(3):
            answers.append(await ask(server))
            await all_landed(server)
        named = await ask(server, model="two/m")
    assert [found(answer) for answer in answers] == ["miss", "miss", "hit"]
    assert [answer.headers["x-voxgate-engine"] for answer in answers] == ["two/m", "one/m", "one/m"]
    assert (found(named), named.headers["x-voxgate-engine"], named.content) == (
        "hit",
        "two/m",
        answers[0].content,
    )


async def test_a_dialogue_is_kept_as_one_and_goes_with_each_of_its_voices(tmp_path: Path) -> None:
    async def say(text: str, **more: str) -> httpx2.Response:
        voice = {"cast": {"Ana": "ana", "Ben": "ben"}}
        return await ask(server, secret=None, input=text, voice=voice, **more)

    engine = Scripted(*spoken(0.5))
    text, turned = "[Ana] Hello there. [Ben] Good bye.", "[Ben] Hello there. [Ana] Good bye."
    async with speaking(tmp_path, engine) as server:
        answers = [await say(text), await say(turned), await say(text), await say(turned)]
        as_json = await say(text, response_format="json", audio_format="pcm")
        rows = await server.usage()
        await cache_of(server).purge_voice(server.account.id, "ben")
        again = await say(text)
    assert [found(answer) for answer in (*answers, as_json, again)] == ["miss"] * 2 + ["hit"] * 3 + ["miss"]
    assert answers[0].content == answers[2].content == sound(as_json)
    assert len(engine.jobs) == 6
    hit, miss = rows[2], rows[4]
    assert (hit.cache, hit.engine, hit.model, hit.samples) == ("hit", miss.engine, miss.model, miss.samples)


async def test_an_answer_that_nobody_took_to_its_end_is_not_kept(tmp_path: Path) -> None:
    engine = Scripted(*spoken(0.5))
    request = speech_request.parse_speech(encode_json({**BODY, "cache": True}), speech_request.Defaults())
    async with speaking(tmp_path, engine) as server:
        caller = Caller(server.account.id, "key_1", "unlimited", "speech")
        plan = server.worker.planner.plan(request, build_terms(UNLIMITED))

        async def take_one(answer: Answer) -> None:
            assert await answer.next_chunk()

        cache = cache_of(server)
        clip = cache.path(cache.name_without_text(caller.account, request, plan), request.text)
        call = SpeechCall("req_1", caller, request, plan, Totals(request, plan), clip)
        await server.worker.pipeline.answer(call, take_one, lambda: None)
        await landed(tmp_path)
        assert not stored(tmp_path)
        assert [found(await ask(server)) for _ in range(2)] == ["miss", "hit"]


async def test_an_answer_that_could_not_be_settled_is_not_kept(tmp_path: Path) -> None:
    async def rename(old: str, new: str) -> None:
        await server.worker.store.write(Statement(f"ALTER TABLE {old} RENAME TO {new}"))

    async def break_once() -> None:
        if len(engine.jobs) == 1:
            await rename("usage", "away")

    engine = Scripted(*spoken(0.5)[:-1], break_once, *spoken(0.5)[-1:])
    async with speaking(tmp_path, engine) as server:
        broken = await server.raw_speech({**BODY, "cache": True})
        assert broken[-1]["more_body"]
        await landed(tmp_path)
        assert not stored(tmp_path)
        await rename("away", "usage")
        assert [found(await ask(server)) for _ in range(2)] == ["miss", "hit"]


async def test_a_hit_that_cannot_be_settled_is_an_error_and_not_half_an_answer(tmp_path: Path) -> None:
    async with speaking(tmp_path, Scripted(*spoken(0.5))) as server:
        await ask(server)
        assert found(await ask(server)) == "hit"
        await server.worker.store.write(Statement("ALTER TABLE usage RENAME TO away"))
        answer = await server.ask("POST", "/v1/audio/speech", body={**BODY, "cache": True})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "storage_unavailable")


async def test_an_idempotent_request_is_kept_and_a_hit_is_recorded_for_its_key(tmp_path: Path) -> None:
    engine = Scripted(*spoken(0.5))
    async with speaking(tmp_path, engine) as server:
        body, headers = {**BODY, "cache": True}, {"idempotency-key": KEY}
        miss = await ask(server)
        hit = await server.ask("POST", "/v1/audio/speech", body=body, **headers)
        replay = await server.ask("POST", "/v1/audio/speech", body=body, **headers)
        assert len(await server.usage()) == 2
    assert [found(miss), found(hit), found(replay)] == ["miss", "hit", "hit"]
    assert replay.headers["x-voxgate-replayed"] == "true"
    assert miss.content == hit.content == replay.content
    assert len(engine.jobs) == 1


async def test_hits_and_misses_are_counted_without_names(tmp_path: Path) -> None:
    async with speaking(tmp_path, Scripted(*spoken(0.5))) as server:
        for _ in range(3):
            await ask(server)
        page, account = server.worker.metrics.page_text(), server.account.id
    assert 'voxgate_cache_lookups_total{found="miss"} 1.0' in page
    assert 'voxgate_cache_lookups_total{found="hit"} 2.0' in page
    assert "voxgate_cache_stores_total 1.0" in page
    lines = [line for line in page.splitlines() if "voxgate_cache" in line]
    assert not [line for line in lines if account in line or "ana" in line]
