"""A gateway's Watch beside hosts that say too much, nothing, or what no host says."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc

from proxy.config.clusters import ClusterSection
from proxy.engines.cluster import watch
from proxy.engines.cluster.channels import Channels
from proxy.engines.cluster.messages import (
    HostEnded,
    HostHello,
    HostLeaves,
    HostMessage,
    HostTick,
    ProcessLoad,
    method,
)
from proxy.engines.cluster.watch import HostWatch
from speech_engine.host import messages
from speech_engine.host.cluster_messages import HostLoad, ProcessJobs
from speech_engine.host.messages import HOST_API
from speech_engine.host.pipe_messages import HostState
from tests.speech_engine.host.fakes import short_folder
from tests.tables import each_row
from tests.waiting import soon


class SayingAgent(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpcio ships no types
    """Says these messages to each Watch, and then nothing until the other side ends it."""

    def __init__(self, said: Sequence[HostMessage | bytes]) -> None:
        self._said = said

    def service(self, details: Any) -> Any:
        async def say(requests: AsyncIterator[bytes], _call: Any) -> AsyncIterator[bytes]:
            for each in self._said:
                yield each if isinstance(each, bytes) else messages.encode(each)
            async for _ in requests:
                pass

        is_watch = details.method == method("Watch")
        return grpc.stream_stream_rpc_method_handler(say, None, None) if is_watch else None


@asynccontextmanager
async def _watching(
    *said: HostMessage | bytes, on_jobs: Callable[[ProcessJobs], None] = lambda _jobs: None
) -> AsyncIterator[tuple[HostWatch, list[HostState]]]:
    states: list[HostState] = []
    with short_folder() as folder:
        address = f"unix:{Path(folder) / 'agent'}"
        server = grpc.aio.server(options=[("grpc.max_send_message_length", -1)])
        server.add_generic_rpc_handlers((SayingAgent(said),))
        server.add_insecure_port(address)
        await server.start()
        engines, numbers = frozenset({"xtts"}), itertools.count(40)
        watched = HostWatch(
            address, Channels(ClusterSection()), "mch_gateway", engines, numbers, states.append, on_jobs
        )
        task = asyncio.create_task(watched.run())
        try:
            yield watched, states
        finally:
            task.cancel()
            await asyncio.wait([task])
            await server.stop(None)


def _state(name: str = "ready", *, engine: str = "xtts", process: int = 0) -> HostState:
    return HostState(engine, process, 1, name, address="10.0.0.5:7071")


async def test_processes_get_the_gateways_own_numbers() -> None:
    async with _watching(HostHello("mch_1"), _state(), _state(process=7)) as (watched, states):
        await soon(lambda: len(states) == 2)
        assert [(each.process, each.state, each.address) for each in states] == [
            (40, "ready", "10.0.0.5:7071"),
            (41, "ready", "10.0.0.5:7071"),
        ]
        assert states[0].machine == watched.address


async def test_processes_of_a_tick_have_the_gateways_own_numbers() -> None:
    load, heard = HostLoad(jobs=9, slots=8, waiting_s=1.0), list[ProcessJobs]()
    tick = HostTick((ProcessLoad("xtts", 3, load), ProcessLoad("xtts", 4, load)), watches=2)
    async with _watching(HostHello("mch_1"), _state(process=4), tick, on_jobs=heard.append):
        await soon(lambda: bool(heard))
        assert heard == [ProcessJobs("xtts", 40, 9, 2)]


async def test_an_engine_that_the_gateway_does_not_have_is_passed_over() -> None:
    async with _watching(HostHello("mch_1"), _state(engine="rvc"), _state()) as (_, states):
        await soon(lambda: bool(states))
        assert [each.engine for each in states] == ["xtts"]


async def test_a_host_that_leaves_keeps_its_work_and_one_that_ends_is_not_lost() -> None:
    said = HostHello("mch_1"), _state(), HostLeaves(), HostEnded()
    async with _watching(*said) as (watched, states):
        await soon(lambda: len(states) >= 3)
        assert [each.state for each in states[:3]] == ["ready", "leaving", "gone"]
        assert (states[2].lost_at, watched.lost) == (None, 0)


@each_row(
    ("said", "reason"),
    [
        ((HostHello("mch_1", HOST_API + 1),), "its version of the messages is"),
        (
            (HostHello("mch_1"), *(_state(process=number) for number in range(1001))),
            "more than 1000 processes",
        ),
        ((b"what is this?",), "a message that cannot be read"),
        # The second one is how gRPC sees it if the stream ends while it reads.
        ((b"x" * 5_000_000,), "RESOURCE_EXHAUSTED|INTERNAL"),
    ],
)
async def test_nonsense_ends_the_watch(said: Sequence[HostMessage | bytes], reason: str) -> None:
    async with _watching(*said) as (watched, states):
        await soon(lambda: bool(watched.trouble))
        assert re.search(reason, watched.trouble)
        assert {each.state for each in states[-1:]} <= {"gone"}


async def test_a_host_without_ticks_is_lost(monkeypatch: Any) -> None:
    monkeypatch.setattr(watch, "SILENT_S", 1.0)
    async with _watching(HostHello("mch_1"), _state()) as (watched, states):
        await soon(lambda: len(states) >= 2)
        assert [each.state for each in states[:2]] == ["ready", "gone"]
        assert states[1].lost_at is not None
        assert watched.lost == 1


async def test_a_watch_that_is_cancelled_ends_whatever_it_does_at_that_moment() -> None:
    watches = []
    for number in range(300):
        watched = HostWatch(
            "127.0.0.1:1", Channels(ClusterSection()), "mch", frozenset(), itertools.count(), _ignore, _ignore
        )
        task = asyncio.create_task(watched.run())
        for _ in range(number % 60):
            await asyncio.sleep(0)
        task.cancel()
        watches.append(task)
    await soon(lambda: all(task.done() for task in watches))


def _ignore(_news: HostState | ProcessJobs) -> None:
    """Tell nobody."""
