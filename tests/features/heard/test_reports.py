"""Where the report of a check goes: usage, history, the steps of jobs and their warnings."""

from pathlib import Path
from typing import Any

from policies.price import MICRO
from proxy.features.heard.feature import FEATURE
from proxy.speech.part_check import WrongWords
from proxy.speech_steps.check_totals import PartVerdict
from tests.features.heard.test_checked_parts import (
    GAP_S,
    PAID,
    SENTENCES,
    WRONG,
    Rehearsed,
    ScriptedCheck,
    ask,
    play,
    stage,
)
from tests.features.heard.test_money import CheckByText
from tests.features.history.rig import entry
from tests.features.jobs.job_rig import job_with
from tests.proxy.api.inside import Inside
from tests.proxy.diagnosis.doctor.checks import configured
from tests.replies import json_of

__all__ = ["stage"]

NUMBERS = {"checked_s": 3.26, "unchecked_s": 0.0, "again": 1, "wrong": 1, "free_s": 1.26}
WORD = {"start": 0, "end": 4, "wanted": "This", "heard": "Miss"}


async def test_the_numbers_are_in_usage_and_the_words_in_history(stage: Any) -> None:
    check, one = ScriptedCheck(WRONG, WRONG), Rehearsed(play(1.0), play(1.0), play(2.0))
    async with stage(check, one, config=PAID, plan="paid", room_s=10.0) as server:
        await server.speech(model="all", voice="ana", check="off")
        id_ = (await ask(server, voice="ana", history=True)).headers["x-request-id"]
        rows = {each["id"]: each for each in json_of(await server.ask("GET", "/v1/usage"))["data"]}
        sheet = (await server.ask("GET", "/v1/usage?format=csv")).text
        kept = await entry(server, id_)
    assert [row["check"] for row in rows.values()] == [NUMBERS, None]
    assert '"{""checked_s"":3.26' in sheet
    assert rows[id_]["credits"] == 2.0
    assert kept["check"]["wrong"] == [WORD]
    assert kept["request"]["check"] == "heard"


async def make_job(server: Inside, **more: Any) -> dict[str, Any]:
    body = {"model": "all", "voice": "ana", "response_format": "pcm", **more}
    made = json_of(await server.ask("POST", "/v1/jobs", body=body), 202)
    return await job_with(server, made["id"], "done", "failed")


async def steps(server: Inside, job: str, *, is_operator: bool = False) -> list[dict[str, Any]]:
    path = f"jobs/{job}/steps"
    answer = server.administer("GET", path) if is_operator else server.ask("GET", f"/v1/{path}")
    found: list[dict[str, Any]] = json_of(await answer)["data"]
    return found


async def test_a_job_names_what_stayed_wrong_with_chapter_and_place(stage: Any) -> None:
    """Its operator sees the place alone."""
    check, one = CheckByText(), Rehearsed(play(1.0))
    chapters = [{"input": f"This is a sentence that is {result}."} for result in ("right", "wrong")]
    async with stage(check, one) as server:
        job = await make_job(server, chapters=chapters, check="heard")
        shown = json_of(await server.administer("GET", f"jobs/{job['id']}"))
        own, others = await steps(server, job["id"]), await steps(server, job["id"], is_operator=True)
    begin = len(chapters[0]["input"])
    place = f"chapter 2, characters {begin} to {begin + 4} were said wrong"
    assert job["warnings"] == [f"{place}: heard 'Miss', not 'This'"]
    assert shown["warnings"] == [place]
    assert [step["check"]["wrong"] for step in own] == [0, 1]
    assert [step["wrong"] for step in own] == [[], [{**WORD, "start": begin, "end": begin + 4}]]
    assert [step["wrong"] for step in others] == [[], []]
    assert all(made.is_idle for made in check.made)


async def test_a_long_list_of_wrong_places_ends(stage: Any) -> None:
    words = tuple(WrongWords(place, place + 1, "a", "b") for place in range(25))
    check, one = ScriptedCheck(*[PartVerdict("wrong", words)] * 3), Rehearsed(play(1.0))
    async with stage(check, one) as server:
        job = await make_job(server, input=SENTENCES[0], check="heard")
    assert len(job["warnings"]) == 21
    assert "see the steps" in job["warnings"][-1]


async def test_jobs_are_checked_where_the_configuration_says_so_unless_they_say_otherwise(stage: Any) -> None:
    check, one = ScriptedCheck(), Rehearsed(play(1.0))
    check.checks_jobs = True
    async with stage(check, one) as server:
        by_default = await make_job(server, input=SENTENCES[0])
        off = await make_job(server, input=SENTENCES[0], check="off")
        found = [(await steps(server, job["id"]))[0]["check"] for job in (by_default, off)]
    assert found == [{"checked_s": 1.0, "unchecked_s": 0.0, "again": 0, "wrong": 0, "free_s": 0.0}, None]


async def test_a_step_that_may_not_be_wrong_fails_its_job_and_is_not_tried_for_ever(stage: Any) -> None:
    check, one = ScriptedCheck(*[WRONG] * 9), Rehearsed(play(1.0))
    async with stage(check, one, config=PAID, plan="paid", room_s=10.0) as server:
        job = await make_job(server, input=SENTENCES[0], check="heard", on_wrong="fail")
        (row,) = await server.usage()
    assert (job["status"], job["error_code"], row.credits) == ("failed", "heard_wrong", 0)


async def test_a_cast_and_a_checked_text_cost_one_job_by_the_job(stage: Any) -> None:
    config = PAID.replace("per = 'minute'", "per = 'job'")
    turns = "".join(f"[{name}] This is the turn of {name}. " for name in ("Ana", "Ben", "Ana", "Ben"))
    text = "".join(f"This is the sentence of the number {number}. " for number in range(10))
    async with stage(ScriptedCheck(), Rehearsed(play(1.0)), config=config, plan="paid") as server:
        await ask(server, turns, voice={"cast": {"Ana": "ana", "Ben": "both"}}, check="off")
        await ask(server, text, voice="ana")
        rows = await server.usage()
    assert [row.credits for row in rows] == [60 * MICRO] * 2
    assert rows[0].samples > 9 * GAP_S


def test_the_doctor_says_which_line_checks_all_jobs(tmp_path: Path) -> None:
    ears = '[engines.tone]\nhears = true\n[models]\n"whisper-1" = ["tone/ears"]\n'
    ((_, look),) = FEATURE.doctor
    found = [[*look(configured(tmp_path, text))] for text in (ears, f"{ears}[heard]\njobs = true\n", "")]
    assert [len(each) for each in found] == [1, 0, 0]
    assert found[0][0].do.startswith("jobs = true in [heard]")
