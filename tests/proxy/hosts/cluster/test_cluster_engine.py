"""An engine of a cluster as a worker has it: hosts that are lost, leave, differ, or are not there."""

import asyncio
import time
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from proxy.hosts import hosted as hosted_module
from proxy.hosts.hosted import HostedEngine
from speech_engine import API_VERSION, EngineUnavailable, Finished, ModelInfo, Speak, UnsupportedText
from speech_engine.host.cluster_messages import FORGOTTEN_S
from speech_engine.host.messages import HOST_API
from speech_engine.host.pipe_messages import HostState
from speech_engine.host.sample_cache import SampleCache
from tests.proxy.hosts.host_rig import odd_host, spoken
from tests.speech_engine.host.fakes import MODEL, FakeEngine, host, job, short_folder
from tests.tables import each_row
from tests.waiting import soon


@asynccontextmanager
async def _cluster() -> AsyncIterator[tuple[HostedEngine, Path]]:
    engine = HostedEngine("fake", is_clustered=True)
    with short_folder() as folder:
        try:
            yield engine, folder
        finally:
            await engine.close()


def _state(address: Path, name: str = "ready", *, process: int = 0, **more: Any) -> HostState:
    return HostState(
        "fake", process, 1, name, address=f"unix:{address}", machine=f"gpu{process}:7070", **more
    )


def _other(model: ModelInfo) -> FakeEngine:
    engine = FakeEngine()
    engine.models = lambda: (model,)  # type: ignore[method-assign]
    return engine


async def test_it_fails_at_once_when_no_host_has_come_after_a_start(monkeypatch: pytest.MonkeyPatch) -> None:
    async with _cluster() as (engine, _):
        assert engine.state == "starting"
        monkeypatch.setattr(hosted_module, "FIRST_HOSTS_S", 0.0)
        assert (engine.state, engine.reason) == ("failed", "no host of its cluster is there, or none has it")
        with pytest.raises(EngineUnavailable):
            await asyncio.wait_for(spoken(engine, job(deadline_s=3600.0)), 5.0)


async def test_the_reason_of_a_process_names_its_host_once() -> None:
    async with _cluster() as (engine, folder):
        engine.update_host(_state(folder / "1", "failed", process=1, reason="no model"))
        assert engine.reason == "gpu1:7070: no model"
        engine.update_host(_state(folder / "1", "gone", process=1))
        engine.update_host(_state(folder / "2", "failed", process=2, reason="gpu2:7070 is refused: old"))
        assert engine.reason == "gpu2:7070 is refused: old"


async def test_speech_that_a_lost_host_had_is_spoken_by_another() -> None:
    async with _cluster() as (engine, folder):
        slow = FakeEngine()
        async with host(slow, folder / "1"), host(FakeEngine(), folder / "2"):
            engine.update_host(_state(folder / "1"))
            await soon(lambda: engine.state == "ready")
            process = await engine.ready_process(Speak(job()), time.monotonic() + 10.0)
            engine.update_host(_state(folder / "2", process=1))
            await soon(lambda: engine.slots == 2 * slow.slots)
            engine.update_host(_state(folder / "1", "gone", lost_at=time.monotonic()))
            assert process.has_begun("any call")
            assert not process.has_crashed
            assert isinstance((await spoken(engine, job()))[-1], Finished)


@each_row(
    ("begun", "more", "verdict"),
    [
        (("own", "other"), {"has_crashed": True}, "alone"),
        (("own",), {"has_crashed": True}, "alone"),
        (("own",), {"has_crashed": True, "killer": "own"}, "refused"),
        (("other",), {"has_crashed": True, "killer": "other"}, ""),
        (("own",), {"lost_at": 0.0}, ""),
        (("own",), {}, ""),
    ],
)
async def test_only_a_crash_makes_what_had_begun_a_suspect(
    begun: tuple[str, ...], more: dict[str, Any], verdict: str
) -> None:
    async with _cluster() as (engine, folder), host(FakeEngine(), folder / "1"):
        suspects, work = engine.suspects, Speak(job())
        assert suspects is not None
        suspects.note_dispatch("own", digest := suspects.digest(work))
        engine.update_host(_state(folder / "1", "restarting", begun=begun, **more))
        if verdict == "refused":
            with pytest.raises(UnsupportedText):  # before there is a host to choose
                await spoken(engine, job())
        else:
            assert suspects.runs_alone(work, digest) == (verdict == "alone")


async def test_a_text_that_is_spoken_to_its_end_is_no_suspect_any_more() -> None:
    async with _cluster() as (engine, folder), host(FakeEngine(), folder / "1"):
        suspects, work = engine.suspects, Speak(job())
        assert suspects is not None
        suspects.note_dispatch("before", digest := suspects.digest(work))
        suspects.note_crash(["before"], "")
        engine.update_host(_state(folder / "1"))
        assert suspects.runs_alone(work, digest)
        await spoken(engine, job())
        assert not suspects.runs_alone(work, digest)


async def test_an_erasure_waits_until_a_lost_host_has_surely_forgotten() -> None:
    async with _cluster() as (engine, folder), host(FakeEngine(), folder / "1"):
        engine.update_host(_state(folder / "1"))
        await soon(lambda: engine.state == "ready")
        await engine.drop_samples(["a"])
        engine.update_host(_state(folder / "1", "gone", lost_at=time.monotonic()))
        with pytest.raises(EngineUnavailable):
            await engine.drop_samples(["a"])
        engine._lost_at = time.monotonic() - FORGOTTEN_S
        await engine.drop_samples(["a"])


async def test_a_process_that_leaves_gets_no_new_work_and_still_forgets() -> None:
    cache, dropped = SampleCache(), list[Collection[str]]()
    cache.on_drop(dropped.append)
    async with _cluster() as (engine, folder), host(FakeEngine(), folder / "1", sample_cache=cache):
        engine.update_host(_state(folder / "1"))
        await soon(lambda: engine.state == "ready")
        engine.update_host(_state(folder / "1", "leaving"))
        assert engine.slots == 0
        await engine.drop_samples(["a"])
        assert [*map(list, dropped)] == [["a"]]


async def test_a_process_with_other_models_waits_until_those_in_use_are_gone() -> None:
    newer, newest = (replace(MODEL, sample_rate_hz=rate) for rate in (48_000, 44_100))
    async with _cluster() as (engine, folder), AsyncExitStack() as hosts:
        for number, model in enumerate((MODEL, newer, newest)):
            await hosts.enter_async_context(host(_other(model), folder / str(number)))
            engine.update_host(_state(folder / str(number), process=number))
            # Its reason tells how many wait.
            await soon(lambda: f"{engine.slots} {engine.reason[:1]}", f"2 {number or ''}".__eq__)
        for number, model in enumerate((MODEL, newer, newest)):
            assert (engine.models(), engine.slots) == ((model,), 2), "it is the only one in use"
            assert isinstance((await spoken(engine, job()))[-1], Finished)
            engine.update_host(_state(folder / str(number), "gone", process=number))


@each_row(("host_api", "state"), [(HOST_API, "ready"), (HOST_API - 1, "ready"), (HOST_API + 1, "failed")])
async def test_a_gateway_takes_hosts_of_its_own_version_and_of_the_one_before(
    host_api: int, state: str
) -> None:
    # The version of the plugins' interface is the host's own matter.
    async with (
        _cluster() as (engine, folder),
        odd_host(folder / "1", version=API_VERSION + 1, host_api=host_api),
    ):
        engine.update_host(_state(folder / "1"))
        await soon(lambda: engine.state == state)
        assert (f"API version is {host_api}, the server's {HOST_API}" in engine.reason) == (state == "failed")


async def test_two_gateways_with_equal_pids_take_only_their_own_calls_for_suspects() -> None:
    async with _cluster() as (one, folder), _cluster() as (other, _), host(FakeEngine(), folder / "1"):
        begun = one.next_call(), other.next_call()
        digests = []
        for engine, call, account in zip((one, other), begun, ("one", "other"), strict=True):
            assert engine.suspects is not None
            digests.append(engine.suspects.digest(Speak(job(tenant=account))))
            engine.suspects.note_dispatch(call, digests[-1])
        alone = []
        for engine in (one, other):
            engine.update_host(_state(folder / "1", "restarting", begun=begun, has_crashed=True))
            assert engine.suspects is not None
            alone.append([engine.suspects.runs_alone(Speak(job()), digest) for digest in digests])
        assert alone == [[True, False], [False, True]]
