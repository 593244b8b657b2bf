"""A batched model in a host: its loading as an operator sees it, its figures, and its death under load."""

import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest

from tests.faults.batch_plugin import config, environ
from tests.faults.processes import host, kill, state
from tests.faults.streams import stream
from tests.server import Server, running
from tests.sound import decoded
from tests.waiting import until

pytestmark = pytest.mark.slow

RUNNING = 16
WAITING = 32
LONG = "word " * 600
"""Three thousand steps, with 32 s of sound."""

SLOW = f'slots = {RUNNING}\nstep_s = 0.02\norder = "fifo"'
"""A long text takes a minute: it is still spoken when a busy machine has at last asked for all others. Not by
slack, whose gate may send one of the listeners elsewhere, and lets nobody wait in vain."""

WAIT_S = 600.0
"""The toy's sound is shorter than what is reckoned for so long a text: a job behind them is expected to wait
for minutes."""

WITHIN_S = 120.0
"""For a machine with much else to do: forty-eight requests, and several lives of a host."""


@pytest.fixture
def found(folder: Path) -> dict[str, str]:
    plugin = folder / "plugin"
    plugin.mkdir()
    return environ(plugin)


def _load(server: Server) -> tuple[int, int]:
    found = state(server, "toy")
    return int(found["running"]), int(found["waiting"])


def _readiness(server: Server) -> list[str]:
    degraded = httpx2.get(f"{server.url}/readyz").json()["degraded"]
    return [each["reason"] for each in degraded if each.get("engine") == "toy"]


def test_a_host_that_loads_says_how_far_it_is_and_what_its_steps_are(
    folder: Path, found: dict[str, str]
) -> None:
    (folder / "hold").touch()
    with running(folder, config(folder, more="width = 8"), environ=found) as server:
        until(lambda: state(server, "toy").get("loaded") == 0.4, WITHIN_S)
        assert state(server, "toy")["state"] == "starting"
        assert state(server, "toy")["reason"] == "reading the weights"
        assert _readiness(server) == ["starting, 40% loaded: see voxgate engines"]
        (folder / "hold").unlink()
        until(lambda: state(server, "toy")["state"] == "ready", WITHIN_S)
        assert state(server, "toy").get("loaded") is None
        assert not _readiness(server)
        _expect_the_figures_of_a_batch(server)
        _expect_a_step_that_fails_to_end_the_host_with_its_reason(server)


def _expect_the_figures_of_a_batch(server: Server) -> None:
    """They are on the metrics page and with the engines."""
    assert server.speech("Sixteen letters.", model="toy/m", voice="ana").status_code == 200
    assert state(server, "toy")["figures"]["steps"] >= 16

    def steps() -> float:
        found = re.search(
            r'^voxgate_batch_steps_total\{engine="toy",process="0"\} (\S+)$',
            httpx2.get(server.metrics).text,
            re.M,
        )
        return float(found[1]) if found else 0.0

    until(lambda: steps() >= 16, WITHIN_S)
    assert state(server, "toy")["figures"]["step_width_limit"] == 8


def _expect_a_step_that_fails_to_end_the_host_with_its_reason(server: Server) -> None:
    """Its text is known then."""
    died = server.speech("step! by step", model="toy/m", voice="ana")
    if died.status_code == 503:
        # On a busy machine, the next life may come after the request's time.
        until(lambda: state(server, "toy")["state"] == "ready", WITHIN_S)
        died = server.speech("step! by step", model="toy/m", voice="ana")
    assert (died.status_code, died.json()["error"]["code"]) == (400, "unsupported_text"), died.text
    assert "the model failed: ToyFault" in server.log.read_text()
    until(lambda: state(server, "toy")["state"] == "ready", WITHIN_S)
    assert server.speech("Well then.", model="toy/m", voice="ana").status_code == 200
    assert _load(server) == (0, 0)


def test_those_who_wait_for_a_killed_host_finish_in_its_next_life(
    folder: Path, found: dict[str, str]
) -> None:
    with running(folder, config(folder, WAIT_S, SLOW), environ=found) as server, ExitStack() as stack:
        answers = _kill_under_load(server, stack)
        assert {answer.headers["x-voxgate-engine"] for answer in answers} == {"toy/m"}
        assert {decoded(answer.content, "wav").seconds > 0.1 for answer in answers} == {True}
        until(lambda: _load(server) == (0, 0), WITHIN_S)


def _kill_under_load(server: Server, stack: ExitStack) -> list[httpx2.Response]:
    """Kill the host with its slots and its queue full. Return what those in the queue got."""
    until(lambda: state(server, "toy")["state"] == "ready", WITHIN_S)
    streams = [
        stack.enter_context(stream(server, "ana", LONG + str(number), model="both"))
        for number in range(RUNNING)
    ]
    for each in streams:
        each.read(4_800)
    pool = stack.enter_context(ThreadPoolExecutor(WAITING))
    waiting = [pool.submit(_ask, server, f"This is number {number}.") for number in range(WAITING)]
    until(lambda: _load(server) == (RUNNING, WAITING), WITHIN_S)
    kill(host(server, "toy"))
    for each in streams:
        with pytest.raises(httpx2.TransportError):
            each.read_all()
    answers = [each.result() for each in waiting]
    assert {answer.status_code for answer in answers} == {200}
    return answers


def _ask(server: Server, text: str) -> httpx2.Response:
    body = {"model": "both", "voice": "ana", "input": text, "response_format": "wav"}
    with server.client(timeout=WITHIN_S) as client:
        return client.post("/v1/audio/speech", json=body)
