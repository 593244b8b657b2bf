"""kill -9 of the supervisor: its children see the end of their pipes and leave nothing behind."""

import os
import signal
from pathlib import Path

import httpx2
import pytest

from tests.faults.processes import children, host, is_over, kill, runtime_folder
from tests.faults.streams import stream
from tests.server import Server, running
from tests.waiting import until

pytestmark = pytest.mark.slow


def _kill_supervisor(server: Server) -> None:
    family, run = children(server), runtime_folder(server)
    assert len(family) == 2
    assert list(run.iterdir())
    os.kill(server.process.pid, signal.SIGKILL)
    until(lambda: all(is_over(child) for child in family))
    until(lambda: not run.exists())


def test_a_killed_supervisor_leaves_nothing_and_the_next_start_works(folder: Path) -> None:
    with running(folder) as server:
        with stream(server, "tone/slow") as speech, stream(server, "tone/hang-late") as stuck:
            speech.read(4_800)
            stuck.read(4_800)
            _kill_supervisor(server)
            with pytest.raises(httpx2.TransportError):
                speech.read_all()
            with pytest.raises(httpx2.TransportError):
                stuck.read_all()
    with running(folder) as again:
        assert again.key == server.key
        assert again.speech("We are back.").status_code == 200


def test_nothing_is_left_either_of_hosts_that_were_killed_before_or_are_frozen(folder: Path) -> None:
    """The loop of a frozen one stands still; only the thread that reads the pipe can notice."""
    with running(folder, environ={"VOXGATE_SERVER__FIRST_AUDIO_S": "2"}) as server:
        kill(host(server, "tone"))
        assert server.speech("A second life.").status_code == 200
        assert server.speech("Stop.", voice="tone/freeze").status_code == 503
        _kill_supervisor(server)
