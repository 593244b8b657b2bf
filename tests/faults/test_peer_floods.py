"""Every peer that the server calls floods it: each call ends soon, in a named error, and costs little."""

import os
import re
import select
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from pathlib import Path

import httpx2
import msgspec
import pytest

from tests import forked
from tests.faults.peer_floods import FAULTS, flooding
from tests.faults.peer_program import PeerReport
from tests.faults.peer_protocols import PEERS
from tests.faults.processes import worker
from tests.server import STOP_S, Server, loop_holds, running
from tests.waiting import until

MOST_S = 15.0
"""The first audio is waited for 9 s, and a busy machine adds to it."""
MOST_GROWTH = 32 * 1024 * 1024
_LIMIT_S = 60.0
_SLOW = "one_byte_a_second"
ERRORS = {
    "bucket": "VaultAway: ",
    "elevenlabs": "EngineFailed: |EngineTimeout: |The provider|ElevenLabs",
    "forward proxy": "EngineUnavailable: |EngineTimeout: ",
    "hub": "FetchFailed: ",
    "mail": r"SendOutcome\(result='again'",
    "mercadopago": "ProviderFailed: |_TimedOut: ",
    "minimax": "EngineFailed: |EngineTimeout: ",
    "openai": "EngineFailed: |EngineTimeout: |The provider",
    "realtime": "EngineFailed: |EngineTimeout: |SessionEnded: ",
    "redis": "LimitsUnavailable: ",
    "runpod": "EngineFailed: |EngineTimeout: |UnsupportedRequest: ",
    "stripe": "ProviderFailed: |_TimedOut: ",
    "webhook": r"TryOutcome\(status=\w+, reason='[^']",
}
"""How the failures of each peer are named."""
HARMLESS = {
    ("openai lists", "later_version"): "refreshed",
    ("bucket list", "later_version"): "listed 0",
    ("webhook", "packed"): r"TryOutcome\(status=200",
}
"""Answers that are none, or as good as any: a list without models, one without objects, and a status."""
QUICK = {
    "bucket refuses": "huge_text",
    "elevenlabs speech": "large_list",
    "elevenlabs transcripts": "huge_text",
    "forward proxy": "endless_stream",
    "hub": "closed_half_way",
    "mail": "huge_list",
    "mercadopago": "later_version",
    "minimax whole": "huge_list",
    "openai lists": "large_list",
    "openai transcripts": "large_list",
    "realtime": "undecodable",
    "redis": "huge_list",
    "runpod": "large_list",
    "stripe": "undecodable",
    "webhook": "many_messages",
}
"""A row of each peer, for every run."""


def reports(rows: Sequence[tuple[str, str]], how: str = "apart") -> Iterator[tuple[str, PeerReport]]:
    """Call the peers of some rows from one process, and yield the faults with what became of them."""
    with ExitStack() as stack:
        floods = [stack.enter_context(flooding(peer, fault)) for peer, fault in rows]
        words = [f"{peer}=127.0.0.1:{flood.port}" for (peer, _), flood in zip(rows, floods, strict=True)]
        process = forked.program("tests.faults.peer_program", how, *words)
        stack.callback(process.end)
        said, until = b"", time.monotonic() + _LIMIT_S * (1 + len(rows) / 10)
        while select.select([process.stdout], [], [], max(0.0, until - time.monotonic()))[0]:
            if not (part := os.read(process.stdout.fileno(), 1 << 16)):
                break
            said += part
    lines = [line for line in said.splitlines() if line.startswith(b'{"peer"')]
    assert len(lines) == len(rows), said[-4000:].decode(errors="replace")
    fault_of = dict(rows) if how == "together" else {}
    for (_, fault), line in zip(rows, lines, strict=True):
        report = msgspec.json.decode(line, type=PeerReport)
        yield fault_of.get(report.peer, fault), report


def faults_in(fault: str, report: PeerReport, *, is_alone: bool = True) -> list[str]:
    """Return what is wrong with a row."""
    named = next(error for peer, error in ERRORS.items() if report.peer.startswith(peer))
    wrong = []
    if not re.match(HARMLESS.get((report.peer, fault), named), report.error):
        wrong.append("its error is not named")
    if report.seconds > MOST_S:
        wrong.append("it took too long")
    if is_alone and report.growth > MOST_GROWTH:
        wrong.append("it took too much memory")
    if report.holds:
        wrong.append("it held the loop")
    return [f"{report.peer}, {fault}: {', '.join(wrong)}: {report}"] if wrong else []


def test_a_peer_that_floods_the_server_costs_little_and_is_named() -> None:
    rows = [*QUICK.items()]
    assert [wrong for fault, report in reports(rows) for wrong in faults_in(fault, report)] == []
    assert {next(name for name in ERRORS if peer.startswith(name)) for peer in QUICK} == {*ERRORS}


@pytest.mark.slow
@pytest.mark.parametrize("peer", PEERS)
def test_every_flood_of_a_peer_costs_little_and_is_named(peer: str) -> None:
    rows = [(peer, fault) for fault in FAULTS if fault != _SLOW]
    assert [wrong for fault, report in reports(rows) for wrong in faults_in(fault, report)] == []


@pytest.mark.slow
@pytest.mark.clock
def test_a_peer_that_sends_one_byte_a_second_is_given_up_within_ten_seconds() -> None:
    rows = [(peer, _SLOW) for peer in PEERS]
    found = [*reports(rows, "together")]
    assert [wrong for fault, each in found for wrong in faults_in(fault, each, is_alone=False)] == []
    assert sum(each.growth for _, each in found) / len(found) <= MOST_GROWTH


_SERVER = """
[server]
drain_s = 1
first_audio_s = 9
default_model = "events/m"
[engines.events]
plugin = "openai"
base_url = "http://127.0.0.1:{events}"
models = ["m"]
voices = ["v"]
stream = "sse"
[engines.minimax]
api_key = "env:A_KEY"
base_url = "http://127.0.0.1:{minimax}"
[engines.elevenlabs]
api_key = "env:A_KEY"
base_url = "http://127.0.0.1:{elevenlabs}"
word_times = true
[engines.realtime]
plugin = "openai.realtime"
api_key = "env:A_KEY"
base_url = "http://127.0.0.1:{realtime}"
[voices.ada]
events = "v"
minimax = "v"
elevenlabs = "fakeVoice01"
realtime = "marin"
"""
_MODELS = {
    "events": "m",
    "minimax": "speech-2.8-hd",
    "elevenlabs": "eleven_multilingual_v2",
    "realtime": "gpt-realtime-2.1-mini",
}
_SPEECH = {
    "events": "openai events",
    "minimax": "minimax speech",
    "elevenlabs": "elevenlabs speech",
    "realtime": "realtime",
}
STOPS_S = 5.0


def _speech(server: Server, engine: str) -> tuple[int, float]:
    began = time.monotonic()
    body = {"model": f"{engine}/{_MODELS[engine]}", "voice": "ada", "input": "Hello."}
    with server.client(timeout=30) as client:
        try:
            status = client.post("/v1/audio/speech", json=body).status_code
        except httpx2.TransportError:
            status = 0
    return status, time.monotonic() - began


def _peak(server: Server) -> int:
    """The most bytes that the worker has had since the last call."""
    process = Path(f"/proc/{worker(server).pid}")
    peak = int((process / "status").read_text().partition("VmHWM:")[2].split()[0]) * 1024
    (process / "clear_refs").write_text("5")
    return peak


@pytest.mark.slow
@pytest.mark.clock
@pytest.mark.parametrize("fault", ["endless_stream", "many_messages", "one_byte_a_second"])
def test_a_server_whose_providers_all_flood_it_answers_and_stops(tmp_path: Path, fault: str) -> None:
    with ExitStack() as stack:
        floods = {name: stack.enter_context(flooding(peer, fault)) for name, peer in _SPEECH.items()}
        ports = {name: flood.port for name, flood in floods.items()}
        environ = {"A_KEY": "k"}
        server = stack.enter_context(running(tmp_path, _SERVER.format(**ports), environ=environ))
        asking = stack.enter_context(ThreadPoolExecutor(8))
        before = _peak(server)
        asked = {name: asking.submit(_speech, server, name) for name in _SPEECH}
        with server.client() as client:
            while not all(each.done() for each in asked.values()):
                assert client.get("/healthz").is_success  # how soon: by what held the loop, below
                wait(asked.values(), timeout=0.2)
        for name, each in asked.items():
            status, seconds = each.result()
            assert status in (502, 503, 504), (name, status)
            assert seconds <= MOST_S, name
        assert _peak(server) - before <= MOST_GROWTH * len(_SPEECH)
        last = [asking.submit(_speech, server, name) for name in _SPEECH]
        clients = {name: flood.clients for name, flood in floods.items()}
        until(lambda: any(flood.clients > clients[name] for name, flood in floods.items()))
        began = time.monotonic()
        server.process.terminate()
        assert server.process.wait(STOP_S) == 0
        assert time.monotonic() - began <= STOPS_S
        assert all(each.result() for each in last)
        assert loop_holds(server.log) == []
        assert max(map(len, server.log.read_bytes().splitlines())) < 16 * 1024
