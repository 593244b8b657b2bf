"""Clients of a batched model that stop reading: others go on, memory is bounded, and nothing is lost."""

import http.client
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.faults.batch_plugin import config, environ
from tests.faults.processes import host, state, worker
from tests.faults.stalls import requested
from tests.server import Server, running
from tests.waiting import until

pytestmark = pytest.mark.slow

SLOW_SPEED = 0.25
STALLED = 2
TEXT = ("word " * 820)[:4_096].strip()
"""Four thousand steps with 41 s of sound: at the slow speed nearly three minutes, with 8 MB."""

ANSWER_BYTES = round(len(TEXT) * 0.01 / SLOW_SPEED) * 48_000
OURS = {"model": "toy/m", "voice": "ana", "seed": 5}
MORE = 'slots = 8\nwidth = 1\nstep_s = 0.001\norder = "slack"'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder, plugin = tmp_path_factory.mktemp("server"), tmp_path_factory.mktemp("plugin")
    # Nobody is cut off here: a stalled reader comes back.
    more = {**environ(plugin), "VOXGATE_SERVER__STALL_S": "3600"}
    with running(folder, config(folder, 60.0, MORE), environ=more) as started:
        until(lambda: state(started, "toy")["state"] == "ready")
        yield started


@contextmanager
def _begun(server: Server, text: str, **more: Any) -> Iterator[http.client.HTTPResponse]:
    """An answer of which only its first bytes were read."""
    with requested(server, text, **OURS, **more) as client:
        with http.client.HTTPResponse(client) as response:
            response.begin()
            assert response.status == 200
            yield response


def _spilled(process: psutil.Process) -> int:
    """The bytes in files without a name that a process has open."""
    found = 0
    for link in Path(f"/proc/{process.pid}/fd").iterdir():
        try:
            if "/data/" in os.readlink(link) and os.readlink(link).endswith(" (deleted)"):
                found += link.stat().st_size
        except FileNotFoundError:
            continue  # closed meanwhile
    return found


def _running(server: Server) -> int:
    return int(state(server, "toy")["running"])


def test_a_stalled_reader_yields_its_steps_to_others(server: Server) -> None:
    with _begun(server, TEXT):
        # One row a step: nobody else would be heard before its end, if the first to come went first.
        others = [server.speech(f"This is number {n}.", **OURS) for n in range(3)]
        assert [other.status_code for other in others] == [200] * 3
        assert _running(server) == 1
    until(lambda: _running(server) == 0)


def test_what_stalled_readers_do_not_take_waits_in_files_and_is_whole_when_they_read_again(
    server: Server,
) -> None:
    slow = {"speed": SLOW_SPEED}
    with ExitStack() as stack:
        whole = server.speech(TEXT, response_format="pcm", **OURS, **slow).content
        assert len(whole) > 0.9 * ANSWER_BYTES
        processes = (worker(server), host(server, "toy"))
        before = [process.memory_info().rss for process in processes]
        answers = [stack.enter_context(_begun(server, TEXT, **slow)) for _ in range(STALLED)]
        # The model's rows are free, though nobody reads; what was made lies on the disk.
        until(lambda: _running(server) == 0, 120.0)
        until(lambda: _spilled(processes[0]) > STALLED * (len(whole) - 2_000_000), 120.0)
        grown = [process.memory_info().rss - was for process, was in zip(processes, before, strict=True)]
        assert max(grown) < STALLED * len(whole) / 2, grown
        with ThreadPoolExecutor(STALLED) as reading:
            # Of digests: a comparison of megabytes would be shown for an hour.
            assert list(reading.map(_digest_of_all, answers)) == [sha256(whole).digest()] * STALLED
        until(lambda: _spilled(processes[0]) == 0)


def _digest_of_all(response: http.client.HTTPResponse) -> bytes:
    return sha256(response.read()).digest()
