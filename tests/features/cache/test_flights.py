"""Equal requests at the same time: one is spoken, and nobody waits for too long."""

import asyncio
import threading
from pathlib import Path

import httpx2
import pytest
from starlette.types import Message

from proxy.features.cache.single_flight import SingleFlight
from proxy.file_store import locked_files
from proxy.file_store.folder import BoundedFolder
from proxy.file_store.locked_files import Lock
from speech_engine import Finished, errors
from tests.features.cache import keeping
from tests.features.cache.conftest import AS_SHIPPED
from tests.proxy.api.inside import Inside
from tests.proxy.api.scripted import RATE_HZ, Halt, Scripted, Step, sound, spoken
from tests.speech_engine.host.simulated_time import simulated
from tests.tables import each_row
from tests.waiting import LIMIT_S, forever

# Long enough for a busy machine: half of it is the patience with one another, and with the disk.
FIRST_AUDIO_S = 2.0
IMPATIENT = f"[server]\nfirst_audio_s = {FIRST_AUDIO_S}\n" + keeping.CONFIG
CACHED = {**keeping.BODY, "cache": True}

pytestmark = [AS_SHIPPED, pytest.mark.slow]


def held_up(gate: Halt, *then: Step) -> Scripted:
    return Scripted(*spoken(0.5)[:-1], gate, *(then or spoken(0.5)[-1:]))


def asking(server: Inside, number: int) -> list[asyncio.Task[httpx2.Response]]:
    return [asyncio.create_task(keeping.ask(server)) for _ in range(number)]


async def test_a_flight_that_ends_late_leaves_the_one_in_its_place_alone(tmp_path: Path) -> None:
    single_flight, path = SingleFlight(), tmp_path / "clip"
    first = single_flight.start_flight(path)
    second = single_flight.start_flight(path)
    first.land("again")
    assert single_flight.leader_of(path) is second
    second.land("again")
    assert single_flight.leader_of(path) is None


async def test_the_times_in_which_a_client_takes_nothing_are_summed_up(tmp_path: Path) -> None:
    leader = SingleFlight().start_flight(tmp_path / "clip")
    leader.hold_up()
    await asyncio.sleep(0.01)
    leader.resume()
    first_s = leader.held_up_s
    assert 0.0 < first_s == leader.held_up_s
    leader.hold_up()
    await asyncio.sleep(0.01)
    assert leader.held_up_s > first_s


async def test_a_hundred_at_once_are_spoken_once(tmp_path: Path) -> None:
    engine = Scripted(*spoken(1.0))
    async with keeping.speaking(tmp_path, engine) as server:
        answers = await asyncio.gather(*asking(server, 100))
        rows = await server.usage()
    assert len(engine.jobs) == 1
    assert len({answer.content for answer in answers}) == 1
    assert sorted(keeping.found(answer) for answer in answers) == ["hit"] * 99 + ["miss"]
    assert sorted(row.cache for row in rows) == ["hit"] * 99 + ["miss"]


async def test_a_request_that_fails_gives_its_turn_to_the_next(tmp_path: Path) -> None:
    gate = Halt(1)

    async def fail_once() -> None:
        if len(engine.jobs) == 1:
            raise errors.EngineFailed("x")

    engine = held_up(gate, fail_once, *spoken(0.5)[-1:])
    async with keeping.speaking(tmp_path, engine) as server:
        broken = asyncio.create_task(server.raw_speech(CACHED))
        await gate.is_there.wait()
        others = asking(server, 5)
        await keeping.turns()
        assert len(engine.jobs) == 1
        gate.goes_on.set()
        answers = await asyncio.gather(*others)
        sent = await broken
    assert sent[-1]["more_body"]
    assert sorted(keeping.found(answer) for answer in answers) == ["hit"] * 4 + ["miss"]
    assert {len(answer.content) for answer in answers} == {RATE_HZ}
    assert len(engine.jobs) == 2


async def test_a_request_whose_client_leaves_gives_its_turn_to_the_next(tmp_path: Path) -> None:
    gate, leaves = Halt(1), asyncio.Event()
    engine = held_up(gate)
    async with keeping.speaking(tmp_path, engine) as server:
        left = asyncio.create_task(server.raw_speech(CACHED, leaves))
        await gate.is_there.wait()
        others = asking(server, 3)
        await keeping.turns()
        leaves.set()
        await left
        answers = await asyncio.gather(*others)
        outcomes = sorted((row.outcome, row.cache) for row in await server.usage())
        assert keeping.found(await keeping.ask(server)) == "hit"
    assert sorted(keeping.found(answer) for answer in answers) == ["hit"] * 2 + ["miss"]
    assert outcomes == [("finished", "hit")] * 2 + [("finished", "miss"), ("left", "miss")]
    assert len(engine.jobs) == 2


async def test_a_client_who_leaves_while_waiting_leaves_no_trace(tmp_path: Path) -> None:
    gate, leaves = Halt(), asyncio.Event()
    engine = held_up(gate)
    async with keeping.speaking(tmp_path, engine) as server:
        (first,) = asking(server, 1)
        await gate.is_there.wait()
        waiting = asyncio.create_task(server.raw_speech(CACHED, leaves))
        await keeping.turns()
        leaves.set()
        assert await waiting == []
        gate.goes_on.set()
        assert keeping.found(await first) == "miss"
        assert keeping.found(await keeping.ask(server)) == "hit"
        assert len(await server.usage()) == 2
    assert len(engine.jobs) == 1


async def test_a_client_who_leaves_while_the_disk_is_asked_leaves_the_turn_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asks, leaves = asyncio.Event(), asyncio.Event()

    async def never(self: BoundedFolder, path: Path) -> Lock | None:
        asks.set()
        await forever()
        raise AssertionError

    async with keeping.speaking(tmp_path, Scripted(*spoken(0.5))) as server:
        monkeypatch.setattr(BoundedFolder, "lock_file", never)
        left = asyncio.create_task(server.raw_speech(CACHED, leaves))
        await asks.wait()
        monkeypatch.undo()
        leaves.set()
        assert await left == []
        async with asyncio.timeout(5.0):
            assert keeping.found(await keeping.ask(server)) == "miss"


@simulated
async def test_an_engine_that_takes_longer_than_anybody_is_patient_still_speaks_once(tmp_path: Path) -> None:
    gate = Halt(1)
    engine = held_up(gate)
    async with keeping.speaking(tmp_path, engine, text=IMPATIENT) as server:
        waiting = asking(server, 30)
        await gate.is_there.wait()
        await asyncio.sleep(FIRST_AUDIO_S + 0.1)  # both the patience and the time to first audio are over
        gate.goes_on.set()
        answers = await asyncio.gather(*waiting)
    assert sorted(keeping.found(answer) for answer in answers) == ["hit"] * 29 + ["miss"]
    assert len(engine.jobs) == 1


@pytest.mark.parametrize("is_last", [False, True])
@simulated
async def test_a_client_who_takes_his_time_is_not_waited_for_and_one_speaks_for_the_others(
    tmp_path: Path, is_last: bool
) -> None:
    takes, is_taking = asyncio.Event(), asyncio.Event()

    async def slowly(message: Message) -> None:
        if message["type"] == "http.response.body" and message["more_body"] is not is_last:
            is_taking.set()
            await takes.wait()

    engine = Scripted(*spoken(0.5))
    async with keeping.speaking(tmp_path, engine, text=IMPATIENT) as server:
        first = asyncio.create_task(server.raw_speech(CACHED, on_sent=slowly))
        await is_taking.wait()
        async with asyncio.timeout(20):
            answers = await asyncio.gather(*asking(server, 10))
        takes.set()
        await first
        assert keeping.found(await keeping.ask(server)) == "hit"
    assert sorted(keeping.found(answer) for answer in answers) == ["hit"] * 9 + ["miss"]
    assert len(engine.jobs) == 2
    assert engine.jobs[1].deadline_s <= 0.5 * FIRST_AUDIO_S


@simulated
async def test_a_client_who_hears_live_is_not_waited_for(tmp_path: Path) -> None:
    """Its sound goes out at the pace of speech: half a minute here, and nobody else waits for that."""
    leaves, listens_to = asyncio.Event(), asyncio.Event()

    async def hear(message: Message) -> None:
        if message["type"] == "http.response.body":
            listens_to.set()

    engine, live, text = Scripted(*spoken(30.0)), {"x-voxgate-pace": "live"}, "Hello there. " * 30
    config = IMPATIENT.replace("megabytes = 1", "megabytes = 64")
    async with keeping.speaking(tmp_path, engine, text=config) as server:
        first = asyncio.create_task(server.raw_speech({**CACHED, "input": text}, leaves, hear, live))
        await listens_to.wait()
        async with asyncio.timeout(10):
            answers = await asyncio.gather(*(keeping.ask(server, input=text) for _ in range(2)))
        assert [keeping.found(answer) for answer in answers] == ["off", "off"]
        assert not first.done()
        leaves.set()
        await first


@simulated
async def test_a_client_who_leaves_late_leaves_one_to_speak_for_the_others(tmp_path: Path) -> None:
    gate, leaves = Halt(1), asyncio.Event()
    engine = held_up(gate)
    async with keeping.speaking(tmp_path, engine, text=IMPATIENT) as server:
        first = asyncio.create_task(server.raw_speech(CACHED, leaves))
        await gate.is_there.wait()
        waiting = asking(server, 10)
        await asyncio.sleep(FIRST_AUDIO_S + 0.1)
        leaves.set()
        await first
        answers = await asyncio.gather(*waiting)
    assert sorted(keeping.found(answer) for answer in answers) == ["hit"] * 9 + ["miss"]
    # Those who waited for so long have as much time left as any others.
    assert [job.deadline_s > 0.0 for job in engine.jobs] == [True, True]


@simulated
async def test_requests_that_fail_slowly_do_not_fail_one_after_the_other(tmp_path: Path) -> None:
    at_once: list[int] = []

    async def hang() -> None:
        at_once.append(engine.open)
        await asyncio.Event().wait()

    engine = Scripted(hang)
    engine.slots = 10
    text = IMPATIENT.replace('"gpt-4o-mini-tts" = ["one/m", "two/m"]', '"gpt-4o-mini-tts" = ["one/m"]')
    async with keeping.speaking(tmp_path, engine, text=text) as server:
        asked = (server.ask("POST", "/v1/audio/speech", body=CACHED) for _ in range(10))
        answers = await asyncio.gather(*asked)
    assert {answer.status_code for answer in answers} == {503}
    assert at_once[0] == 1
    assert max(at_once) > 1


async def test_a_clip_that_cannot_be_kept_is_not_waited_for(tmp_path: Path) -> None:
    gate = Halt(1)
    engine = Scripted(*spoken(6.0)[:-1], gate, *sound(0.5), Finished())
    async with keeping.speaking(
        tmp_path, engine, text="[server]\nfirst_audio_s = 3600\n" + keeping.CONFIG
    ) as server:
        asked = asking(server, 2)
        await gate.is_there.wait()
        async with asyncio.timeout(60):
            await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
            # Nor by those who come later, while it is spoken still.
            asked += asking(server, 2)
            await asyncio.wait(asked[2:])
        gate.goes_on.set()
        answers = await asyncio.gather(*asked)
    assert sorted(map(keeping.found, answers[:2])) == ["miss", "off"]
    assert [keeping.found(answer) for answer in answers[2:]] == ["off", "off"]
    assert {len(answer.content) for answer in answers} == {2 * round(6.5 * RATE_HZ)}
    assert len(engine.jobs) == 4
    assert not keeping.stored(tmp_path)


async def test_a_client_who_waits_for_a_request_that_fell_back_gets_its_clip(tmp_path: Path) -> None:
    gate = Halt()
    one, two = Scripted(errors.EngineFailed("x")), held_up(gate)
    async with keeping.speaking(tmp_path, one, two) as server:
        asked = asking(server, 2)
        await gate.is_there.wait()
        gate.goes_on.set()
        answers = await asyncio.gather(*asked)
    assert sorted(keeping.found(answer) for answer in answers) == ["hit", "miss"]
    assert [answer.headers["x-voxgate-engine"] for answer in answers] == ["two/m"] * 2
    assert (len(one.jobs), len(two.jobs)) == (1, 1)


async def test_workers_wait_for_one_another(tmp_path: Path) -> None:
    gate = Halt()
    here, there = held_up(gate), Scripted(*spoken(0.5))
    async with keeping.speaking(tmp_path, here) as server, keeping.reopened(tmp_path, server, there) as other:
        (first,) = asking(server, 1)
        await gate.is_there.wait()
        (second,) = asking(other, 1)
        await keeping.turns()
        gate.goes_on.set()
        answers = [await first, await second]
    assert [keeping.found(answer) for answer in answers] == ["miss", "hit"]
    assert answers[0].content == answers[1].content
    assert (len(here.jobs), len(there.jobs)) == (1, 0)


async def test_a_clip_that_another_worker_kept_meanwhile_frees_the_lock_for_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = Scripted(*spoken(0.5)), Scripted()
    async with keeping.speaking(tmp_path, here) as server, keeping.reopened(tmp_path, server, there) as other:
        folder = keeping.cache_of(other)._clips.folder
        take = folder.lock_file

        async def take_late(path: Path) -> Lock | None:
            assert keeping.found(await keeping.ask(server)) == "miss"
            await keeping.landed(tmp_path)
            return await take(path)

        monkeypatch.setattr(folder, "lock_file", take_late)
        assert keeping.found(await keeping.ask(other)) == "hit"
        await keeping.landed(tmp_path)
    assert not there.jobs


@simulated
async def test_a_worker_that_speaks_too_long_is_not_waited_for(tmp_path: Path) -> None:
    gate = Halt()
    here, there = held_up(gate), Scripted(*spoken(0.5))
    async with (
        keeping.speaking(tmp_path, here, text=IMPATIENT) as server,
        keeping.reopened(tmp_path, server, there) as other,
    ):
        (first,) = asking(server, 1)
        await gate.is_there.wait()
        answers = await asyncio.gather(*asking(other, 10))
        gate.goes_on.set()
        assert keeping.found(await first) == "miss"
        assert keeping.found(await keeping.ask(other)) == "hit"
    # Nor does each of them speak: one does, for all of its worker.
    assert sorted(keeping.found(answer) for answer in answers) == ["hit"] * 9 + ["miss"]
    assert len(there.jobs) == 1


@each_row("step", ["open_whole", "take_lock"])
async def test_a_disk_that_hangs_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    may_go_on, real = threading.Event(), getattr(locked_files, step)

    def hanging(path: Path) -> object:
        if "cache" in path.parts[-3:] and path.name != "cache-key":
            may_go_on.wait(20)
        return real(path)

    async with keeping.speaking(tmp_path, Scripted(*spoken(0.5)), text=IMPATIENT) as server:
        monkeypatch.setattr(locked_files, step, hanging)
        answer = await keeping.ask(server)
        may_go_on.set()
        monkeypatch.undo()
        assert [keeping.found(await keeping.ask(server)) for _ in range(2)] == ["miss", "hit"]
    assert (keeping.found(answer), len(answer.content)) == ("off", RATE_HZ)


async def test_a_request_that_cannot_be_kept_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(self: BoundedFolder, path: Path) -> Lock | None:
        raise OSError("x")

    gate = Halt(1)
    async with keeping.speaking(tmp_path, held_up(gate)) as server:
        with monkeypatch.context() as broken:
            broken.setattr(BoundedFolder, "lock_file", fail)
            (first,) = asking(server, 1)
            await gate.is_there.wait()
        async with asyncio.timeout(LIMIT_S):
            assert keeping.found(await keeping.ask(server)) == "miss"
        gate.goes_on.set()
        assert keeping.found(await first) == "off"
