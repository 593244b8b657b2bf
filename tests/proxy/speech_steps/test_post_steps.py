"""What a route's post-step does to speech: another engine repeats it, while the first one still speaks."""

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpx2
import pytest
from prometheus_client import generate_latest
from starlette.types import Message

from plugins.tone.decode import decode
from proxy.features.admin import verify
from proxy.storage.costs import Cost
from proxy.storage.rows import columns
from speech_engine import (
    Audio,
    Encoded,
    EngineBusy,
    EngineCannot,
    EngineFailed,
    EngineLimited,
    EngineUnauthorized,
    EngineUnavailable,
    Event,
    Finished,
    SpeechJob,
    Started,
    VoiceNotFound,
)
from tests.proxy.api.inside import Inside, LeavingPeer, envelope, inside
from tests.proxy.api.scripted import RATE_HZ, Scripted, sound, spoken
from tests.proxy.speech.test_candidate_stream import mp3
from tests.proxy.speech_steps.repeating import Repeating
from tests.sound import decoded
from tests.speech_engine.host.simulated_time import simulated
from tests.tables import each_row
from tests.waiting import soon

TONES = """
[server]
default_model = "tts-1"
turn_pause_ms = 0
[storage]
url = "{store}"
[cache]
on = true
[engines.tone]
hosted = false
[engines.rough]
plugin = "tone"
hosted = false
sample_rate_hz = 16000
[engines.second]
plugin = "tone"
hosted = false
voices = ["anna"]
level_db = -12
[models]
tts-1 = ["tone/standard"]
[voices.alloy]
tone = "tone"
rough = "tone"
[voices.nova]
tone = "tone"
[[routes]]
language = "en"
candidates = {candidates}
post = {post}
[plans.small]
allowance = 1000
prices.speech = {{ credits = 120, per = "minute" }}
prices.conversion = {{ credits = 60, per = "minute" }}
"""
ALWAYS = '[{ engine = "second", voice = "anna" }]'
HAPPY = '[{ engine = "second", voice = "anna", when = "emotion:happy" }]'
TEXT = "Say it in another voice."
QUIETER = 10 ** (-12 / 20)


def tones(post: str = ALWAYS, candidates: str = '["tone/standard"]', store: str = "sqlite") -> str:
    return TONES.format(post=post, candidates=candidates, store=store)


async def speak(server: Inside, text: str = TEXT, **more: object) -> httpx2.Response:
    answer = await server.speech(text, **{"language": "en", "response_format": "wav", "cache": False, **more})
    assert answer.status_code == 200, answer.text
    return answer


def loudness(answer: httpx2.Response) -> float:
    return decoded(answer.content, "wav").loudness


BOTH = "tone/standard, second/standard"


async def test_the_words_arrive_as_loud_as_the_second_voice_is(tmp_path: Path) -> None:
    async with inside(tmp_path, tones()) as server:
        plain = await speak(server, model="tone/standard")
        answer = await speak(server)
    assert plain.headers["x-voxgate-engine"] == "tone/standard"
    assert answer.headers["x-voxgate-engine"] == BOTH
    once, twice = decoded(plain.content, "wav"), decoded(answer.content, "wav")
    assert decode(*twice) == (TEXT,)
    assert twice.loudness == pytest.approx(once.loudness * QUIETER, rel=0.01)
    assert len(twice.samples) == len(once.samples)


@each_row("audio_format", ["mp3", "opus", "flac", "pcm"])
async def test_it_comes_in_every_format_and_at_another_rate_of_the_first(
    tmp_path: Path, audio_format: str
) -> None:
    async with inside(tmp_path, tones(candidates='["rough/standard"]')) as server:
        answer = await speak(server, response_format=audio_format)
    assert answer.headers["x-voxgate-engine"] == "rough/standard, second/standard"
    assert decode(*decoded(answer.content, audio_format)) == (TEXT,)


async def test_the_speed_and_the_times_of_words_are_those_of_the_speech(tmp_path: Path) -> None:
    async with inside(tmp_path, tones()) as server:
        told = [
            (await speak(server, model=model, response_format="json", audio_format="wav", speed=1.5)).json()
            for model in ("tone/standard", "tts-1")
        ]
    assert told[0]["words"] == told[1]["words"]
    assert told[0]["words"]


async def test_a_step_for_an_emotion_is_for_that_alone(tmp_path: Path) -> None:
    async with inside(tmp_path, tones(HAPPY)) as server:
        plain, happy = await speak(server), await speak(server, emotion="happy")
        sad = await server.speech(TEXT, language="en", emotion="sad")
    assert [each.headers["x-voxgate-engine"] for each in (plain, happy)] == ["tone/standard", BOTH]
    assert loudness(happy) == pytest.approx(loudness(plain) * QUIETER, rel=0.01)
    assert (sad.status_code, envelope(sad)["param"]) == (400, "emotion")


async def test_a_part_without_the_emotion_is_left_as_it_is(tmp_path: Path) -> None:
    text = "First of all this. [happy] Then that, which is much better."
    async with inside(tmp_path, tones(HAPPY), plan="small") as server:
        answer = await speak(server, text, response_format="pcm")
        (row,) = await server.usage()
        assert (await verify.verify(server.worker.store)).is_clean
    assert answer.headers["x-voxgate-engine"] == BOTH
    samples = decoded(answer.content, "pcm").samples
    assert " ".join(decode(samples, RATE_HZ)) == "First of all this. Then that, which is much better."
    assert (row.engine, row.outcome) == ("tone+second", "finished")
    speech_alone = math.ceil(row.samples * 2_000_000 / row.sample_rate_hz)
    with_all_repeated = math.ceil(row.samples * 3_000_000 / row.sample_rate_hz)
    assert speech_alone < row.credits < with_all_repeated


async def test_each_part_of_a_dialogue_is_repeated(tmp_path: Path) -> None:
    async with inside(tmp_path, tones()) as server:
        body = {
            "model": "tts-1",
            "voice": {"cast": {"Ana": "alloy", "Ben": "nova"}},
            "input": "[Ana] Who goes there? [Ben] It is only me.",
            "language": "en",
            "response_format": "wav",
        }
        answer = await server.ask("POST", "/v1/audio/speech", body=body)
    assert answer.headers["x-voxgate-engine"] == BOTH
    assert decode(*decoded(answer.content, "wav")) == ("Who goes there?", "It is only me.")


async def test_each_language_has_the_steps_of_its_own_route(tmp_path: Path) -> None:
    thai = '[[routes]]\nlanguage = "th"\nsentences = true\ncandidates = ["rough/standard"]\n'
    async with inside(
        tmp_path, thai + tones().replace("[[routes]]", "[[routes]]\nsentences = true")
    ) as server:
        text = "Good morning to all of you. สวัสดีครับ ยินดีต้อนรับ"
        answer = await speak(server, text, language="auto")
    assert answer.headers["x-voxgate-engine"] == f"{BOTH}, rough/standard"
    assert "".join(decode(*decoded(answer.content, "wav"))) == text.replace(". ", ".")


@each_row(
    "post, plan, code",
    [
        ('[{ engine = "second", voice = "gone" }]', "unlimited", (503, "post_step_not_ready")),
        (ALWAYS, "first", (403, "model_not_allowed")),
    ],
)
async def test_a_text_is_not_spoken_in_another_language_for_want_of_a_post_step(
    tmp_path: Path, post: str, plan: str, code: tuple[int, str]
) -> None:
    config = tones(post).replace('language = "en"', 'language = "de"') + '[plans.first]\nengines = ["tone"]\n'
    async with inside(tmp_path, config, plan=plan) as server:
        answer = await server.speech("Guten Morgen, meine lieben Freunde und Nachbarn.")
    assert (answer.status_code, envelope(answer)["code"]) == code


async def test_pauses_are_as_long_as_the_speech_has_them(tmp_path: Path) -> None:
    text = "One sentence. Another sentence.\n\nA paragraph of its own."
    async with inside(tmp_path, tones()) as server:
        plain, answer = await speak(server, text, model="tone/standard"), await speak(server, text)
    once, twice = decoded(plain.content, "wav"), decoded(answer.content, "wav")
    assert decode(*twice) == decode(*once)
    assert len(twice.samples) == len(once.samples)


async def test_both_are_charged_and_the_row_names_both(tmp_path: Path, store_url: str) -> None:
    async with inside(tmp_path, tones(store=store_url), plan="small") as server:
        answer = await speak(server, response_format="pcm")
        (row,) = await server.usage()
        assert (row.engine, row.model, row.voice) == ("tone+second", "standard", "alloy")
        assert (row.kind, row.outcome, row.samples) == ("speech", "finished", len(answer.content) // 2)
        assert row.credits == math.ceil(row.samples * 3_000_000 / row.sample_rate_hz)
        assert (await verify.verify(server.worker.store)).is_clean


async def test_two_equal_prices_are_both_paid(tmp_path: Path) -> None:
    config = tones().replace("credits = 120", "credits = 60")
    async with inside(tmp_path, config, plan="small") as server:
        await speak(server)
        (row,) = await server.usage()
        assert row.credits == math.ceil(row.samples * 2_000_000 / row.sample_rate_hz)
        assert (await verify.verify(server.worker.store)).is_clean


async def test_who_can_pay_for_the_speech_alone_does_not_get_it_repeated(tmp_path: Path) -> None:
    """The hold is by an estimate, which is longer than the speech."""
    enough_for_one = tones().replace("allowance = 1000", "allowance = 5")
    async with inside(tmp_path, enough_for_one, plan="small") as server:
        refused = await server.speech(TEXT, language="en")
        assert (refused.status_code, envelope(refused)["code"]) == (429, "insufficient_quota")
        await speak(server, model="tone/standard")


async def test_a_clip_is_kept_and_replayed_with_both_speakers(tmp_path: Path) -> None:
    async with inside(tmp_path, tones()) as server:
        first, again = [await speak(server, cache=True) for _ in range(2)]
        alone = await speak(server, cache=True, model="tone/standard")
    assert [each.headers["x-voxgate-cache"] for each in (first, again, alone)] == ["miss", "hit", "miss"]
    assert again.headers["x-voxgate-engine"] == BOTH
    assert first.content == again.content != alone.content


async def test_seconds_are_counted_once_under_both_names(tmp_path: Path) -> None:
    async with inside(tmp_path, tones()) as server:
        await speak(server)
        page = generate_latest(server.worker.metrics.registry).decode()
    assert 'voxgate_speech_seconds_total{engine="tone+second",model="standard+standard"}' in page
    assert 'voxgate_speech_seconds_total{engine="tone",' not in page


SCRIPTED = """
[server]
[engines.one]
costs = { "*" = { usd = 0.5, per = "job" } }
[engines.two]
costs = { "*" = { usd = 0.125, per = "job" } }
[engines.rvc]
costs = { "*" = { usd = 0.25, per = "job" } }
{budget}
[models]
tts-1 = ["one/m"]
[voices.alloy]
one = "v"
two = "v"
[[routes]]
language = "en"
candidates = ["one/m", "two/m"]
post = [{ engine = "rvc", voice = "v" }]
[plans.small]
allowance = 1000
prices.speech = { credits = 120, per = "minute" }
prices.conversion = { credits = 60, per = "minute" }
"""


def scripted(budget: str = "") -> str:
    return SCRIPTED.replace("{budget}", budget)


async def costs(server: Inside) -> list[Cost]:
    rows = await server.worker.store.read(f"SELECT {columns(Cost)} FROM costs ORDER BY attempt", {})
    return [Cost(**row) for row in rows]


def check_nobody_works(*engines: Scripted) -> None:
    assert [each.open for each in engines] == [0] * len(engines)


async def check_no_hold(server: Inside) -> None:
    """All that was held is free again, and the books agree."""
    rows = await server.worker.store.read("SELECT * FROM holds", {})
    assert list(rows) == []
    assert (await verify.verify(server.worker.store)).is_clean


async def test_each_engine_has_its_own_cost(tmp_path: Path) -> None:
    one, rvc = Scripted(*spoken(0.5)), Repeating()
    async with inside(tmp_path, scripted(), {"one": one, "two": Scripted(), "rvc": rvc}) as server:
        await speak(server)
        found = await costs(server)
    assert [(each.engine, each.micro_usd, each.audio_ms) for each in found] == [
        ("one", 500_000, 500),
        ("rvc", 250_000, 500),
    ]
    (job,) = rvc.jobs
    assert (job.segments, job.formats, job.emotion, job.voice) == ((), (), None, one.jobs[0].voice)


async def test_before_any_sound_the_next_candidate_speaks(tmp_path: Path) -> None:
    first, rvc = Scripted(EngineUnavailable("down")), Repeating()
    engines = {"one": first, "two": Scripted(*spoken(0.5)), "rvc": rvc}
    async with inside(tmp_path, scripted(), engines, plan="small") as server:
        answer = await speak(server)
        assert [each.engine for each in await costs(server)] == ["two", "rvc"]
        await check_no_hold(server)
    assert answer.headers["x-voxgate-engine"] == "two/m, rvc/m"
    check_nobody_works(*engines.values())


class FailingFirst(Repeating):
    """So many of its jobs fail before they have made a sound."""

    def __init__(self, error: Exception, jobs: int = 1) -> None:
        super().__init__(window=1000)
        self._error = error
        self._failing = jobs

    def _sound(self, pieces: list[bytes]) -> Audio:
        if len(self.jobs) <= self._failing:
            raise self._error
        return super()._sound(pieces)


@each_row("error", [EngineFailed("x"), EngineLimited("x"), VoiceNotFound("x")])
@simulated
async def test_a_post_engine_that_fails_before_its_sound_gets_another_candidates(
    tmp_path: Path, error: Exception
) -> None:
    engines = {"one": Scripted(*spoken(0.5)), "two": Scripted(*spoken(0.5)), "rvc": FailingFirst(error)}
    async with inside(tmp_path, scripted(), engines, plan="small") as server:
        answer = await speak(server)
        found = await costs(server)
        await check_no_hold(server)
    assert answer.headers["x-voxgate-engine"] == "two/m, rvc/m"
    # What the first has spoken is paid to its provider all the same.
    begun = [] if isinstance(error, EngineLimited) else ["rvc"]
    assert [each.engine for each in found] == ["one", *begun, "two", "rvc"]
    assert found[0].micro_usd == 500_000
    check_nobody_works(*engines.values())


@each_row("error", [EngineUnavailable("gone"), EngineBusy("full"), EngineCannot("never")])
@each_row("hedge", ["", "hedge_s = 5.0\n"])
async def test_no_other_candidate_speaks_for_who_is_not_there_to_repeat_it(
    tmp_path: Path, error: Exception, hedge: str
) -> None:
    engines = {"one": Scripted(*spoken(0.5)), "two": Scripted(*spoken(0.5)), "rvc": FailingFirst(error)}
    config = scripted().replace("[engines.one]\n", f"[engines.one]\n{hedge}")
    async with inside(tmp_path, config, engines, plan="small") as server:
        answer = await server.speech(TEXT, language="en")
        (row,) = await server.usage()
        assert [each.engine for each in await costs(server)] == ["one"]
        await check_no_hold(server)
    assert (answer.status_code, envelope(answer)["code"]) == (503, "engine_unavailable")
    assert (row.outcome, row.credits) == ("failed", 0)
    assert engines["two"].jobs == []
    check_nobody_works(*engines.values())


async def test_nobody_speaks_while_who_repeats_is_known_to_be_away(tmp_path: Path) -> None:
    """A key that was refused rests at once."""
    rvc = FailingFirst(EngineUnauthorized("the key is gone"))
    engines = {"one": Scripted(*spoken(0.5)), "two": Scripted(*spoken(0.5)), "rvc": rvc}
    async with inside(tmp_path, scripted(), engines) as server:
        for _ in range(2):
            answer = await server.speech(TEXT, language="en", cache=False)
            assert (answer.status_code, envelope(answer)["code"]) == (503, "engine_unavailable")
            assert int(answer.headers["retry-after"]) >= 1
    assert [len(each.jobs) for each in engines.values()] == [1, 0, 1]


async def test_when_nobody_repeats_it_the_failure_is_the_servers_and_free(tmp_path: Path) -> None:
    engines = {
        "one": Scripted(*spoken(0.5)),
        "two": Scripted(*spoken(0.5)),
        "rvc": FailingFirst(VoiceNotFound("x"), jobs=2),
    }
    async with inside(tmp_path, scripted(), engines, plan="small") as server:
        answer = await server.speech(TEXT, language="en")
        (row,) = await server.usage()
        await check_no_hold(server)
    assert (answer.status_code, envelope(answer)["code"]) == (503, "engine_unavailable")
    assert (row.outcome, row.credits) == ("failed", 0)
    check_nobody_works(*engines.values())


BROKEN: list[tuple[Sequence[Any], Sequence[Any]]] = [
    ([Started(RATE_HZ), *sound(2.0), EngineFailed("the first")], []),
    (spoken(2.0), [EngineFailed("the second")]),
    (spoken(2.0), [VoiceNotFound("the second has lost it")]),
]


@each_row(("first", "second"), BROKEN)
async def test_an_answer_that_breaks_after_its_first_sound_costs_nothing(
    tmp_path: Path, first: Sequence[Any], second: Sequence[Any]
) -> None:
    engines = {"one": Scripted(*first), "two": Scripted(), "rvc": Repeating(*second)}
    async with inside(tmp_path, scripted(), engines, plan="small") as server:
        messages = await server.raw_speech(BODY)
        (row,) = await server.usage()
        await check_no_hold(server)
    assert messages[0]["status"] == 200
    assert messages[-1]["more_body"], "the answer is broken off"
    assert (row.outcome, row.credits, row.engine) == ("failed", 0, "one+rvc")
    check_nobody_works(*engines.values())


BODY = {
    "model": "tts-1",
    "voice": "alloy",
    "input": TEXT * 4,
    "language": "en",
    "response_format": "pcm",
    "cache": False,
}


@each_row("waits", ["first", "second", "neither"])
async def test_who_leaves_pays_for_what_was_sent_and_ends_both_engines(tmp_path: Path, waits: str) -> None:
    never = asyncio.Event().wait
    first = [Started(RATE_HZ), *sound(2.0), never if waits != "second" else Finished()]
    rvc = Repeating(*([never] if waits == "second" else []))
    engines = {"one": Scripted(*first), "two": Scripted(), "rvc": rvc}
    async with inside(tmp_path, scripted(), engines, plan="small") as server:
        peer, began = LeavingPeer(), asyncio.Event()

        async def note(message: Message) -> None:
            if message.get("body"):
                began.set()

        speaking = asyncio.create_task(server.raw_speech(BODY, peer=peer, on_sent=note))
        await asyncio.wait_for(began.wait(), 20.0)
        if waits != "neither":
            await soon(lambda: rvc.heard >= 15)
        peer.leave()
        await asyncio.wait_for(asyncio.wait([speaking]), 20.0)
        (row,) = await server.usage()
        await check_no_hold(server)
    assert row.outcome == "left"
    assert row.credits == math.ceil(row.samples * 3_000_000 / row.sample_rate_hz) > 0
    check_nobody_works(*engines.values())


async def test_who_leaves_before_any_sound_pays_nothing(tmp_path: Path) -> None:
    one = Scripted(asyncio.Event().wait)
    engines = {"one": one, "two": Scripted(), "rvc": Repeating()}
    async with inside(tmp_path, scripted(), engines, plan="small") as server:
        leaves = asyncio.Event()
        speaking = asyncio.create_task(server.raw_speech(BODY, leaves))
        await soon(lambda: one.open == 1)
        leaves.set()
        await asyncio.wait_for(asyncio.wait([speaking]), 20.0)
        (row,) = await server.usage()
        await check_no_hold(server)
    assert (row.outcome, row.credits) == ("left", 0)
    check_nobody_works(*engines.values())


async def test_who_leaves_while_a_submitted_conversion_waits_pays_for_both(tmp_path: Path) -> None:
    """The second bills from the moment that it has the sound. The first has given nothing to the client."""
    never = asyncio.Event().wait
    one = Scripted(Started(RATE_HZ), *sound(0.5), never)
    rvc = Repeating(window=1000, billed_on_submit=True, units_a_minute=1200.0)
    engines = {"one": one, "two": Scripted(), "rvc": rvc}
    by_unit = scripted().replace('usd = 0.25, per = "job"', 'usd = 0.001, per = "unit"')
    async with inside(tmp_path, by_unit, engines, plan="small") as server:
        leaves = asyncio.Event()
        speaking = asyncio.create_task(server.raw_speech(BODY, leaves))
        await soon(lambda: rvc.open == 1)
        leaves.set()
        await asyncio.wait_for(asyncio.wait([speaking]), 20.0)
        (row,) = await server.usage()
        provider = (await costs(server))[-1]
        await check_no_hold(server)
    assert (row.outcome, row.samples) == ("left", 0)
    assert row.credits > 0
    # It was given what the first had spoken: half a second, of which none has come back.
    assert (provider.engine, provider.audio_ms, provider.micro_usd) == ("rvc", 500, 10_000)
    check_nobody_works(*engines.values())


class Mute(Repeating):
    def _sound(self, pieces: list[bytes]) -> Audio:
        return Audio(0, b"")


@pytest.mark.parametrize("has_ended", [False, True])
async def test_who_hears_all_of_a_speech_first_has_cost_nothing_before_its_end(
    tmp_path: Path, has_ended: bool
) -> None:
    never = asyncio.Event().wait
    one = Scripted(Started(RATE_HZ), *sound(0.5), Finished() if has_ended else never)
    rvc = Mute(never, window=1000, billed_on_submit=True, hears_all_first=True)
    engines = {"one": one, "two": Scripted(), "rvc": rvc}
    async with inside(tmp_path, scripted(), engines, plan="small") as server:
        leaves = asyncio.Event()
        speaking = asyncio.create_task(server.raw_speech(BODY, leaves))
        await soon(lambda: rvc.heard >= 5)
        await soon(lambda: one.open == (0 if has_ended else 1))
        leaves.set()
        await asyncio.wait_for(asyncio.wait([speaking]), 20.0)
        (row,) = await server.usage()
        found = await costs(server)
        await check_no_hold(server)
    assert (row.outcome, row.credits > 0) == ("left", has_ended)
    assert [each.engine for each in found] == (["one", "rvc"] if has_ended else ["one"])
    check_nobody_works(*engines.values())


async def test_if_a_speech_fails_before_who_hears_all_has_its_end_the_next_candidate_speaks(
    tmp_path: Path,
) -> None:
    one = Scripted(Started(RATE_HZ), *sound(0.5), EngineFailed("gone"))
    rvc = Repeating(window=1000, billed_on_submit=True, hears_all_first=True)
    engines = {"one": one, "two": Scripted(*spoken(0.5)), "rvc": rvc}
    async with inside(tmp_path, scripted(), engines, plan="small") as server:
        answer = await speak(server)
        (row,) = await server.usage()
        found = await costs(server)
        await check_no_hold(server)
    assert answer.status_code == 200
    assert (row.outcome, row.engine) == ("finished", "two+rvc")
    # What the first spoke is its cost; who repeats has cost only what it repeated.
    assert [each.engine for each in found] == ["one", "two", "rvc"]
    check_nobody_works(*engines.values())


async def test_a_budget_of_the_post_engine_is_looked_at_before_anybody_speaks(tmp_path: Path) -> None:
    engines = {"one": Scripted(*spoken(0.5)), "two": Scripted(*spoken(0.5)), "rvc": Repeating()}
    async with inside(tmp_path, scripted("budget_usd_day = 0.2"), engines) as server:
        await speak(server)
    # A sum is believed for some seconds.
    async with inside(tmp_path, scripted("budget_usd_day = 0.2"), engines, name="ben") as server:
        refused = await server.speech(TEXT, language="en")
    assert (refused.status_code, envelope(refused)["code"]) == (503, "engine_unavailable")
    assert [len(each.jobs) for each in engines.values()] == [1, 0, 1]


async def test_the_first_audio_may_take_as_much_longer_as_who_repeats_needs(tmp_path: Path) -> None:
    engines = {"one": Scripted(*spoken(0.5)), "two": Scripted(), "rvc": Repeating(first_audio_s=30.0)}
    async with inside(tmp_path, scripted(), engines) as server:
        budgets = []
        for model in ("tts-1", "one/m"):
            await speak(server, model=model)
            budgets.append(engines["one"].jobs[-1].deadline_s)
    assert budgets[0] > budgets[1]
    # Each of the two candidates has its share of the time.
    assert engines["rvc"].jobs[0].deadline_s > budgets[1] / 2


async def test_who_hears_all_before_repeating_has_more_time_the_longer_the_speech(tmp_path: Path) -> None:
    engines = {"one": Scripted(*spoken(0.5)), "two": Scripted(), "rvc": Repeating(hears_all_first=True)}
    async with inside(tmp_path, scripted(), engines) as server:
        for text in (TEXT, TEXT * 20):
            await speak(server, input=text)
    short, long = (job.deadline_s for job in engines["rvc"].jobs)
    assert long > short + 1.0


class Encoding(Repeating):
    """It gives MP3, and nothing else: so many times the same, after all that it heard."""

    def __init__(self, mp3: bytes, times: int = 1) -> None:
        super().__init__(formats=("mp3",))
        self._mp3 = mp3
        self._times = times

    async def convert(self, job: SpeechJob, pcm: AsyncIterator[bytes]) -> AsyncGenerator[Event, None]:
        async for event in super().convert(job, pcm):
            if isinstance(event, Started):
                yield event
        for _ in range(self._times):
            yield Encoded("mp3", self._mp3)
        yield Finished()


async def test_what_the_second_engine_encodes_goes_out_as_it_is(tmp_path: Path) -> None:
    made = mp3(0.5, tags=False)
    engines = {"one": Scripted(*spoken(0.5), formats=("mp3",)), "two": Scripted(), "rvc": Encoding(made)}
    async with inside(tmp_path, scripted(), engines) as server:
        answer = await speak(server, response_format="mp3")
    assert answer.content == made
    assert [each.jobs[0].formats for each in (engines["one"], engines["rvc"])] == [(), ("mp3",)]
    check_nobody_works(*engines.values())


@pytest.mark.parametrize("audio_format", ["pcm", "mp3"])
async def test_who_repeats_far_more_than_it_heard_has_failed_and_nobody_pays(
    tmp_path: Path, audio_format: str
) -> None:
    rvc = {
        "pcm": Repeating(*sound(29.0), Finished()),
        "mp3": Encoding(mp3(0.5, tags=False), times=60),
    }[audio_format]
    engines = {"one": Scripted(*spoken(0.5)), "two": Scripted(), "rvc": rvc}
    async with inside(tmp_path, scripted(), engines, plan="small") as server:
        messages = await server.raw_speech({**BODY, "response_format": audio_format})
        (row,) = await server.usage()
        await check_no_hold(server)
    assert rvc.jobs[0].formats == (() if audio_format == "pcm" else ("mp3",))
    assert messages[0]["status"] == 200
    assert messages[-1]["more_body"], "the answer is broken off"
    assert (row.outcome, row.error, row.credits) == ("failed", "engine_unavailable", 0)
    assert row.samples / row.sample_rate_hz < 2.0
    check_nobody_works(*engines.values())


class Drawling(Repeating):
    """It makes a little more than it hears."""

    def _sound(self, pieces: list[bytes]) -> Audio:
        pcm = super()._sound(pieces).pcm
        return Audio(0, pcm + bytes(len(pcm) // 100 * 4))


@pytest.mark.parametrize(
    ("spoken_s", "ends"), [(9.8, ("finished", None)), (12.0, ("failed", "unsupported_text"))]
)
async def test_a_text_is_too_long_by_how_long_it_was_spoken(
    tmp_path: Path, spoken_s: float, ends: tuple[str, str | None]
) -> None:
    engines = {"one": Scripted(*spoken(spoken_s)), "two": Scripted(), "rvc": Drawling()}
    async with inside(tmp_path, scripted(), engines, plan="small") as server:
        await server.raw_speech({**BODY, "input": "Hi."})
        (row,) = await server.usage()
        await check_no_hold(server)
    assert (row.outcome, row.error) == ends
    assert row.samples / row.sample_rate_hz == pytest.approx(10.1, abs=0.2)
    assert row.credits > 0


class Short(Repeating):
    """It hears everything, and gives this part of it."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self._share = share

    def _sound(self, pieces: list[bytes]) -> Audio:
        pcm = super()._sound(pieces).pcm
        return Audio(0, pcm[: 2 * round(self._share * len(pcm) / 2)])


@each_row(("share", "outcome"), [(0.02, "failed"), (0.83, "failed"), (0.87, "finished"), (1.0, "finished")])
async def test_who_repeats_far_less_than_it_heard_has_failed_and_nobody_pays(
    tmp_path: Path, share: float, outcome: str
) -> None:
    engines = {"one": Scripted(*spoken(9.0)), "two": Scripted(), "rvc": Short(share)}
    async with inside(tmp_path, scripted(), engines, plan="small") as server:
        messages = await server.raw_speech(BODY)
        (row,) = await server.usage()
        await check_no_hold(server)
    assert messages[-1]["more_body"] is (outcome == "failed")
    assert (row.outcome, row.credits > 0) == (outcome, outcome == "finished")
    check_nobody_works(*engines.values())


@pytest.mark.parametrize(("is_local", "status"), [(True, 200), (False, 503)])
async def test_all_that_a_provider_may_repeat_has_room_on_the_disk(
    tmp_path: Path, is_local: bool, status: int
) -> None:
    """Its estimate has room enough. What a provider has made is billed, so it may be as long as its cap."""
    engines = {"one": Scripted(*spoken(0.5)), "two": Scripted(), "rvc": Repeating(is_local=is_local)}
    async with inside(tmp_path, scripted(), engines) as server:
        server.worker.parts.spill_quota.limit_to(1)
        text = TEXT * 4
        answer = await server.speech(text, language="en", response_format="json", audio_format="wav")
    assert answer.status_code == status, answer.text
    assert len(engines["one"].jobs) == int(is_local)
