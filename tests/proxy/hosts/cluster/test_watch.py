"""A gateway's Watch beside hosts that say too much, nothing, or what no host says."""

import asyncio
import itertools
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from msgspec.structs import replace

from proxy.hosts.cluster import watch
from proxy.hosts.cluster.links_child import LinkChannels
from proxy.hosts.cluster.messages import (
    HostEnded,
    HostHello,
    HostLeaves,
    HostMessage,
    HostTick,
    ProcessLoad,
    SwitchReply,
    method,
)
from proxy.hosts.cluster.watch import HostWatch
from speech_engine import API_VERSION
from speech_engine.host import messages
from speech_engine.host.cluster_messages import HostLoad, ProcessJobs
from speech_engine.host.messages import HOST_API
from speech_engine.host.pipe_messages import HostState
from tests.proxy.hosts.cluster.joined import NOBODY, JoinedLinks, answering
from tests.speech_engine.host.fakes import short_folder
from tests.speech_engine.host.simulated_time import simulated
from tests.tables import each_row
from tests.waiting import soon

_DEEP = b"\x82\xa4type\xa4tick\xa1x" + b"\x91" * 100_000
_TINY = {"id": "a", "languages": (), "sample_rate_hz": 24_000}
_LOAD = ProcessLoad("xtts", 0, HostLoad(1, 1, 0.0))


def encoded_hello(models: int = 1, host_api: int = HOST_API) -> bytes:
    said = {"api_version": API_VERSION, "slots": 1, "models": [_TINY] * models, "voices": ()}
    return messages.encode({**said, "host_api": host_api})


class SayingAgent(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpcio ships no types
    """Says these messages to each Watch, and then nothing until the other side ends it. Refuses to unload."""

    def __init__(self, said: Sequence[HostMessage | bytes]) -> None:
        self._said = said

    def service(self, details: Any) -> Any:
        async def say(requests: AsyncIterator[bytes], _call: Any) -> AsyncIterator[bytes]:
            for each in self._said:
                yield each if isinstance(each, bytes) else messages.encode(each)
            async for _ in requests:
                pass

        async def switch(question: bytes, _call: Any) -> bytes:
            return messages.encode(SwitchReply("not now" if b"unload" in question else ""))

        if details.method == method("Switch"):
            return grpc.unary_unary_rpc_method_handler(switch, None, None)
        return grpc.stream_stream_rpc_method_handler(say, None, None)


@asynccontextmanager
async def _watching(
    *said: HostMessage | bytes,
    on_jobs: Callable[[ProcessJobs], None] = lambda _jobs: None,
    live: Sequence[HostMessage | bytes] = (),
    paths: Mapping[str, str] | None = None,
) -> AsyncIterator[tuple[HostWatch, list[HostState]]]:
    """Watches a host that says this."""
    states: list[HostState] = []
    engines, numbers = frozenset({"xtts"}), itertools.count(40)
    async with answering(SayingAgent(live or said)) as (path,):
        channels = LinkChannels(JoinedLinks(**(paths or {"mch_1": path})))
        watched = HostWatch("mch_1", channels, "mch_gateway", engines, numbers, states.append, on_jobs)
        task = asyncio.create_task(watched.run())
        try:
            yield watched, states
        finally:
            task.cancel()
            await asyncio.wait([task])


def _state(
    name: str = "ready", *, engine: str = "xtts", process: int = 0, at: str = "xtts.0.1", **more: Any
) -> HostState:
    return HostState(engine, process, 1, name, address=at, **more)


async def test_processes_get_the_gateways_own_numbers() -> None:
    said = HostHello("mch_1"), _state(), _state(process=7, at="xtts.7.1")
    async with _watching(*said) as (watched, states):
        await soon(lambda: len(states) == 2)
        assert [(each.process, each.state) for each in states] == [(40, "ready"), (41, "ready")]
        assert {Path(each.address).parent for each in states} == {Path("/links")}
        assert states[0].address != states[1].address
        assert states[0].machine == watched.address


async def test_processes_of_a_tick_have_the_gateways_own_numbers() -> None:
    load, heard = HostLoad(jobs=9, slots=8, waiting_s=1.0), list[ProcessJobs]()
    tick = HostTick((ProcessLoad("xtts", 3, load), ProcessLoad("xtts", 4, load)), watches=2)
    async with _watching(HostHello("mch_1"), _state(process=4), tick, on_jobs=heard.append):
        await soon(lambda: bool(heard))
        assert heard == [ProcessJobs("xtts", 40, 9, 2)]


@each_row(
    "name", ["../xtts.0.1", "xtts", "xtts.0", "xtts.0.1/a", "XTTS.0.1", "xtts.0.1\n", "x" * 65 + ".0.1"]
)
async def test_a_name_that_is_none_of_a_process_is_refused(name: str) -> None:
    async with _watching(HostHello("mch_1"), _state(at=name)) as (_, states):
        await soon(lambda: bool(states))
        assert (states[0].state, states[0].address) == ("failed", "")
        assert "is no name of a process" in states[0].reason


async def test_what_a_host_says_of_another_clock_and_at_length_goes_no_further() -> None:
    said = _state(reason="x" * 60_000, lost_at=1e300)
    async with _watching(HostHello("mch_1"), said) as (watched, states):
        await soon(lambda: bool(states))
        assert (len(states[0].reason), states[0].lost_at) == (1024, None)
        assert not any(each.hello or each.begun for each in watched.states.values())


async def test_a_host_that_sends_too_much_is_read_slowly() -> None:
    many = [_state("restarting", at=""), _state("starting", at="")] * 1_000
    async with _watching(HostHello("mch_1"), *many) as (watched, states):
        await soon(lambda: len(states) >= 3)
        began = time.monotonic()
        await soon(lambda: len(states) >= 13)
        assert time.monotonic() - began > 0.4
        assert not watched.trouble


def test_after_its_first_messages_a_host_is_read_at_20_a_second_and_for_a_minute() -> None:
    pace, now = watch.ReadPace(0.0), 0.0
    for _ in range(200):
        pace.wait_s(0, now)
    assert now == 0.0
    for _ in range(1200):
        now += pace.wait_s(1, now)
    assert now == pytest.approx(60.0)
    now += pace.wait_s(1, now)
    with pytest.raises(watch._Nonsense, match="more than 20 messages a second for 60 s"):
        pace.wait_s(1, now)


def test_a_host_that_pauses_may_go_on_for_ever() -> None:
    pace, now = watch.ReadPace(0.0), 0.0
    for _ in range(10_000):
        now += pace.wait_s(1, now) + 0.06
    assert now > 600.0


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
            (HostHello("mch_1"), *(_state(process=number) for number in range(65))),
            "more than 64 processes",
        ),
        ((_state(),), "it must greet once, and first"),
        ((HostHello("mch_1"), HostHello("mch_1")), "it must greet once, and first"),
        ((HostHello("mch_2"),), "it greets as another host"),
        ((HostHello("mch_1"), b"what is this?"), "its message cannot be read"),
        ((HostHello("mch_1"), _DEEP), "its message cannot be read"),
        ((HostHello("mch_1"), _state(reason="x" * 65_537)), r"length <= 65536 - at `\$.reason`"),
        ((HostHello("mch_1"), HostTick((_LOAD,) * 1001)), r"length <= 1000 - at `\$.loads`"),
        ((HostHello("mch_1"), _state(hello=b"\xc1garbage")), "what it says of xtts cannot be read"),
        ((HostHello("mch_1"), _state(hello=b"x" * 1_048_577)), "it has 1048577 bytes"),
        (
            (HostHello("mch_1"), _state(hello=encoded_hello(2001))),
            r"length <= 2000 - at `\$.models`",
        ),
        (
            (HostHello("mch_1"), _state(hello=encoded_hello(host_api=HOST_API + 1))),
            "its version of the messages is",
        ),
        # The second one is how gRPC sees it if the stream ends while it reads.
        ((b"x" * 5_000_000,), "RESOURCE_EXHAUSTED|INTERNAL"),
    ],
)
async def test_nonsense_ends_the_watch_and_the_engine_says_so(
    said: Sequence[HostMessage | bytes], reason: str
) -> None:
    async with _watching(*said) as (watched, states):
        await soon(lambda: bool(watched.trouble))
        assert re.search(reason, watched.trouble)
        if "INTERNAL" in watched.trouble:
            return
        refused = states[-1]
        assert (refused.state, refused.machine) == ("failed", watched.address)
        assert refused.reason == f"{watched.address} is refused: {watched.trouble}"
        assert {each.state for each in states[:-1] if each.reason == refused.reason} <= {"gone"}
        assert len(watched.trouble) < 1_200
        assert watched.lost == 0
    assert states[-1] == replace(refused, state="gone", reason="")


async def test_why_a_host_cannot_be_watched_is_told_in_words() -> None:
    with short_folder() as folder:
        server = await asyncio.start_unix_server(lambda _reader, writer: writer.close(), folder / "a.sock")
        async with server, _watching(paths={"mch_1": str(folder / "a.sock")}) as (watched, _):
            await soon(lambda: bool(watched.trouble))
            assert watched.trouble == "UNAVAILABLE: no link of the host took the connection"


@pytest.mark.clock
async def test_a_host_that_is_refused_is_looked_at_again_and_taken_when_it_is_mended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watch, "REFUSED_AGAIN_S", 0.01)
    said: list[HostMessage | bytes] = [HostHello("mch_1", HOST_API + 1)]
    async with _watching(live=said) as (watched, states):
        await soon(lambda: bool(watched.trouble))
        said[:] = [HostHello("mch_1"), _state("starting", at=""), HostTick()]
        await soon(lambda: len(states) == 3)
        assert [each.state for each in states] == ["failed", "starting", "gone"]
        assert (states[2].process, watched.trouble) == (states[0].process, "")


class _Far(LinkChannels):
    """Channels to a host without sockets, which says the next of these messages to each Watch."""

    def __init__(self, *said: Sequence[HostMessage]) -> None:
        super().__init__(JoinedLinks())
        self.began: list[float] = []
        self.heard: list[tuple[float, str]] = []
        self._said = iter(said)

    @asynccontextmanager
    async def open(self, _address: str, _options: object = ()) -> "AsyncIterator[_Far]":
        self.began.append(time.monotonic())
        self._left = iter(next(self._said, ()))
        yield self

    def stream_stream(self, *_how: object) -> "Callable[[], _Far]":
        return lambda: self

    async def write(self, message: object) -> None:
        self.heard.append((time.monotonic(), type(message).__name__))

    async def read(self) -> bytes:
        if (message := next(self._left, None)) is None:
            await asyncio.Event().wait()
        return messages.encode(message)

    def cancel(self) -> None:
        """Nothing is under way."""


async def _watched_for(seconds: float, far: _Far) -> tuple[HostWatch, list[HostState]]:
    states: list[HostState] = []
    engines, numbers = frozenset({"xtts"}), itertools.count(40)
    watched = HostWatch("mch_1", far, "mch_gateway", engines, numbers, states.append, _ignore)
    task = asyncio.create_task(watched.run())
    await asyncio.sleep(seconds)
    task.cancel()
    await asyncio.wait([task])
    return watched, states


@simulated
async def test_both_sides_give_signs_of_life_and_a_silent_host_is_lost() -> None:
    far, began = _Far([HostHello("mch_1"), _state()]), time.monotonic()
    watched, states = await _watched_for(4.0, far)
    ticks = [(number, "GatewayTick") for number in (1, 2, 3)]
    assert [(round(at - began), what) for at, what in far.heard] == [(0, "GatewayHello"), *ticks]
    assert [each.state for each in states] == ["ready", "gone"]
    assert states[1].lost_at is not None
    assert 3.2 <= states[1].lost_at - began < 3.4
    assert watched.lost == 1


@simulated
async def test_a_host_that_ended_is_looked_for_after_a_second_and_a_refused_one_after_ten() -> None:
    ready, began = _state(), time.monotonic()
    far = _Far(
        [HostHello("mch_1"), ready, HostLeaves(), HostEnded()],
        [HostHello("mch_1", HOST_API + 1)],
        [HostHello("mch_1", HOST_API - 1), ready],
    )
    _, states = await _watched_for(12.0, far)
    assert [round(each - began) for each in far.began] == [0, 1, 11]
    assert [each.state for each in states[:4]] == ["ready", "leaving", "gone", "failed"]
    assert [each.state for each in states[4:] if each.address] == ["ready"], "it is of the version before"


@simulated
async def test_a_new_description_costs_a_second_so_that_a_host_cannot_tell_it_all_the_time() -> None:
    described = [_state(hello=encoded_hello(models)) for models in (1, 1, 2, 3, 4, 5)]
    watched, states = await _watched_for(2.5, _Far([HostHello("mch_1"), *described]))
    assert [each.state for each in states] == ["ready"] * 5 + ["gone"]
    assert watched.lost == 0, "the gateway has ended, and not the host"


async def test_a_watch_that_is_cancelled_ends_whatever_it_does_at_that_moment() -> None:
    watches = []
    for number in range(300):
        watched = HostWatch(
            "mch_1",
            LinkChannels(JoinedLinks(mch_1=NOBODY)),
            "mch",
            frozenset(),
            itertools.count(),
            _ignore,
            _ignore,
        )
        task = asyncio.create_task(watched.run())
        for _ in range(number % 60):
            await asyncio.sleep(0)
        task.cancel()
        watches.append(task)
    await soon(lambda: all(task.done() for task in watches))


def _ignore(_news: HostState | ProcessJobs) -> None:
    """Tell nobody."""
