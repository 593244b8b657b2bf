"""What LiveKit Agents, Pipecat and ElevenLabs' library do at a server that leaves, and when sound stalls."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus

from fakes.faults import ScriptedFault
from tests.clients.runs import Program
from tests.clients.servers import seconds
from tests.clients.test_agents import (
    SENTENCES,
    WORDS,
    heard_s,
    livekit,
    logged,
    pipecat,
    programs,
    realtime,
    said,
    see,
    server,
)
from tests.faults.clouds import ENVIRON, clouds
from tests.faults.cluster_kills import Gateway
from tests.features.cluster.gateways import answers
from tests.server import ALONE, Server, running
from tests.waiting import until

__all__ = ["livekit", "pipecat", "programs", "server"]
pytestmark = [
    pytest.mark.soak,
    # ElevenLabs' library reads `code` of a closed socket.
    pytest.mark.filterwarnings("ignore:ConnectionClosed.code is deprecated:DeprecationWarning"),
]

STALL_S = 4.2
"""Pipecat waits for 3 s, and LiveKit for 10."""


@contextmanager
def _leaving(folder: Path) -> Iterator[Gateway]:
    """A server that serves on for a minute after SIGTERM, and takes no more sockets."""
    gateway = Gateway(folder / "leaving", ALONE, {"VOXGATE_SERVER__DRAIN_LAG_S": "60"})
    try:
        gateway.server.process.send_signal(signal.SIGTERM)
        until(lambda: not answers(gateway.server.url))
        yield gateway
    finally:
        gateway.stop()


def _come_back(gateway: Gateway) -> Server:
    gateway.stop()
    gateway.start()
    return gateway.server


def test_livekit_tries_again_at_a_server_that_leaves(livekit: Program, tmp_path: Path) -> None:
    with _leaving(tmp_path) as gateway:
        seen = see(livekit, "is_patient", gateway.server.url, gateway.server.key)
        assert (seen["error"]["class"], seen["error"]["status"], seen["failures"]) == (
            "APIStatusError",
            503,
            4,
        )
        assert seen["pcm"] == ""
        back = _come_back(gateway)
        again = see(livekit, "is_patient", back.url, back.key)
    assert (said(again), again["failures"]) == (SENTENCES, 0)


def test_pipecat_loses_a_turn_at_a_server_that_leaves(pipecat: Program, tmp_path: Path) -> None:
    with _leaving(tmp_path) as gateway:
        before = logged(gateway.server, '"status":503')
        pipecat.begin("speaks_twice", gateway.server.url, gateway.server.mint_key().secret)
        # It dials before there is text, and again with each sentence of a turn.
        until(lambda: logged(gateway.server, '"status":503') > before + len(SENTENCES))
        _come_back(gateway)
        seen = pipecat.end()
    assert seen["first"]["pcm"] == ""
    assert said(seen["next"]) == SENTENCES
    assert seen["is_usable"]
    assert "503" in seen["errors"][0]


def test_the_library_is_told_of_a_server_that_leaves(tmp_path: Path) -> None:
    with _leaving(tmp_path) as gateway, pytest.raises(InvalidStatus) as caught:
        realtime(gateway.server, gateway.server.key, iter(WORDS))
    answer = caught.value.response
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


@pytest.fixture
def stalling(tmp_path: Path) -> Iterator[Server]:
    with clouds() as fakes:
        engine = fakes.engine("stalling", "openai")
        default, voice = 'default_model = "stalling/gpt-4o-mini-tts"', 'stalling = "alloy"'
        config = f"[server]\n{default}\n{engine}[voices.ada]\n{voice}\n"
        with running(tmp_path, config, environ=ENVIRON) as server:
            # Each part of the answer is less than a tenth of a second of sound.
            fault = ScriptedFault(name="slow", piece_bytes=100_000, pause_s=STALL_S)
            fakes.fail("stalling", "openai", [fault])
            yield server


def test_livekit_waits_when_sound_stalls(livekit: Program, stalling: Server) -> None:
    seen = see(livekit, "stalls", stalling.url, stalling.key)
    assert (said(seen), seen["error"], seen["failures"]) == (("Hi.",), None, 0)


def test_pipecat_drops_a_turn_whose_sound_stalls(pipecat: Program, stalling: Server) -> None:
    seen = see(pipecat, "stalls", stalling.url, stalling.key)
    assert 0 < heard_s(seen["turn"]) < seconds("Hi.") / 2
    # Nothing of what comes later, and not the end either.
    assert (seen["later_s"], seen["turn"]["stops"]) == (heard_s(seen["turn"]), 0)
    # It takes them as said.
    assert seen["turn"]["words"] == ["Hi."]
    assert (seen["errors"], seen["is_usable"]) == ([], True)
