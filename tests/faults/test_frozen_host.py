"""A host that is stopped in the middle of its work: one kill, a new life, nobody else touched."""

import json
import os
import signal
import threading
from contextlib import ExitStack

import httpx2
import pytest

from tests.faults.processes import AGAIN_S, host, state
from tests.faults.streams import stream
from tests.server import ALONE, Server, live_server
from tests.waiting import until

pytestmark = pytest.mark.slow

STREAMS = 16
_CONFIG = (
    ALONE.replace("[engines.tone]", "[engines.tone]\nslots = 16\ntick_s = 2")
    + """
[engines.other]
plugin = "tone"
[engines.late]
plugin = "tone"
tick_s = 2
delay_s = 3
"""
)

server = live_server(_CONFIG)


def _kills(server: Server) -> list[dict[str, str]]:
    lines = [
        json.loads(line) for line in server.log.read_text().splitlines() if '"host.kill.started"' in line
    ]
    return [line for line in lines if line["event"] == "host.kill.started"]


def test_a_host_with_nothing_to_do_is_left_alone(server: Server) -> None:
    idle = host(server, "tone")
    os.kill(idle.pid, signal.SIGSTOP)
    # Another engine works for more than twice the limit meanwhile.
    with stream(server, "other/slow", model="other/standard") as speech:
        speech.read(240_000)
    os.kill(idle.pid, signal.SIGCONT)
    assert server.speech("Hello.").status_code == 200
    assert _kills(server) == []
    assert host(server, "tone").pid == idle.pid


def test_slow_work_that_ticks_is_not_frozen(server: Server) -> None:
    late = server.speech("Late, but well.", model="late/standard", voice="late/tone")
    assert late.status_code == 200, late.text
    assert _kills(server) == []


def test_a_frozen_host_under_many_streams_is_killed_once(server: Server) -> None:
    with ExitStack() as stack:
        frozen = host(server, "tone")
        other = stack.enter_context(stream(server, "other/slow", model="other/standard"))
        streams = [stack.enter_context(stream(server, "tone/slow")) for _ in range(STREAMS)]
        for each in streams:
            each.read(4_800)
        assert int(state(server, "tone")["running"]) == STREAMS

        os.kill(frozen.pid, signal.SIGSTOP)
        broken: list[int] = []

        def read(number: int) -> None:
            with pytest.raises(httpx2.TransportError):
                streams[number].read_all()
            broken.append(number)

        readers = [threading.Thread(target=read, args=(number,)) for number in range(STREAMS)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(AGAIN_S + 15.0)
        assert sorted(broken) == list(range(STREAMS))

        until(lambda: state(server, "tone")["state"] == "ready")
        assert int(state(server, "tone")["running"]) == 0
        assert [kill["child"] for kill in _kills(server)] == ["tone.0"]
        heard = other.heard
        other.read(48_000)
        assert other.heard > heard
        assert server.speech("Hello again.").status_code == 200
