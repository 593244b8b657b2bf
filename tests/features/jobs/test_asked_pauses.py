"""Pauses that the text of a job or a batch asks for, at the ends of its steps too."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

from tests.features.jobs.batches import rig
from tests.features.jobs.job_rig import ask_job, content, job_with, jobs_inside, new_chapters, new_job, said
from tests.proxy.api.inside import envelope
from tests.proxy.speech.test_asked_pauses import close, silences

pytestmark = pytest.mark.slow

BLANKS = " " * 1980


async def test_a_step_keeps_the_pause_that_it_ends_with(tmp_path: Path) -> None:
    text = f"One. [pause 2s] Two.{BLANKS}[pause 3s]\n\nThree.\n\n[pause 4s]"
    async with jobs_inside(tmp_path) as server:
        made = await new_job(server, text)
        ended = await job_with(server, made["id"], "done", "failed")
        steps = (await server.ask("GET", f"/v1/jobs/{made['id']}/steps")).json()["data"]
        pcm = (await content(server, made["id"])).content
        subtitles = (await server.ask("GET", f"/v1/jobs/{made['id']}/subtitles?format=srt")).text
    assert (ended["status"], len(steps)) == ("done", 2)
    assert said(pcm) == ["One.", "Two.", "Three."]
    assert [each for each in silences(pcm, "pcm") if each > 1.0] == close(2, 3, 4)
    assert re.findall(r"(\S+) --> .*\n(\w+)", subtitles)[-1][1] == "Three"
    spans = [[_seconds(each) for each in times] for times in re.findall(r"(\S+) --> (\S+)", subtitles)]
    assert [after - end for (_, end), (after, _) in pairwise(spans)] >= [2.0, 3.0]


def _seconds(time: str) -> float:
    hours, minutes, seconds = time.replace(",", ".").split(":")
    return 3600 * int(hours) + 60 * int(minutes) + float(seconds)


async def test_pauses_that_are_too_long_are_refused(tmp_path: Path, subtests: pytest.Subtests) -> None:
    most = "One. [pause 10s] " * 60
    async with jobs_inside(tmp_path) as server:
        for text, place in (("One. [pause 11s]", 5), (f"{most}[pause 1s]", len(most))):
            with subtests.test(str(place)):
                answer = await ask_job(server, text)
                error = envelope(answer)
                assert (answer.status_code, error["code"], error["param"]) == (400, "pause_too_long", "input")
                assert f"character {place} " in error["message"]
        assert (await ask_job(server, most)).status_code == 202
        assert (await ask_job(server, f"{most}[pause 1s]", emotion_tags="text")).status_code == 202
        assert await new_chapters(server)


async def test_a_line_of_a_batch_has_its_pauses(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:
        made = await rig.new_batch(server, rig.line("a", "One. [pause 2s] Two. [pause 1s]"))
        assert (await rig.ended(server, made["id"]))["status"] == "completed"
        (pcm,) = rig.unzipped((await content(server, made["id"])).content).values()
    assert said(pcm) == ["One.", "Two."]
    assert [each for each in silences(pcm, "pcm") if each > 0.9] == close(2, 1)
