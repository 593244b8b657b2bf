"""Who is asked beside whom, who speaks in the end, and what those cost who did not."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message

from policies import estimate
from proxy.speech.candidate_race import FirstAudio
from proxy.speech.candidate_stream import CandidateStream
from proxy.storage.costs import Cost
from proxy.storage.rows import columns
from speech_engine import Finished, ProviderCount, Started, errors
from tests.proxy.api.inside import Inside, envelope, inside
from tests.proxy.api.scripted import RATE_HZ, Scripted, Step, sound, spoken
from tests.proxy.engines.keys import SILENT
from tests.speech_engine.host.simulated_time import simulated
from tests.tables import each_row
from tests.waiting import forever

THREE = """
[engines.one]
hedge_s = 0.05
costs = { "*" = { usd = 0.001, per = "character" } }
[engines.two]
hedge_s = 0.05
costs = { "*" = { usd = 0.002, per = "character" } }
[engines.three]
costs = { "*" = { usd = 0.004, per = "second" } }
[models]
all = ["one/m", "two/m", "three/m"]
[voices.ana]
one = "v"
two = "v"
three = "v"
"""
UNHEDGED = THREE.replace("hedge_s = 0.05\n", "")
BODY = {"model": "all", "voice": "ana", "input": "Hello there.", "response_format": "pcm"}
CHARACTERS = len("Hello there.")
WELL = spoken(0.5)


async def ask(server: Inside) -> tuple[int, str]:
    """Status, and who spoke; or the error's code."""
    answer = await server.ask("POST", "/v1/audio/speech", body=BODY)
    if answer.is_error:
        return answer.status_code, envelope(answer)["code"]
    return answer.status_code, answer.headers["x-voxgate-engine"]


async def costs(server: Inside) -> list[Cost]:
    rows = await server.worker.store.read(f"SELECT {columns(Cost)} FROM costs ORDER BY attempt", {})
    return [Cost(**row) for row in rows]


def engines(*scripts: Sequence[Step]) -> dict[str, Scripted]:
    return {name: Scripted(*script) for name, script in zip(("one", "two", "three"), scripts, strict=True)}


@simulated
async def test_a_quick_candidate_is_alone(tmp_path: Path) -> None:
    asked = engines(WELL, WELL, WELL)
    async with inside(tmp_path, THREE, asked) as server:
        assert await ask(server) == (200, "one/m")
        (cost,) = await costs(server)
    assert [len(engine.jobs) for engine in asked.values()] == [1, 0, 0]
    assert (cost.engine, cost.micro_usd) == ("one", CHARACTERS * 1000)


@simulated
async def test_beside_one_that_keeps_us_waiting_the_next_is_asked_and_the_first_to_speak_wins(
    tmp_path: Path,
) -> None:
    asked = engines(SILENT, WELL, WELL)
    async with inside(tmp_path, THREE, asked) as server:
        assert await ask(server) == (200, "two/m")
        lost, won = await costs(server)
        (row,) = await server.usage()
    assert [engine.open for engine in asked.values()] == [0, 0, 0]
    assert [len(engine.jobs) for engine in asked.values()] == [1, 1, 0]
    assert (lost.engine, lost.audio_ms, lost.micro_usd) == ("one", 0, CHARACTERS * 1000)
    assert (won.engine, won.audio_ms, won.micro_usd) == ("two", 500, CHARACTERS * 2000)
    assert (row.engine, row.micro_usd) == ("two", lost.micro_usd + won.micro_usd)


@simulated
async def test_the_one_asked_first_may_still_win(tmp_path: Path) -> None:
    second_is_asked = asyncio.Event()

    async def note() -> None:
        second_is_asked.set()
        await forever()

    asked = engines([second_is_asked.wait, *WELL], [note], WELL)
    async with inside(tmp_path, THREE, asked) as server:
        assert await ask(server) == (200, "one/m")
        found = await costs(server)
        (row,) = await server.usage()
    assert [(cost.engine, cost.audio_ms) for cost in found] == [("one", 500), ("two", 0)]
    assert (asked["two"].open, row.engine) == (0, "one")


@simulated
async def test_two_that_are_silent_make_room_for_the_third(tmp_path: Path) -> None:
    asked = engines(SILENT, SILENT, WELL)
    async with inside(tmp_path, THREE, asked) as server:
        assert await ask(server) == (200, "three/m")
        assert [cost.engine for cost in await costs(server)] == ["one", "two", "three"]
    assert [engine.open for engine in asked.values()] == [0, 0, 0]


@simulated
async def test_a_candidate_that_fails_at_once_needs_no_patience(tmp_path: Path) -> None:
    asked = engines([errors.EngineFailed("x")], WELL, WELL)
    async with inside(tmp_path, THREE, asked) as server:
        assert await ask(server) == (200, "two/m")
        assert [cost.engine for cost in await costs(server)] == ["one", "two"]


@pytest.mark.parametrize("config", [THREE, UNHEDGED])
@simulated
async def test_when_all_fail_the_answer_is_one_failure(tmp_path: Path, config: str) -> None:
    broken = [errors.EngineFailed("x")]
    asked = engines(broken, broken, broken)
    async with inside(tmp_path, config, asked) as server:
        assert await ask(server) == (503, "engine_unavailable")
        (row,) = await server.usage()
    assert [len(engine.jobs) for engine in asked.values()] == [1, 1, 1]
    assert (row.outcome, row.credits) == ("failed", 0)


@simulated
async def test_a_refusal_beside_one_that_still_works_stops_all(tmp_path: Path) -> None:
    second_is_asked = asyncio.Event()

    async def note() -> None:
        second_is_asked.set()
        await forever()

    asked = engines([second_is_asked.wait, errors.ContentRefused("No.")], [note], WELL)
    async with inside(tmp_path, THREE, asked) as server:
        assert await ask(server) == (400, "content_refused")
        found = await costs(server)
    assert [engine.open for engine in asked.values()] == [0, 0, 0]
    assert len(asked["three"].jobs) == 0
    assert [cost.engine for cost in found] == ["two"]


@simulated
async def test_a_refusal_of_the_second_stops_the_first(tmp_path: Path) -> None:
    asked = engines(SILENT, [errors.ContentRefused("No.")], WELL)
    async with inside(tmp_path, THREE, asked) as server:
        assert await ask(server) == (400, "content_refused")
    assert (asked["one"].open, len(asked["three"].jobs)) == (0, 0)


@simulated
async def test_a_client_that_leaves_ends_all_who_were_asked(tmp_path: Path) -> None:
    leaves = asyncio.Event()

    async def leave() -> None:
        leaves.set()
        await forever()

    asked = engines(SILENT, [leave], WELL)
    async with inside(tmp_path, THREE, asked) as server:
        await server.raw_speech(BODY, leaves)
        (row,) = await server.usage()
    assert [engine.open for engine in asked.values()] == [0, 0, 0]
    assert (row.outcome, row.samples) == ("left", 0)


@simulated
async def test_a_client_that_leaves_as_the_slower_is_sent_home_ends_the_quicker_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaves = asyncio.Event()
    begun: list[CandidateStream] = []
    attempt = FirstAudio.attempt

    async def stored(*args: Any) -> CandidateStream:
        """Else it would be closed as what nobody has a name for, which may be at any time."""
        begun.append(await attempt(*args))
        return begun[-1]

    async def linger() -> None:
        try:
            await forever()
        finally:
            leaves.set()
            await asyncio.sleep(0.2)

    monkeypatch.setattr(FirstAudio, "attempt", stored)
    asked = engines([linger], [Started(RATE_HZ), *sound(0.5), *SILENT], WELL)
    async with inside(tmp_path, THREE, asked) as server:
        await server.raw_speech(BODY, leaves)
        assert [len(engine.jobs) for engine in asked.values()] == [1, 1, 0]
        assert len(begun) == 1
        assert [engine.open for engine in asked.values()] == [0, 0, 0]


@simulated
async def test_the_loser_of_two_that_begin_in_the_same_moment_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both_may_speak = asyncio.Event()
    begun: list[CandidateStream] = []
    attempt = FirstAudio.attempt

    async def stored(*args: Any) -> CandidateStream:
        """Keeps the loser, so that only the race can have closed it."""
        begun.append(await attempt(*args))
        return begun[-1]

    async def let_both_speak() -> None:
        both_may_speak.set()

    monkeypatch.setattr(FirstAudio, "attempt", stored)
    speech: list[Step] = [Started(RATE_HZ), both_may_speak.wait, *sound(0.5)]
    asked = engines([*speech, *SILENT], [Started(RATE_HZ), let_both_speak, *speech[1:], *SILENT], WELL)
    leaves = asyncio.Event()

    async def leave_at_the_first_bytes(message: Message) -> None:
        if message.get("body"):
            still_open.append(sum(engine.open for engine in asked.values()))
            leaves.set()

    still_open: list[int] = []
    async with inside(tmp_path, THREE, asked) as server:
        await server.raw_speech(BODY, leaves, leave_at_the_first_bytes)
    assert len(begun) == 2
    assert set(still_open) == {1}


_REFUSED = [
    errors.EngineUnavailable("x"),
    errors.EngineBusy("x"),
    errors.EngineUnauthorized("x"),
    errors.EngineExhausted("x"),
    errors.UnsupportedText("x"),
    errors.VoiceNotFound("x"),
]


@pytest.mark.parametrize("error", _REFUSED, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("config", [THREE, UNHEDGED], ids=["hedged", "in turn"])
@simulated
async def test_a_candidate_that_refused_before_it_began_costs_nothing(
    tmp_path: Path, error: errors.EngineError, config: str
) -> None:
    async with inside(tmp_path, config, engines([error], WELL, WELL)) as server:
        assert await ask(server) == (200, "two/m")
        assert [cost.engine for cost in await costs(server)] == ["two"]


@simulated
async def test_a_candidate_that_is_refused_is_not_mixed_up_with_another_that_costs(tmp_path: Path) -> None:
    asked = engines(SILENT, [errors.VoiceNotFound("x")], WELL)
    async with inside(tmp_path, THREE, asked) as server:
        assert await ask(server) == (200, "three/m")
        assert [cost.engine for cost in await costs(server)] == ["one", "three"]


@simulated
async def test_the_units_that_a_provider_counted_are_what_an_attempt_costs(tmp_path: Path) -> None:
    priced = THREE.replace('0.001, per = "character"', '0.01, per = "unit"')
    counted: list[Step] = [Started(RATE_HZ), *sound(0.1), Finished(40.0)]
    async with inside(tmp_path, priced, engines(counted, WELL, WELL)) as server:
        await ask(server)
        (cost,) = await costs(server)
    assert (cost.units, cost.micro_usd) == (40.0, 400_000)


@each_row(
    ("script", "units"),
    [
        ([Started(RATE_HZ), ProviderCount(5.0), ProviderCount(7.0), errors.UnsupportedText("x")], 7.0),
        ([Started(RATE_HZ), ProviderCount(5.0), *sound(0.5), errors.EngineFailed("x")], 5.0),
        ([Started(RATE_HZ), ProviderCount(5.0), *sound(0.5), Finished()], 5.0),
        ([Started(RATE_HZ), ProviderCount(5.0), *sound(0.5), Finished(6.0)], 6.0),
    ],
    ids=["refused", "broken", "finished", "counted at last"],
)
@simulated
async def test_what_a_provider_has_counted_costs_however_the_answer_ends(
    tmp_path: Path, script: list[Step], units: float
) -> None:
    priced = UNHEDGED.replace('0.001, per = "character"', '0.01, per = "unit"')
    async with inside(tmp_path, priced, engines(script, WELL, WELL)) as server:
        await server.raw_speech(BODY)
        cost = (await costs(server))[0]
    assert (cost.engine, cost.units, cost.micro_usd) == ("one", units, units * 10_000)


@pytest.mark.parametrize(
    "error", [errors.EngineUnauthorized("invalid key sk-1"), errors.EngineExhausted("plan of ada is empty")]
)
@simulated
async def test_a_provider_that_refuses_our_key_is_never_the_tenants_fault(
    tmp_path: Path, error: errors.EngineError
) -> None:
    async with inside(tmp_path, UNHEDGED, engines([error], [error], [error])) as server:
        answer = await server.ask("POST", "/v1/audio/speech", body=BODY)
        again = await server.ask("POST", "/v1/audio/speech", body=BODY)
        metrics = server.worker.metrics.page_text()
    for told in (answer, again):
        assert told.status_code == 503
        assert envelope(told)["code"] == "engine_unavailable"
        assert error.message not in told.text
        assert int(told.headers["retry-after"]) >= 1
    name = type(error).__name__
    assert f'voxgate_engine_alarms_total{{engine="one",error="{name}"}} 1.0' in metrics
    assert 'voxgate_engine_resting{engine="one",key="1"} 1.0' in metrics


@simulated
async def test_retries_are_counted(tmp_path: Path) -> None:
    async with inside(tmp_path, UNHEDGED, engines([errors.EngineStumbled("x")], WELL, WELL)) as server:
        assert await ask(server) == (200, "two/m")
        metrics = server.worker.metrics.page_text()
    assert 'voxgate_engine_retries_total{engine="one",error="EngineStumbled"} 2.0' in metrics


@simulated
async def test_a_request_that_waited_in_our_own_line_costs_nothing(tmp_path: Path) -> None:
    """The second request finds the only slot taken, and goes elsewhere before it was ever asked."""
    config = UNHEDGED.replace("[engines.one]", "[engines.one]\nconcurrency = 1")
    has_begun, may_end = asyncio.Event(), asyncio.Event()

    async def keep_the_slot() -> None:
        has_begun.set()
        await may_end.wait()

    asked = engines([Started(RATE_HZ), *sound(0.5), keep_the_slot, Finished()], WELL, WELL)
    async with inside(tmp_path, f"[server]\nfirst_audio_s = 1\n{config}", asked) as server:
        first = asyncio.create_task(ask(server))
        await has_begun.wait()
        assert await ask(server) == (200, "two/m")
        may_end.set()
        assert await first == (200, "one/m")
        assert sorted(cost.engine for cost in await costs(server)) == ["one", "two"]
    assert len(asked["one"].jobs) == 1


@pytest.mark.parametrize("speed", [0.5, 1.0, 2.0])
@simulated
async def test_the_cap_on_an_engine_counts_what_is_heard_after_the_speed_is_changed(
    tmp_path: Path, speed: float
) -> None:
    one = Scripted(*WELL, speed=(1.0, 1.0))
    async with inside(tmp_path, UNHEDGED, {**engines(WELL, WELL, WELL), "one": one}) as server:
        await server.ask("POST", "/v1/audio/speech", body={**BODY, "speed": speed})
    (job,) = one.jobs
    assert job.max_samples == round((estimate.cap_seconds(job.estimated_s) * speed + 1.0) * RATE_HZ)
