"""A host that is stopped in the middle of its work: one kill, a new life, nobody else touched."""

from __future__ import annotations

import json
import os
import signal
import threading
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest

from tests.faults.processes import AGAIN_S, host, state, until
from tests.faults.streams import stream
from tests.server import TONE, Server, running

STREAMS = 16
_CONFIG = TONE.replace("[engines.tone]", "[engines.tone]\nslots = 16\n[engines.other]\nplugin = 'tone'")


def _kills(server: Server) -> list[dict[str, str]]:
    lines = [
        json.loads(line) for line in server.log.read_text().splitlines() if '"host.kill.started"' in line
    ]
    return [line for line in lines if line["event"] == "host.kill.started"]


def test_a_frozen_host_under_many_streams_is_killed_once(folder: Path) -> None:
    with running(folder, _CONFIG) as server, ExitStack() as stack:
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


def test_a_host_with_nothing_to_do_is_left_alone(folder: Path) -> None:
    config = TONE.replace("[engines.tone]", "[engines.tone]\ntick_s = 1\n[engines.other]\nplugin = 'tone'")
    with running(folder, config) as server:
        idle = host(server, "tone")
        os.kill(idle.pid, signal.SIGSTOP)
        # Another engine works for more than twice the limit meanwhile.
        with stream(server, "other/slow", model="other/standard") as speech:
            speech.read(120_000)
        os.kill(idle.pid, signal.SIGCONT)
        assert server.speech("Hello.").status_code == 200
        assert _kills(server) == []
        assert host(server, "tone").pid == idle.pid


def test_slow_work_that_ticks_is_not_frozen(folder: Path) -> None:
    config = TONE.replace("[engines.tone]", "[engines.tone]\ntick_s = 1\ndelay_s = 3")
    with running(folder, config) as server:
        assert server.speech("Late, but well.").status_code == 200
        assert _kills(server) == []
