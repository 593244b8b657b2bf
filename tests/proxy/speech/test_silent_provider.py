"""A provider that takes a request and says nothing: how long it is waited for, and what is learnt of it."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import pytest

from policies.breaker import MOST_FAULTS
from speech_engine import Event, Finished, ProviderCount, SpeechJob, Started, errors
from tests.features.conversions.test_conversions import sent
from tests.features.conversions.test_money import SCRIPTED
from tests.features.jobs.job_rig import job, jobs_inside, new_job
from tests.proxy.api.inside import Inside, inside
from tests.proxy.api.scripted import RATE_HZ, Scripted, Step, sound, spoken
from tests.proxy.engines.keys import SILENT, Turns
from tests.proxy.speech.test_candidate_race import BODY, UNHEDGED, ask, costs
from tests.proxy.speech_steps.repeating import Repeating
from tests.proxy.speech_steps.test_post_steps import scripted
from tests.speech_engine.host.simulated_time import simulated
from tests.tables import each_row
from tests.tones import of_seconds
from tests.waiting import forever

WELL = spoken(0.5)
ALONE = UNHEDGED.replace('all = ["one/m", "two/m", "three/m"]', 'all = ["one/m"]')
PAIR = UNHEDGED.replace(', "three/m"]', "]")
SET = PAIR.replace("[engines.one]", "[engines.one]\nsilent_s = 1.5")
SECOND, TIMED_OUT = (200, "two/m"), (503, "engine_timeout")


def after(seconds: float) -> list[Step]:
    """Speech that begins so late."""
    return [lambda: asyncio.sleep(seconds), *WELL]


def provider(*script: Step, **model: object) -> Scripted:
    return Scripted(*script, is_local=False, **model)


async def timed(server: Inside) -> tuple[tuple[int, str], float]:
    began = time.monotonic()
    return await ask(server), round(time.monotonic() - began, 1)


@each_row(
    ("config", "one", "two", "seen", "seconds"),
    [
        (PAIR, provider(*SILENT), provider(*WELL), SECOND, 6.0),
        (PAIR, provider(Started(RATE_HZ), *SILENT), provider(*WELL), SECOND, 6.0),
        (PAIR, provider(*after(5.5)), provider(*WELL), (200, "one/m"), 5.5),
        (PAIR, provider(*after(9.0), first_audio_s=10.0), provider(*WELL), (200, "one/m"), 9.0),
        (PAIR, provider(*SILENT), provider(*after(7.5)), TIMED_OUT, 9.0),
        (PAIR, provider(*SILENT), provider(*after(2.5)), SECOND, 8.5),
        (UNHEDGED, provider(*SILENT), provider(*SILENT), TIMED_OUT, 15.0),
        (PAIR, Scripted(*SILENT), provider(*after(5.5)), SECOND, 23.5),
        (PAIR, provider(*SILENT), Scripted(*after(20.0)), SECOND, 26.0),
        (PAIR, Scripted(*SILENT), provider(*WELL), SECOND, 18.0),
        (SET, provider(*SILENT), provider(*WELL), SECOND, 1.5),
        (SET, provider(*SILENT, first_audio_s=10.0), provider(*WELL), SECOND, 1.5),
        (ALONE, provider(*SILENT), Scripted(), TIMED_OUT, 8.0),
        (ALONE, provider(*after(7.5)), Scripted(), (200, "one/m"), 7.5),
        (ALONE, Scripted(*after(25.0)), Scripted(), (200, "one/m"), 25.0),
        (SET.replace(', "two/m"]', "]"), provider(*SILENT), Scripted(), TIMED_OUT, 1.5),
    ],
    ids=[
        "it is silent",
        "it only starts",
        "it is slow",
        "its model is slow",
        "the second is silent",
        "the second is slow",
        "all three are silent",
        "the second is slow behind a local one",
        "a local one waits for its turn",
        "a local one is silent",
        "the operator set it",
        "against the model",
        "it is alone",
        "slow and alone",
        "a local one alone",
        "set and alone",
    ],
)
@simulated
async def test_how_long_a_silent_provider_is_waited_for(
    tmp_path: Path, config: str, one: Scripted, two: Scripted, seen: tuple[int, str], seconds: float
) -> None:
    async with inside(tmp_path, config, {"one": one, "two": two, "three": provider(*SILENT)}) as server:
        assert await timed(server) == (seen, seconds)
    assert (one.open, two.open) == (0, 0)


@simulated
async def test_a_provider_may_be_silent_for_a_minute_before_it_speaks_a_step_of_a_job(tmp_path: Path) -> None:
    late, spoken_word = [lambda: asyncio.sleep(55.0), *WELL], {"model": "one", "voice": "one"}
    one = Turns(late, SILENT, WELL, is_local=False)
    async with jobs_inside(tmp_path, one=one) as server:
        made = await new_job(server, "Hello.", **spoken_word)
        await asyncio.sleep(57.0)
        assert ((await job(server, made["id"]))["status"], len(one.jobs)) == ("done", 1)
        made = await new_job(server, "Hello.", **spoken_word)
        await one.asked.wait()
        await asyncio.sleep(59.0)
        assert one.open == 1
        await asyncio.sleep(2.0)
        assert one.open == 0
        await asyncio.sleep(60.0)
        assert ((await job(server, made["id"]))["status"], len(one.jobs)) == ("done", 3)


@each_row(("first_s", "seconds"), [(0.2, 3.0), (1.5, 4.5), (4.0, 6.0)])
@simulated
async def test_a_provider_gets_three_times_what_it_needs_of_late(
    tmp_path: Path, first_s: float, seconds: float
) -> None:
    scripts = [[Started(RATE_HZ), lambda: asyncio.sleep(first_s), *sound(0.5), Finished()]] * 16
    one = Turns(*scripts, SILENT, is_local=False)
    async with inside(tmp_path, PAIR, {"one": one, "two": provider(*WELL), "three": Scripted()}) as server:
        for _ in range(16):
            assert await timed(server) == ((200, "one/m"), first_s)
        assert await timed(server) == (SECOND, seconds)


@simulated
async def test_a_long_text_is_not_given_up_because_short_ones_are_quick(tmp_path: Path) -> None:
    one = Turns(*[after(0.3)] * 16, after(4.0), is_local=False)
    async with inside(tmp_path, PAIR, {"one": one, "two": provider(*WELL), "three": Scripted()}) as server:
        for _ in range(16):
            assert await timed(server) == ((200, "one/m"), 0.3)
        long = await server.ask("POST", "/v1/audio/speech", body=BODY | {"input": "Hello there. " * 40})
        assert long.headers["x-voxgate-engine"] == "one/m"


@simulated
async def test_one_that_became_slow_is_waited_for_again_after_some_were_given_up(
    tmp_path: Path,
) -> None:
    quick, slow = [WELL] * 16, [after(4.0)] * 10
    one = Turns(*quick, *slow, is_local=False)
    async with inside(tmp_path, PAIR, {"one": one, "two": provider(*WELL), "three": Scripted()}) as server:
        seen = [(await timed(server))[0][1] for _ in range(20)]
    assert seen == ["one/m"] * 16 + ["two/m"] + ["one/m"] * 3


@simulated
async def test_the_next_request_goes_elsewhere_at_once_when_it_is_silent_again_and_again(
    tmp_path: Path,
) -> None:
    one = provider(*SILENT)
    async with inside(tmp_path, PAIR, {"one": one, "two": provider(*WELL), "three": Scripted()}) as server:
        seen = [await timed(server) for _ in range(MOST_FAULTS + 1)]
        # What was given up may have been billed.
        spent = Counter(cost.engine for cost in await costs(server))
    assert spent == {"one": MOST_FAULTS, "two": MOST_FAULTS + 1}
    assert seen == [(SECOND, 6.0)] * MOST_FAULTS + [(SECOND, 0.0)]
    assert len(one.jobs) == MOST_FAULTS


@simulated
async def test_neither_our_own_line_nor_a_wait_that_it_asks_for_is_a_silence(tmp_path: Path) -> None:
    limited: list[Step] = [errors.EngineLimited("x", retry_after_s=8.0)]
    one = Turns(limited, after(5.0), after(5.0), slots=1, is_local=False)
    async with inside(tmp_path, PAIR, {"one": one, "two": provider(*WELL), "three": Scripted()}) as server:
        both = tuple(await asyncio.gather(ask(server), ask(server)))
    assert both == ((200, "one/m"), (200, "one/m"))


@simulated
async def test_a_provider_that_has_counted_its_work_is_not_silent(tmp_path: Path) -> None:
    one = provider(Started(RATE_HZ), ProviderCount(5.0), *after(15.0)[:1], *sound(0.5), Finished(5.0))
    async with inside(tmp_path, PAIR, {"one": one, "two": provider(*WELL), "three": Scripted()}) as server:
        assert await timed(server) == ((200, "one/m"), 15.0)


class Mute(Repeating):
    """It hears a recording, and gives nothing of it."""

    async def convert(self, job: SpeechJob, pcm: AsyncIterator[bytes]) -> AsyncGenerator[Event, None]:
        yield Started(RATE_HZ)
        async for _ in pcm:
            self.heard += 1
        await forever()


@pytest.mark.parametrize(("recording_s", "seconds"), [(2.0, 8.5), (8.0, 10.0)])
@simulated
async def test_the_silence_after_a_recording_begins_when_it_may_have_arrived(
    tmp_path: Path, recording_s: float, seconds: float
) -> None:
    one = Mute(is_local=False)
    async with inside(tmp_path, SCRIPTED, {"one": one}, plan="priced") as server:
        began = time.monotonic()
        answer = await sent(server, of_seconds(recording_s), model="one/m")
        assert (answer.status_code, round(time.monotonic() - began, 1)) == (503, seconds)


@each_row(
    ("is_local", "spoken_s", "seconds"),
    # It speaks for so long before the post-step has all of it; a quarter of the speech may be on its way.
    [(True, 0.0, 8.3), (False, 0.0, 8.3), (False, 12.0, 20.3)],
)
@simulated
async def test_a_silent_provider_of_a_post_step_is_given_up_after_it_got_all_of_the_speech(
    tmp_path: Path, is_local: bool, spoken_s: float, seconds: float
) -> None:
    config = scripted().replace('["one/m", "two/m"]', '["one/m"]')
    speech: list[Step] = [*WELL[:-1], lambda: asyncio.sleep(spoken_s), *sound(0.5), Finished()]
    one, rvc = Scripted(*speech, is_local=is_local), Mute(is_local=False)
    async with inside(tmp_path, config, {"one": one, "two": Scripted(), "rvc": rvc}) as server:
        began = time.monotonic()
        answer = await server.speech("Hello there.", language="en", response_format="pcm")
        assert (answer.status_code, round(time.monotonic() - began, 1)) == (503, seconds)


@simulated
async def test_a_post_step_that_has_begun_to_speak_has_no_silence_after_the_speech(tmp_path: Path) -> None:
    slow = Repeating(lambda: asyncio.sleep(15.0), Finished(), is_local=False)
    async with inside(
        tmp_path, scripted(), {"one": Scripted(*spoken(0.5)), "two": Scripted(), "rvc": slow}
    ) as server:
        answer = await server.speech("Hello there.", language="en", response_format="pcm")
        assert answer.status_code == 200
