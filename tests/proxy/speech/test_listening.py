"""What an engine is told of those who wait for a job."""

from pathlib import Path
from typing import Any

import pytest

from speech_engine import SpeechJob
from tests.proxy.api.scripted import Scripted, spoken
from tests.proxy.speech.relay.voices import body, stage

TEXT = "[Ana] Olá, tudo bem com você hoje? [Ben] Hi. [Ana] Tchau."


async def jobs(tmp_path: Path, text: str = TEXT, **more: Any) -> list[SpeechJob]:
    """Return the jobs of one answer, in the order of its parts."""
    one, two = Scripted(*spoken(1.0)), Scripted(*spoken(1.0))
    async with stage(tmp_path, one, two) as server:
        answer = await server.ask("POST", "/v1/audio/speech", body=body(text, **more))
        assert answer.status_code == 200
    ana, ben = one.jobs, two.jobs
    return [ana[0], *ben, *ana[1:]]


async def test_a_listener_waits_for_the_first_part_and_hears_the_others_later(tmp_path: Path) -> None:
    first, second, third = await jobs(tmp_path, response_format="pcm")
    assert (first.urgency, first.plays_in_s) == ("live", 0.0)
    assert (second.urgency, third.urgency) == ("ahead", "ahead")
    # The second is asked for when the first begins to be heard.
    assert 0.5 * first.estimated_s < second.plays_in_s < first.estimated_s + 2.0


async def test_an_engine_learns_how_much_it_will_be_asked_for_later(tmp_path: Path) -> None:
    first, second, third = await jobs(tmp_path, response_format="pcm")
    assert first.follows_s == pytest.approx(third.estimated_s, rel=0.3)
    assert (second.follows_s, third.follows_s) == (0.0, 0.0)


@pytest.mark.parametrize("asks", [{"response_format": "wav"}, {"response_format": "json"}])
async def test_of_an_answer_in_one_piece_nothing_is_heard_before_its_end(
    tmp_path: Path, asks: dict[str, Any]
) -> None:
    assert {(job.urgency, job.plays_in_s) for job in await jobs(tmp_path, **asks)} == {("whole", 0.0)}


async def test_a_speed_that_the_server_makes_is_how_fast_the_engines_sound_is_heard(tmp_path: Path) -> None:
    (job,) = (await jobs(tmp_path, "[Ana] Olá.", response_format="pcm", speed=2.0))[:1]
    assert (job.speed, job.plays_rate) == (1.0, 2.0)
