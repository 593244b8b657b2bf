"""Work in pods: made within the caps, never twice, shared, and ended; with what the fake says was spent."""

import asyncio
from typing import Any, Literal

import msgspec
import pytest

from fakes.runpod.app import KEY
from fakes.runpod.pods import Pod, PodOrder
from plugins.runpod.reaper import is_ours
from speech_engine import EngineError, EngineFailed, EngineStumbled
from speech_engine.runner import NotBegun, Runner
from tests.plugins.runpod.rig import GPU, Rig, remote_worker, rig, work
from tests.plugins.runpod.test_serverless import PIECES
from tests.tables import each_row

OWN = {"VOXGATE_SETTINGS": "{}", "VOXGATE_TOKEN": "mine", "VOXGATE_IDLE_S": "9"}
POD: dict[str, Any] = {"name": "somebodys", "image": "an/image:1", "gpu": {"id": GPU}}


async def _started(at: Rig, key: str = "piece.1") -> str:
    name = await at.pods.submit(work(key))
    at.fake.clock.advance(60.0)
    return name


def _billing(at: Rig) -> int:
    return len(at.fake.fleet.billing)


async def test_a_pod_is_made_for_work_gets_it_when_it_runs_and_is_ended_when_idle() -> None:
    async with rig(pods={}) as at:
        runner: Runner = at.pods
        name = await runner.submit(work())
        (pod,) = at.fake.fleet.pods.values()
        assert is_ours(pod.order.name, "blue")
        assert (await at.pods.look(name, work(), 0)).status == "queued"
        assert at.fake.starts == []
        at.fake.clock.advance(60.0)
        state = await at.ended(at.pods, name, work())
        assert (state.status, state.pieces) == ("done", PIECES)
        assert (await at.pods.look(name, work(), 1)).pieces == PIECES[1:]
        assert len(at.fake.starts) == 1
        tidier = at.pods
        await tidier.tidy({name: 0.0})
        assert _billing(at) == 1
        at.fake.clock.advance(299)
        await tidier.tidy({})
        assert _billing(at) == 1
        at.fake.clock.advance(1)
        await tidier.tidy({})
        assert _billing(at) == 0
        assert state.usd is not None
        assert at.fake.spent_usd <= state.usd <= runner.limits.most_usd
        assert (await at.pods.look(name, work(), 0)).status == "lost"


async def test_the_order_says_all_that_the_far_end_needs_and_no_key() -> None:
    more = {"volume": "vol1", "data_centers": ["EU-RO-1"], "registry": "reg1", "disk_gb": 30, "env": OWN}
    async with rig(pods=more) as at:
        await at.pods.submit(work())
        (asked,) = [record.json for record in at.fake.management.seen if record.method == "POST"]
        token = asked["env"].pop("VOXGATE_TOKEN")
        assert len(token) == 64
        assert KEY not in str(asked)
        ours = {"VOXGATE_PORT": "8000", "VOXGATE_STOP_S": "14400", "VOXGATE_IDLE_S": "300"}
        assert asked["env"] == {"VOXGATE_SETTINGS": "{}", **ours}
        assert asked["mounts"] == {"network": [{"volumeId": "vol1", "path": "/workspace"}]}
        assert (asked["ports"], asked["disk"], asked["registry"]) == (["8000/http"], 30, "reg1")
        assert token not in f"{at.log.calls!r}"


async def test_a_key_with_which_a_pod_ends_itself_is_given_only_if_it_is_set() -> None:
    async with rig(pods={}, stop_key="restricted") as at:
        await at.pods.submit(work())
        (pod,) = at.fake.fleet.pods.values()
        assert pod.order.env["VOXGATE_STOP_KEY"] == "restricted"
        assert "restricted" not in f"{at.settings!r} {at.settings.pods!r}"


async def test_the_next_gpu_of_the_list_is_taken_if_one_is_not_there() -> None:
    async with rig(pods={}) as at:
        at.fake.fleet.types[GPU].stock = 0
        await at.pods.submit(work())
        (pod,) = at.fake.fleet.pods.values()
        assert pod.order.gpu is not None
        assert pod.order.gpu.id == "NVIDIA L4"


async def test_without_any_gpu_nothing_is_begun() -> None:
    async with rig(pods={"gpus": [GPU]}) as at:
        at.fake.fleet.types[GPU].stock = 0
        with pytest.raises(NotBegun):
            await at.pods.submit(work())
        assert at.fake.fleet.pods == {}


@each_row("fault", ["lost", "truncated", "garbage"])
async def test_a_create_whose_answer_is_lost_is_found_by_its_name(fault: Literal["lost"]) -> None:
    async with rig(pods={"most_pods": 3, "usd_per_hour": 3.0}) as at:
        at.fake.management.fail(fault, path="/pods", method="POST")
        name = await at.pods.submit(work())
        at.fake.clock.advance(60.0)
        assert (await at.ended(at.pods, name, work())).status == "done"
        assert (len(at.fake.fleet.pods), len(at.fake.starts)) == (1, 1)
        assert at.asked("POST", "/v2/pods") == 1


@each_row("status", [302, 408, 500, 502, 504])
async def test_a_create_that_may_have_had_an_effect_is_never_sent_again(status: int) -> None:
    async with rig(pods={"most_pods": 3, "usd_per_hour": 3.0}) as at:
        at.fake.management.fail("5xx", path="/pods", method="POST", status=status)
        with pytest.raises(EngineFailed):
            await at.pods.submit(work())
        assert at.asked("POST", "/v2/pods") == 1
        # A minute later: there surely is nothing.
        assert await at.pods.find("piece.1") is None


async def test_what_was_made_although_nobody_heard_of_it_is_found_a_minute_later() -> None:
    async with rig(pods={}) as at:
        made = at.fake.fleet.create

        def then_silent(order: PodOrder) -> Pod | None:
            # From the creation on, the list fails as well.
            at.fake.management.fail("5xx", path="/pods", method="GET", count=9)
            return made(order)

        at.fake.fleet.create = then_silent  # type: ignore[method-assign]
        at.fake.management.fail("lost", path="/pods", method="POST")
        with pytest.raises(EngineStumbled):
            await at.pods.submit(work())
        at.fake.management.reset()
        name = await at.pods.find("piece.1")
        assert name is not None
        at.fake.clock.advance(60.0)
        assert (await at.ended(at.pods, name, work())).status == "done"
        assert (len(at.fake.fleet.pods), len(at.fake.starts)) == (1, 1)


async def test_what_was_made_and_nobody_looks_for_is_reaped() -> None:
    async with rig(pods={}) as at:
        at.fake.management.fail("lost", path="/pods", method="POST")
        await at.pods.submit(work())
        # The server dies here, and the next one has no row of it.
        at.fake.clock.advance(299)
        await at.pods.tidy({})
        assert _billing(at) == 1
        at.fake.clock.advance(1)
        await at.pods.tidy({})
        assert _billing(at) == 0
        assert at.fake.spent_usd == pytest.approx(0.44 * 300 / 3600)


async def test_all_work_of_a_pod_pays_for_all_of_its_time() -> None:
    async with rig(pods={}) as at:
        runner, usd = at.pods, 0.0
        for number in range(5):
            name = await runner.submit(work(f"k{number}"))
            at.fake.clock.advance(200.0)
            state = await at.ended(runner, name, work(f"k{number}"))
            assert state.usd is not None
            usd += state.usd
            await runner.tidy({name: 0.0})
            # Who asks for a result again pays for nothing, and takes no time from the next one.
            at.fake.clock.advance(50.0)
            again = await runner.look(name, work(f"k{number}"), 0)
            assert again.usd == state.usd
        # The last one is over for as long, and a server looks every few seconds.
        await runner.tidy({name: 50.0})
        at.fake.clock.advance(249.0)
        await runner.tidy({name: 299.0})
        assert _billing(at) == 1
        at.fake.clock.advance(6.0)
        await runner.tidy({})
        assert _billing(at) == 0
        assert len(at.fake.fleet.pods) == 1
        assert usd == pytest.approx(at.fake.spent_usd, rel=0.01)
        # Who is killed does not know what is paid for: never too little.
        name = await _started(at, "more")
        assert (await at.ended(at.pods, name, work("more"))).usd is not None
        state = await at.ended(at.pods, name, work("more"))
        assert state.usd is not None
        assert state.usd >= at.fake.fleet.billing[0].spent(at.fake.clock())


async def test_a_pod_is_idle_since_its_last_work_whatever_a_process_remembers() -> None:
    async with rig(pods={}) as at:
        name = await _started(at)
        await at.ended(at.pods, name, work())
        at.fake.clock.advance(1000.0)
        # It was needed when the runner was asked for it, or when its work ended: the later counts.
        for over_s, billing in ((299.0, 1), (300.0, 0)):
            await at.pods.tidy({name: over_s, f"{name}.earlier": 900.0})
            assert _billing(at) == billing


async def test_work_shares_a_pod_that_runs() -> None:
    async with rig(pods={"most_pods": 2, "usd_per_hour": 1.0}) as at:
        await _started(at)
        names = [await at.pods.submit(work(f"k{number}")) for number in range(3)]
        for number, name in enumerate(names):
            state = await at.ended(at.pods, name, work(f"k{number}"))
            assert state.pieces[0].data == f"k{number}".encode()
        assert len(at.fake.fleet.pods) == 1


async def test_work_waits_at_a_pod_that_starts_if_no_other_may_be_made() -> None:
    async with rig(pods={"most_pods": 1}) as at:
        first, second = await at.pods.submit(work("a")), await at.pods.submit(work("b"))
        assert first.partition("/")[0] == second.partition("/")[0]
        assert await at.pods.find("b") is None


async def test_a_further_pod_is_made_beside_one_that_is_full() -> None:
    blocked = asyncio.Event()

    async def slow(job: dict[str, Any]) -> Any:
        await blocked.wait()

    async with rig(slow, pods={"most_pods": 2, "jobs_per_pod": 1}) as at:
        name = await _started(at)
        await at.pods.look(name, work(), 0)
        await at.begun()
        await at.pods.submit(work("b"))
        assert len(at.fake.fleet.pods) == 2
        third = await at.pods.submit(work("c"))
        assert len(at.fake.fleet.pods) == 2
        assert third.partition("/")[0] in at.fake.fleet.pods


@each_row(
    ("pods", "most"),
    [
        ({"most_pods": 1, "usd_per_hour": 9.0}, 1),
        ({"most_pods": 9, "usd_per_hour": 0.43}, 1),
        ({"most_pods": 9, "usd_per_hour": 0.9}, 2),
        ({"most_pods": 2, "usd_per_hour": 9.0}, 2),
    ],
)
async def test_caps_hold_for_many_at_once_in_several_processes(pods: dict[str, Any], most: int) -> None:
    async with rig(pods=pods) as at:
        runners = [at.pods for _ in range(3)]
        asked = [runner.submit(work(f"k{number}")) for number, runner in enumerate(runners * 2)]
        told = await asyncio.gather(*asked, return_exceptions=True)
        assert all(isinstance(each, str | NotBegun) for each in told), told
        assert 1 <= _billing(at) <= most
        assert sum(pod.usd_per_hour for pod in at.fake.fleet.billing) <= at.settings.pods.usd_per_hour  # type: ignore[union-attr]


async def test_nothing_dearer_than_the_cap_is_made() -> None:
    async with rig(pods={"usd_per_hour": 0.4}) as at:
        with pytest.raises(NotBegun):
            await at.pods.submit(work())
        assert at.asked("POST", "/v2/pods") == 0


async def test_a_pod_that_is_dearer_than_the_catalog_said_is_ended_at_once() -> None:
    async with rig(pods={"usd_per_hour": 0.5}) as at:
        made = at.fake.fleet.create

        def dearer(order: Any) -> Any:
            pod = made(order)
            if pod is not None:
                pod.usd_per_hour = 0.6
            return pod

        at.fake.fleet.create = dearer  # type: ignore[method-assign]
        with pytest.raises(NotBegun):
            await at.pods.submit(work())
        assert (_billing(at), at.fake.spent_usd) == (0, 0.0)


async def test_other_pods_of_the_account_are_nobodys_business() -> None:
    async with rig(pods={"usd_per_hour": 0.5}) as at:
        for name in ("somebodys", "voxgate-green-0123456789abcdef0123", "voxgate-blue-mine"):
            await _create_beside(at, name)
        await at.pods.submit(work())
        at.fake.clock.advance(1_000_000)
        await at.pods.tidy({})
        assert {pod.order.name for pod in at.fake.fleet.billing} == {
            "somebodys",
            "voxgate-green-0123456789abcdef0123",
            "voxgate-blue-mine",
        }


async def test_a_pod_past_its_deadline_is_ended_though_it_has_work_and_gets_none_before() -> None:
    async with rig(pods={"deadline_s": 3000, "most_pods": 2}) as at:
        name = await _started(at)
        at.fake.clock.advance(1000)
        other = await at.pods.submit(work("b"))
        assert other.partition("/")[0] != name.partition("/")[0]
        at.fake.clock.advance(1940)
        tidier = at.pods
        await tidier.tidy({name: 0.0, other: 0.0})
        assert {pod.id for pod in at.fake.fleet.billing} == {other.partition("/")[0]}


async def test_a_pod_that_breaks_is_ended_and_its_work_is_lost() -> None:
    async with rig(pods={}) as at:
        at.fake.fleet.breaks_at_start = 1
        name = await at.pods.submit(work())
        assert (await at.pods.look(name, work(), 0)).status == "lost"
        assert _billing(at) == 0


async def test_a_pod_that_does_not_start_in_time_is_ended() -> None:
    async with rig(pods={"start_s": 900}) as at:
        at.fake.fleet.start_s = 10_000.0
        name = await at.pods.submit(work())
        at.fake.clock.advance(899)
        assert (await at.pods.look(name, work(), 0)).status == "queued"
        at.fake.clock.advance(1)
        assert (await at.pods.look(name, work(), 0)).status == "lost"
        assert _billing(at) == 0


async def test_work_that_came_too_late_is_not_begun() -> None:
    async with rig(pods={"start_s": 100}, queue_s=100) as at:
        name = await _started(at)
        at.fake.clock.advance(140)
        assert (await at.pods.look(name, work(), 0)).status == "lost"
        assert at.fake.starts == []


async def test_a_pod_that_clings_is_told_of_in_the_log_and_to_the_server() -> None:
    async with rig(pods={}) as at:
        at.fake.fleet.clings = True
        await at.pods.submit(work())
        at.fake.clock.advance(300)
        with pytest.raises(EngineFailed):
            await at.pods.tidy({})
        assert "runpod.pod.bills_on" in at.logged()


async def test_a_termination_is_asked_for_again_until_it_is_sure() -> None:
    async with rig(pods={}) as at:
        await at.pods.submit(work())
        at.fake.clock.advance(300)
        at.fake.management.fail("lost", path="/pods/", method="DELETE")
        at.fake.management.fail("429", path="/pods/", method="DELETE", retry_after="2")
        await at.pods.tidy({})
        assert _billing(at) == 0


async def test_work_is_handed_over_once_though_answers_are_lost() -> None:
    async with rig(pods={}) as at:
        name = await _started(at)
        at.fake.proxy.fail("lost", path="/run")
        at.fake.proxy.fail("5xx", path="/run")
        assert (await at.ended(at.pods, name, work())).status == "done"
        assert len(at.fake.starts) == 1


async def test_work_in_a_pod_is_cancelled() -> None:
    blocked = asyncio.Event()

    async def slow(job: dict[str, Any]) -> Any:
        await blocked.wait()

    async with rig(slow, pods={}) as at:
        waiting = await at.pods.submit(work("never"))
        assert await at.pods.cancel(waiting) is None
        at.fake.clock.advance(60.0)
        name = await at.pods.submit(work())
        assert (await at.pods.look(name, work(), 0)).status == "running"
        await at.begun()
        assert await at.pods.cancel(name) is not None
        assert (await at.pods.look(name, work(), 0)).status in ("canceled", "lost")


async def test_health_counts_pods_of_ours() -> None:
    async with rig(pods={}) as at:
        await _create_beside(at, "somebodys")
        await _started(at)
        assert (await at.pods.health()).machines == 1


async def test_nothing_is_begun_while_runpod_cannot_be_asked() -> None:
    async with rig(remote_worker, pods={}) as at:
        at.fake.management.fail("5xx", path="/pods", method="GET", count=9)
        with pytest.raises(NotBegun):
            await at.pods.submit(work())
        assert at.asked("POST", "/v2/pods") == 0


async def _create_beside(at: Rig, name: str) -> None:
    """Make a pod that is not this deployment's."""
    assert at.fake.fleet.create(msgspec.convert({**POD, "name": name}, PodOrder)) is not None


async def test_looks_ask_the_pod_and_seldom_runpod_itself() -> None:
    blocked = asyncio.Event()

    async def slow(job: dict[str, Any]) -> Any:
        await blocked.wait()

    async with rig(slow, pods={}) as at:
        runner = at.pods
        name = await runner.submit(work())
        at.fake.management.reset()
        for _ in range(60):
            at.fake.clock.advance(2.0)
            assert (await runner.look(name, work(), 0)).status in ("queued", "running")
        assert 0 < at.asked("GET", "/v2/pods/") <= 20
        # One that went away is not taken for one that runs.
        (pod,) = at.fake.fleet.pods.values()
        at.fake.fleet.act(pod, "terminate")
        with pytest.raises(EngineError):
            await runner.look(name, work(), 0)
        assert (await runner.look(name, work(), 0)).status == "lost"
