"""A gateway beside hosts that are broken or hostile: each costs its engine alone, and is refused by name.

An agent floods its Watch, and a process its greeting or its answers.
"""

import asyncio
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import httpx2
import msgspec
import psutil
import pytest

from plugins.tone.plugin import ToneSettings
from plugins.tone.worker import ToneEngine
from proxy.hosts import introductions
from proxy.hosts.cluster.messages import TICK_S, HostHello, HostTick, ProcessLoad, method
from proxy.hosts.introductions import StoredIntroduction
from proxy.hosts.links.dialler import Dialler
from proxy.hosts.links.link_messages import AGENT, BeginDialling
from speech_engine import Audio, Context, Finished, Started, Word, Words
from speech_engine.events import ProviderCount
from speech_engine.host import messages
from speech_engine.host.cluster_messages import HostLoad
from speech_engine.host.messages import HOST_API, Failed, HealthReport
from speech_engine.host.pipe_messages import HostState
from tests.faults.cluster_hosts import host_key
from tests.faults.processes import children, state
from tests.server import Server, loop_holds, running
from tests.speech_engine.host.fakes import short_folder
from tests.tables import each_row
from tests.waiting import until

ENDS_S, HEEDED_S, MOST_GROWTH = 10.0, 5.0, 32 * 2**20
_CONFIG = """
[server]
default_model = "near"
drain_s = 1
first_audio_s = 4
[engines.near]
plugin = "tone"
hosted = false
[engines.tone]
cluster = "gpu"
[models]
"near" = ["near/standard"]
[clusters.gpu]
"""
_MACHINE = "mch_" + "1" * 24
_PROCESS = "tone.0.1"
_TONE = messages.hello_of(ToneEngine("tone", ToneSettings(), Context(None)))  # type: ignore[arg-type]
_HELLO = messages.encode(HostHello(_MACHINE))
_TICK = messages.encode(HostTick((ProcessLoad("tone", 0, HostLoad(0, 8, 0.0)),)))
_LOADS = messages.encode(HostTick((ProcessLoad("tone", 0, HostLoad(0, 8, 0.0)),) * 1_000))
_GARBAGE = b"\xc1garbage"
_SECOND = Audio(0, b"\0\0" * 2_400)
"""A tenth of it: the most in an event."""


class Fault(NamedTuple):
    """What a host does: its agent says `watch` after its greeting, and its process `frames` after that."""

    says: str
    """What the gateway says of it, in its log, its list of engines or its answer."""
    greeting: bytes = _HELLO
    watch: Callable[[bytes], Iterator[bytes]] | None = None
    hello: bytes = messages.encode(_TONE)
    frames: Callable[[], Iterator[bytes]] | None = None
    slow: str = ""
    """Which of them, "agent" or "process", sends one byte a second."""
    cut: str = ""
    """Which of them hangs up in the middle of a message."""


def _encoded(*said: Any) -> Callable[..., Iterator[bytes]]:
    return lambda *_: iter([messages.encode(each) for each in said])


def _for_ever(*said: Any) -> Callable[..., Iterator[bytes]]:
    encoded = [each if isinstance(each, bytes) else messages.encode(each) for each in said]
    return lambda *_: itertools.cycle(encoded)


def _bad_state(**fields: Any) -> Callable[..., Iterator[bytes]]:
    return _for_ever(HostState("tone", 0, 1, "ready", **fields))


def _models(count: int) -> bytes:
    models = [
        {"id": f"m{number}", "languages": [{"tag": "*"}], "sample_rate_hz": 24_000} for number in range(count)
    ]
    return messages.encode({**msgspec.to_builtins(_TONE), "models": models})


_LATER = messages.encode({**msgspec.to_builtins(_TONE), "host_api": HOST_API + 1})
_WORDS = Words((Word(0, 0, 1),) * 200_000)
AGENTS = {
    "huge text": Fault(r"length <= 65536 - at `$.reason`", watch=_bad_state(reason="x" * 1_900_000)),
    "huge list": Fault(
        r"length <= 1000 - at `$.loads`",
        watch=_for_ever(HostTick((ProcessLoad("tone", 0, HostLoad(1, 1, 0.0)),) * 30_000)),
    ),
    "many messages": Fault(
        "engine_unavailable",
        watch=lambda ready: itertools.cycle([ready, messages.encode(HostState("tone", 0, 1, "restarting"))]),
    ),
    "endless stream": Fault("engine_unavailable", watch=_for_ever(_LOADS)),
    "one byte a second": Fault("no sign of life", slow="agent"),
    "closed half-way": Fault("cluster.watch.failed", cut="agent", watch=_bad_state(reason="x" * 60_000)),
    "an undecodable message": Fault("what it says of tone cannot be read", watch=_bad_state(hello=_GARBAGE)),
    "a message of a later version": Fault(
        f"its version of the messages is {HOST_API + 1}",
        greeting=messages.encode({"type": "hello", "machine": _MACHINE, "host_api": HOST_API + 1, "new": {}}),
        watch=_for_ever({"type": "a later message", "text": "x"}),
    ),
}
PROCESSES = {
    "huge text": Fault("engine_unavailable", frames=_for_ever(Failed("EngineFailed", "x" * 1_900_000))),
    "huge list": Fault("engine_unavailable", frames=_for_ever(Started(24_000), _WORDS)),
    "many messages": Fault("engine_", frames=_for_ever(ProviderCount(1.0))),
    "endless stream": Fault("", frames=lambda *_: itertools.chain(
        [messages.encode(Started(24_000))], itertools.repeat(messages.encode(_SECOND)))),
    "one byte a second": Fault("engine_unavailable", slow="process"),
    "closed half-way": Fault("engine_", cut="process", frames=_encoded(
        Started(24_000), *[_SECOND] * 50, Finished())),
    "an undecodable message": Fault("engine_unavailable", frames=lambda *_: itertools.repeat(_GARBAGE)),
    "many models": Fault("its host's answer is too long", hello=_models(50_000)),
    "the most models": Fault("", hello=_models(2_000)),
    "a message of a later version": Fault(f"API version is {HOST_API + 1}", hello=_LATER),
}  # fmt: skip


class _Host(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpcio ships no types
    """Says what its fault is. As an agent and as a process, for each has a socket of its own."""

    def __init__(self, fault: Fault) -> None:
        self._fault = fault
        self._ready = messages.encode(HostState("tone", 0, 1, "ready", address=_PROCESS))
        self.said = 0
        self.over = threading.Event()

    def service(self, details: Any) -> Any:
        if details.method == method("Watch"):
            return grpc.stream_stream_rpc_method_handler(self._watch, None, None)
        if details.method == messages.method(messages.RUN):
            return grpc.unary_stream_rpc_method_handler(self._run, None, None)
        is_hello = details.method == messages.method("Hello")
        answer = self._fault.hello if is_hello else messages.encode(HealthReport(8, 0, 0))
        return grpc.unary_unary_rpc_method_handler(lambda _question, _call: answer, None, None)

    def _watch(self, _messages: Any, _call: Any) -> Iterator[bytes]:
        yield self._fault.greeting
        for each in () if self._fault.watch is None else self._fault.watch(self._ready):
            self.said += 1
            yield each
        yield self._ready
        while not self.over.wait(TICK_S):
            yield _TICK

    def _run(self, _begin: bytes, _call: Any) -> Iterator[bytes]:
        yield from () if self._fault.frames is None else self._fault.frames()


@contextmanager
def flooding(fault: Fault) -> Iterator[tuple[_Host, Path]]:
    """A host with a fault, and the folder with the sockets of its agent and its process."""
    host = _Host(fault)
    options = [("grpc.max_send_message_length", -1)]
    with ThreadPoolExecutor(32) as pool, ExitStack() as stack:
        folder = stack.enter_context(short_folder())
        stack.callback(host.over.set)
        for side, name in (("agent", AGENT), ("process", _PROCESS)):
            server = grpc.server(pool, [host], options=options)
            is_behind, at = side in (fault.slow, fault.cut), folder / f"{name}.sock"
            inner = folder / f"{side}.inner" if is_behind else at
            server.add_insecure_port(f"unix:{inner}")
            server.start()
            stack.callback(server.stop, None)
            if is_behind:
                between = socket.socket(socket.AF_UNIX)
                between.bind(str(at))
                between.listen()
                stack.callback(_end, between)
                threading.Thread(target=_between, args=(between, inner, side == fault.slow)).start()
        yield host, folder


@contextmanager
def _dialling(server: Server, folder: Path) -> Iterator[None]:
    """Open links for the host to a gateway, as its dialling process does, in a thread."""
    begin = BeginDialling((server.url,), host_key(server), _MACHINE, "0.2.0", ("tone",), str(folder))
    over = threading.Event()

    async def dial() -> None:
        dialler = Dialler(server.url, begin)
        dialling = asyncio.create_task(dialler.run_dialler())
        await asyncio.to_thread(over.wait)
        dialling.cancel()
        dialler.close_links()

    thread = threading.Thread(target=asyncio.run, args=(dial(),))
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _between(server: socket.socket, there: Path, is_slow: bool) -> None:
    """Pass on all that a client says, and of the answer one byte a second, or the first part."""
    with suppress(OSError):
        while True:
            client, _ = server.accept()
            host = socket.socket(socket.AF_UNIX)
            host.connect(str(there))
            for copy, one, other in ((_copy, client, host), (_drip if is_slow else _part, host, client)):
                threading.Thread(target=copy, args=(one, other), daemon=True).start()


def _copy(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while data := one.recv(65_536):
            other.sendall(data)
    _end(one, other)


def _drip(host: socket.socket, client: socket.socket) -> None:
    with suppress(OSError):
        while data := host.recv(1):
            client.sendall(data)
            time.sleep(TICK_S)
    _end(host, client)


def _part(host: socket.socket, client: socket.socket) -> None:
    """The preface of gRPC, a greeting, and half of what follows."""
    sent = 0
    with suppress(OSError):
        while sent < 3_000 and (data := host.recv(64)):
            client.sendall(data)
            sent += len(data)
    _end(host, client)


def _end(*sockets: socket.socket) -> None:
    for each in sockets:
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()


class _Memory:
    """The most by which the processes of a server have grown, as a thread has seen."""

    def __init__(self, server: Server) -> None:
        found = [psutil.Process(server.process.pid), *children(server)]
        self._before = {each: each.memory_info().rss for each in found}
        self.grown = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def stop(self) -> int:
        self._over.set()
        self._thread.join()
        return self.grown

    def _look(self) -> None:
        while not self._over.wait(0.02):
            for process, before in self._before.items():
                with suppress(psutil.NoSuchProcess):
                    self.grown = max(self.grown, process.memory_info().rss - before)


def _asked(server: Server, model: str) -> str:
    """Ask for speech, and return its status and what came, or that the answer broke off."""
    try:
        with server.client(timeout=ENDS_S) as client:
            body = {
                "model": f"{model}/standard",
                "voice": f"{model}/tone",
                "input": "Hello.",
                "response_format": "pcm",
            }
            answer = client.post("/v1/audio/speech", json=body)
            return f"{answer.status_code} {answer.text if answer.status_code != 200 else ''}"
    except httpx2.RemoteProtocolError:
        return "broken off"


def _judge(folder: Path, fault: Fault, flood_s: float = 4.0) -> None:
    folder.mkdir(exist_ok=True)
    with flooding(fault) as (host, sockets):
        with running(folder, _CONFIG) as server, _dialling(server, sockets):
            until(lambda: state(server, "near")["state"] == "ready")
            if fault.frames is not None:
                until(lambda: state(server, "tone")["state"] == "ready")
            memory, began = _Memory(server), time.monotonic()
            answer = _asked(server, "tone")
            took_s = time.monotonic() - began
            until(lambda: fault.says in _said(server, answer), ENDS_S)
            while time.monotonic() - began < flood_s:
                assert _asked(server, "near").startswith("200")
                _asked(server, "tone")
            page_s = _timed(lambda: httpx2.get(server.metrics, timeout=HEEDED_S).raise_for_status())
            stopped_s = _timed(lambda: (server.process.terminate(), server.process.wait(HEEDED_S)))
            grown, log = memory.stop(), server.log.read_text()
            status = server.process.wait(0.0)
        times = f"answer {took_s:.1f} s, page {page_s:.2f} s, end {stopped_s:.1f} s"
        figures = f"{times}, {grown / 2**20:.1f} MiB, {host.said} said: {answer}"
        print(figures)
        assert took_s < ENDS_S, figures
        assert answer[:3] in ("502", "503", "bro") or not fault.says, figures
        assert page_s < 1.0, figures
        assert grown < MOST_GROWTH, figures
        assert not loop_holds(server.log)
        assert status == 0
        assert "worker.help.failed" not in log
        assert max(map(len, log.splitlines())) < 8_192


def _said(server: Server, answer: str) -> str:
    return f"{answer} {state(server, 'tone')['reason']} {server.log.read_text()}"


def _timed(call: Callable[[], object]) -> float:
    began = time.monotonic()
    call()
    return time.monotonic() - began


def test_a_greeting_that_cannot_be_read_costs_its_engine_alone_now_and_at_the_next_start(
    tmp_path: Path,
) -> None:
    stored = StoredIntroduction("cluster gpu: tone", _GARBAGE, 0.0, "")
    (tmp_path / "data").mkdir(mode=0o700)
    introductions.keep_in(tmp_path / "data", "tone", stored)
    _judge(tmp_path, AGENTS["an undecodable message"], flood_s=0.0)
    assert not (tmp_path / "data" / introductions.FOLDER / "tone").exists()


@pytest.mark.slow
@each_row("name", AGENTS)
def test_an_agent_that_floods_is_refused_by_name_and_nothing_else_is_felt(tmp_path: Path, name: str) -> None:
    _judge(tmp_path, AGENTS[name])


@pytest.mark.slow
@each_row("name", PROCESSES)
def test_a_process_that_floods_fails_its_requests_and_nothing_else_is_felt(tmp_path: Path, name: str) -> None:
    _judge(tmp_path, PROCESSES[name])
