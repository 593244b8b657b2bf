"""Checked parts: what is sent, said again, freed and told, whatever the verdicts are."""

import asyncio
import json
import time
from collections import deque
from collections.abc import AsyncGenerator, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from policies.price import MICRO
from policies.routing import Candidate
from proxy.features.admin.verify import verify
from proxy.features.heard.checked_parts import MadePartCheck
from proxy.features.heard.made_part import UNHEARD, MadePart
from proxy.speech.part_check import WrongWords
from proxy.speech_steps.check_totals import CheckResult, PartVerdict
from proxy.storage.usage import CheckSums
from speech_engine import Event, Finished, SpeechJob, Started, errors
from tests.proxy.api.inside import Inside, envelope, inside
from tests.proxy.api.scripted import RATE_HZ, Scripted, Step, sound
from tests.proxy.engines.keys import SILENT
from tests.proxy.speech.relay.voices import said
from tests.speech_engine.host.simulated_time import simulated
from tests.tables import each_row
from tests.waiting import LIMIT_S, soon

CONFIG = """
[engines.one]
[engines.two]
[models]
all = ["one/m", "two/m"]
[voices.ana]
one = "v"
[voices.both]
one = "v"
two = "v"
"""
PAID = f"{CONFIG}[plans.paid]\nprices.speech = {{ credits = 60, per = 'minute' }}"
SENTENCES = ("This is the first sentence of the text. ", "And this is the second one, a bit longer.")
WRONG = PartVerdict("wrong", (WrongWords(0, 4, "This", "Miss"),))
GAP_S = 0.26
Rows = tuple[tuple[CheckResult, list[str], int], ...]


class Rehearsed(Scripted):
    """Each job plays the next script, and then the last one for ever."""

    def __init__(self, *scripts: Iterable[Step], **model: object) -> None:
        super().__init__(**model)
        self._scripts = deque(map(tuple, scripts))

    async def speak(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        self._script = self._scripts.popleft() if len(self._scripts) > 1 else self._scripts[0]
        async for event in super().speak(job):
            yield event


class ScriptedCheck(MadePartCheck):
    """Gives the verdicts in order, and then "right"."""

    def __init__(self, *verdicts: PartVerdict | CheckResult) -> None:
        self._verdicts = deque(verdicts)
        self.made: list[MadePart] = []
        self.gate: asyncio.Event | None = None

    def use_section(self, _section: object) -> None:
        """It has nothing to set."""

    def obstacle(self, candidate: Candidate, language: str) -> str:
        return "language" if language == "th" else ""

    async def verdict_on(self, made: MadePart) -> PartVerdict:
        self.made.append(made)
        if self.gate is not None:
            await self.gate.wait()
        verdict = self._verdicts.popleft() if self._verdicts else "right"
        return PartVerdict(verdict) if isinstance(verdict, str) else verdict


def play(seconds: float, *before_the_end: Step) -> list[Step]:
    events: list[Event] = [Started(RATE_HZ), *sound(seconds)]
    return [*events, *before_the_end, Finished()]


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A worker whose speech is checked by a scripted check."""

    def open_(check: ScriptedCheck, *scripts: Scripted, room_s: float = 0.0, **more: Any) -> Any:
        monkeypatch.setattr("proxy.features.heard.check.TranscriptCheck", lambda *_: check)
        given = dict(zip(("one", "two"), (*scripts, Scripted()), strict=False))
        monkeypatch.setattr("proxy.features.heard.free_room.ALWAYS_FREE_S", room_s)
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        return inside(folder, more.pop("config", CONFIG), given, **more)

    return open_


async def ask(server: Inside, text: str = "".join(SENTENCES), **more: Any) -> Any:
    body = {"model": "all", "voice": "both", "input": text, "response_format": "json", "check": "heard"}
    key = more.pop("key", None)
    return await server.ask("POST", "/v1/audio/speech", key=key, body={**body, "audio_format": "pcm", **more})


async def test_each_sentence_is_made_and_heard_alone_and_all_are_one_answer(stage: Any) -> None:
    check, one = ScriptedCheck(), Rehearsed(play(1.0), play(2.0))
    async with stage(check, one) as server:
        answer = await ask(server)
        (row,) = await server.usage()
    assert [said(job) for job in one.jobs] == [each.strip() for each in SENTENCES]
    assert all(job.is_taken_whole for job in one.jobs)
    assert [made.length_s for made in check.made] == [1.0, 2.0]
    assert answer.headers["x-voxgate-check"] == "heard"
    assert answer.json()["check"] == {
        "checked_s": 3.26,
        "unchecked_s": 0.0,
        "again": 0,
        "free_s": 0.0,
        "wrong": [],
    }
    assert row.samples == round((3.0 + GAP_S) * RATE_HZ)


@each_row(
    ("verdicts", "jobs", "again", "seconds"),
    [
        pytest.param(["right"], 1, 0, 1.0, id="right"),
        pytest.param(["unsure", "right"], 2, 1, 1.1, id="unsure, then right"),
        pytest.param(["unsure", "unsure"], 2, 1, 1.0, id="unsure twice"),
        pytest.param(["unsure", WRONG], 2, 1, 1.0, id="the first is better"),
        pytest.param([WRONG, "right"], 2, 1, 1.1, id="wrong, then right"),
        pytest.param([WRONG, "unsure"], 2, 1, 1.1, id="wrong, then unsure"),
        pytest.param(["unchecked"], 1, 0, 1.0, id="unchecked"),
    ],
)
async def test_what_is_not_right_is_said_again_and_the_best_is_sent(
    stage: Any, verdicts: list[Any], jobs: int, again: int, seconds: float
) -> None:
    check, one = ScriptedCheck(*verdicts), Rehearsed(play(1.0), play(1.1), play(1.2), seeds=True)
    async with stage(check, one) as server:
        answer = await ask(server, SENTENCES[0], voice="ana", seed=7)
    assert answer.json()["duration_seconds"] == seconds
    assert answer.json()["check"]["again"] == again
    assert [job.seed for job in one.jobs] == [7, 8, 9][:jobs]


async def test_another_candidate_of_the_same_speaker_says_it_after_the_first(stage: Any) -> None:
    check = ScriptedCheck(WRONG, WRONG, "right")
    one, two = Rehearsed(play(1.0)), Rehearsed(play(1.5))
    async with stage(check, one, two) as server:
        answer = await ask(server, SENTENCES[0])
        (row,) = await server.usage()
    assert (len(one.jobs), len(two.jobs)) == (2, 1)
    assert [job.goes_whole for job in one.jobs] == [True, False]
    assert answer.json()["model_used"] == "two/m"
    assert (row.engine, row.samples) == ("two", 1.5 * RATE_HZ)


async def test_a_part_that_breaks_is_made_again_since_nobody_has_heard_it(stage: Any) -> None:
    broken: list[Step] = [Started(RATE_HZ), *sound(0.5), errors.EngineFailed("x")]
    async with stage(ScriptedCheck(), Rehearsed(broken), two := Rehearsed(play(1.5))) as server:
        answer = await ask(server, SENTENCES[0])
    assert (answer.status_code, answer.json()["duration_seconds"], len(two.jobs)) == (200, 1.5, 1)


@simulated
async def test_a_provider_that_is_silent_when_it_is_asked_again_is_given_up_for_the_first_try(
    stage: Any,
) -> None:
    one, began = Rehearsed(play(1.0), SILENT, is_local=False), time.monotonic()
    async with stage(ScriptedCheck(WRONG), one) as server:
        answer = await ask(server, SENTENCES[0], voice="ana")
    assert (answer.json()["duration_seconds"], answer.json()["check"]["again"]) == (1.0, 1)
    assert (len(one.jobs), round(time.monotonic() - began, 1)) == (2, 6.0)


@each_row(("sentences", "again"), [(10, 3), (3, 2)])
async def test_a_third_of_a_request_is_said_again_at_most_or_two_sentences(
    stage: Any, sentences: int, again: int
) -> None:
    check, one = ScriptedCheck(*[PartVerdict("unsure")] * 40), Rehearsed(play(1.0))
    text = "".join(f"This is the sentence of the number {number}. " for number in range(sentences))
    async with stage(check, one) as server:
        answer = await ask(server, text, voice="ana")
    assert answer.json()["check"]["again"] == again
    assert len(one.jobs) == sentences + again


async def test_a_wrong_part_is_free_while_there_is_room_and_the_books_are_true(stage: Any) -> None:
    for room_s, free_s, credits in ((10.0, 1.0, 2.0), (0.5, 0.0, 3.0 + GAP_S)):
        check, one = ScriptedCheck(WRONG, WRONG), Rehearsed(play(1.0), play(1.0), play(2.0))
        async with stage(check, one, config=PAID, plan="paid", room_s=room_s) as server:
            answer = await ask(server, voice="ana")
            row = (await server.usage())[0]
            found = await verify(server.worker.store)
        told = answer.json()["check"]
        assert told["wrong"] == [{"start": 0, "end": 4, "wanted": "This", "heard": "Miss"}]
        assert told["free_s"] == pytest.approx(free_s + (GAP_S if free_s else 0.0))
        assert row.credits == credits * MICRO
        assert found.is_clean


async def test_with_fail_a_wrong_sentence_ends_the_answer(stage: Any) -> None:
    check, one = ScriptedCheck(WRONG, WRONG), Rehearsed(play(1.0))
    async with stage(check, one, config=PAID, plan="paid") as server:
        answer = await ask(server, voice="ana", on_wrong="fail")
        (row,) = await server.usage()
    assert (answer.status_code, envelope(answer)["code"]) == (502, "heard_wrong")
    assert (row.outcome, row.credits) == ("failed", 0)


async def test_behind_the_first_sentence_goes_out_before_it_is_heard(stage: Any) -> None:
    check, one = ScriptedCheck(WRONG), Rehearsed(play(1.0), play(2.0))
    check.gate = asyncio.Event()
    sent: list[bytes] = []

    async def look(message: Any) -> None:
        sent.append(message.get("body", b""))
        if check.gate is not None and any(sent):
            check.gate.set()

    async with stage(check, one) as server, asyncio.timeout(LIMIT_S):
        await server.raw_speech(
            {
                "model": "all",
                "voice": "ana",
                "input": "".join(SENTENCES),
                "response_format": "pcm",
                "stream_format": "sse",
                "check": "behind",
            },
            on_sent=look,
        )
    done = json.loads(b"".join(sent).split(b"data: ")[-1])
    assert done["check"]["wrong"][0]["heard"] == "Miss"
    assert [job.goes_whole for job in one.jobs] == [False, True]


class SlowCheck(ScriptedCheck):
    """Its ears take so long, and give up at the end of a part's time."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    async def verdict_on(self, made: MadePart) -> PartVerdict:
        await asyncio.sleep(min(self._seconds, made.within_s))
        return UNHEARD if made.within_s < self._seconds else await super().verdict_on(made)


@simulated
async def test_an_answer_in_one_piece_waits_for_slow_ears_and_a_stream_does_not(stage: Any) -> None:
    for check in ("heard", "behind"):
        async with stage(SlowCheck(20.0), Rehearsed(play(1.0))) as server:
            told = (await ask(server, SENTENCES[0], check=check)).json()["check"]
        assert (told["checked_s"], told["unchecked_s"], "why" in told) == (1.0, 0.0, False), check
    async with stage(SlowCheck(20.0), Rehearsed(play(1.0))) as server:
        await server.raw_speech(raw("heard"))
        (row,) = await server.usage()
    sums = CheckSums.of_column(row.checked)
    assert sums is not None
    assert (sums.checked_s, round(sums.unchecked_s, 2)) == (0.0, 2.0 + GAP_S)


async def test_what_cannot_be_checked_is_said_and_goes_out_as_it_is(stage: Any) -> None:
    check, one = ScriptedCheck(), Rehearsed(play(1.0))
    async with stage(check, one) as server:
        answer = await ask(server, "สวัสดี", voice="ana", language="th")
    assert answer.headers["x-voxgate-check"] == "unchecked; language"
    assert answer.json()["check"]["why"] == "language"
    assert not check.made
    assert not one.jobs[0].goes_whole


async def test_a_request_without_a_check_is_as_before(stage: Any) -> None:
    check, one = ScriptedCheck(), Rehearsed(play(1.0))
    async with stage(check, one) as server:
        answer = await ask(server, check="off")
    assert "x-voxgate-check" not in answer.headers
    assert "check" not in answer.json()
    assert len(one.jobs) == 1


@simulated
async def test_a_listener_who_would_run_dry_hears_the_part_before_it_is_heard(stage: Any) -> None:
    slow: list[Step] = [Started(RATE_HZ), *sound(1.0), lambda: asyncio.sleep(8.0), *sound(1.0), Finished()]
    check, one = ScriptedCheck("right", WRONG), Rehearsed(play(1.0), slow)
    async with stage(check, one) as server:
        sent: list[tuple[float, int]] = []
        began = asyncio.get_running_loop().time()

        async def look(message: Any) -> None:
            sent.append((asyncio.get_running_loop().time() - began, len(message.get("body", b""))))

        await server.raw_speech(raw("heard"), on_sent=look)
        (row,) = await server.usage()
    early = sum(size for at, size in sent if at < 7.0)
    assert early >= (2.0 + GAP_S - 0.2) * RATE_HZ * 2, "the first second of the second part did not wait"
    assert len(check.made) == 2
    assert len(one.jobs) == 2, "nothing is said again that was sent"
    assert row.outcome == "finished"


async def test_a_client_that_leaves_while_a_part_is_heard_leaves_nothing_running(stage: Any) -> None:
    check, one = ScriptedCheck("unsure", WRONG), Rehearsed(play(1.0))
    check.gate = asyncio.Event()
    async with stage(check, one) as server:
        task = asyncio.create_task(server.raw_speech(raw("heard")))
        await soon(lambda: bool(check.made))
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert one.open == 0
        (row,) = await server.usage()
        found = await verify(server.worker.store)
    assert (row.outcome, row.credits) == ("failed", 0)
    assert found.is_clean


async def test_an_engine_with_one_slot_makes_the_next_part_while_one_is_heard(stage: Any) -> None:
    check, one = ScriptedCheck(), Rehearsed(play(1.0))
    check.gate = asyncio.Event()
    one.slots = 1
    async with stage(check, one) as server:
        task = asyncio.create_task(server.raw_speech(raw("heard")))
        await soon(lambda: len(one.jobs) == 2)
        check.gate.set()
        await task
    assert len(check.made) == 2


async def test_a_checked_answer_that_is_right_is_stored_and_not_heard_again(stage: Any) -> None:
    config = f"[cache]\non = true\n{CONFIG}"
    rows: Rows = (("right", ["miss", "hit"], 2), ("unsure", ["miss", "miss"], 8))
    for verdict, states, jobs in rows:
        check, one = ScriptedCheck(*[verdict] * 9), Rehearsed(play(1.0))
        async with stage(check, one, config=config) as server:
            answers = [await ask(server, voice="ana", cache=True) for _ in range(2)]
            plain = await ask(server, voice="ana", cache=True, check="off")
        assert [each.headers["x-voxgate-cache"] for each in answers] == states
        assert plain.headers["x-voxgate-cache"] == "miss", "no request without a check gets that clip"
        assert len(one.jobs) == jobs + 1
        assert [each.json()["check"]["unchecked_s"] for each in answers] == [0, 0]


async def test_a_robot_or_another_person_never_says_a_sentence_again(stage: Any) -> None:
    config = CONFIG.replace("[models]", "[server]\nrobot_fallback = true\n[models]")
    robot = Rehearsed(play(1.5), is_trained=False, is_speech=True)
    one = Rehearsed(play(1.0), is_speech=True)
    async with stage(ScriptedCheck(WRONG, WRONG), one, robot, config=config) as server:
        answer = await ask(server, SENTENCES[0])
    assert (len(one.jobs), len(robot.jobs)) == (2, 0)
    assert answer.json()["model_used"] == "one/m"


async def test_with_fail_a_right_answer_is_sent(stage: Any) -> None:
    async with stage(ScriptedCheck("unsure"), Rehearsed(play(1.0))) as server:
        assert (await ask(server, voice="ana", on_wrong="fail")).status_code == 200


async def test_the_room_for_free_speech_is_used_up(stage: Any) -> None:
    check, one = ScriptedCheck(*[WRONG] * 6), Rehearsed(play(1.0))
    async with stage(check, one, config=PAID, plan="paid", room_s=1.5) as server:
        answer = await ask(server, voice="ana")
        (row,) = await server.usage()
    free_s = answer.json()["check"]["free_s"]
    assert free_s in (1.0, 1.0 + GAP_S), "one of the two: whichever was heard first"
    assert row.credits / MICRO == pytest.approx(2.0 + GAP_S - free_s)


@each_row(("room_s", "credits"), [(9.0, 0), (1.1, 1)])
async def test_with_fail_what_was_sent_is_free_while_there_is_room(
    stage: Any, room_s: float, credits: int
) -> None:
    check, one = ScriptedCheck("right", WRONG, WRONG), Rehearsed(play(1.0))
    async with stage(check, one, config=PAID, plan="paid", room_s=room_s) as server:
        await server.raw_speech({**raw("heard"), "on_wrong": "fail"})
        (row,) = await server.usage()
        found = await verify(server.worker.store)
    assert row.error == "heard_wrong"
    assert row.credits / MICRO == pytest.approx(credits * (1.0 + GAP_S), abs=0.3)
    assert found.is_clean


async def test_a_price_by_job_is_held_once(stage: Any) -> None:
    config = PAID.replace("prices.speech", "allowance = 1\nprices.speech")
    config = config.replace("credits = 60, per = 'minute'", "credits = 1, per = 'job'")
    async with stage(ScriptedCheck(), Rehearsed(play(1.0)), config=config, plan="paid") as server:
        assert (await ask(server, voice="ana")).status_code == 200
        (row,) = await server.usage()
    assert row.credits == MICRO


async def test_a_clip_and_a_plan_without_a_check_are_not_those_of_a_checked_request(stage: Any) -> None:
    check, one = ScriptedCheck(), Rehearsed(play(1.0))
    async with stage(check, one, config=f"[cache]\non = true\n{CONFIG}") as server:
        await ask(server, SENTENCES[0], voice="ana", cache=True, check="off")
        checked = await ask(server, SENTENCES[0], voice="ana", cache=True)
        assert checked.headers["x-voxgate-cache"] == "miss"
        assert len(check.made) == 1
        await ask(server, voice="ana", cache=True)
        assert len(check.made) == 3, "another text has its own parts"


def raw(check: str) -> dict[str, Any]:
    text = "".join(SENTENCES)
    return {"model": "all", "voice": "ana", "input": text, "response_format": "pcm", "check": check}
