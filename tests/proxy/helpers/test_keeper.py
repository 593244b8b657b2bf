"""A child is started, heard, restarted, given up and stopped, whatever it does; real processes throughout."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from policies import host_health
from policies.host_health import Crash
from proxy.helpers import child as child_module
from proxy.helpers.child import Child
from proxy.helpers.child_supervisor import ChildSupervisor
from speech_engine.host import pipe_messages
from tests.waiting import soon

BEGIN = """
import os, signal, sys, time
from speech_engine.host.pipe import ParentPipe
from speech_engine.host.pipe_messages import (Broken, Drain, MetricsQuestion, MetricsReport, Ready,)
pipe = ParentPipe(int(sys.argv[1]))
"""

SERVES = "pipe.send(Ready())\nwhile not isinstance(pipe.receive(), Drain): pass\n"
DEAF = "pipe.send(Ready())\nsignal.pause()\n"
CRASHES = "sys.exit(3)\n"
TORN = "pipe.send(Broken('it is torn', lasting=True))\nsys.exit(1)\n"
STUCK = "pipe.send(Broken('it is stuck', lasting=True))\nsignal.pause()\n"
PARENT = """import subprocess
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], close_fds=False)
pipe.send(Ready())
signal.pause()
"""
TALKATIVE = "pipe.send(Ready())\npipe.send(MetricsReport(7, 'x' * 200))\n"
LINGERS = "os.close(int(sys.argv[1]))\nsignal.pause()\n"
ASKED = "pipe.send(Ready())\npipe.receive()\npipe.send(MetricsReport(7, 'counted'))\n"

Told = tuple[str, int, str]


class Nursery:
    """Children of one kind, and what their keeper says of them."""

    def __init__(self, module: str) -> None:
        self.children: list[Child] = []
        self.told: list[Told] = []
        self.said: list[pipe_messages.Message] = []
        self.supervisor = ChildSupervisor("kept", self.begin, self._on_state, self._on_message)
        self._module = module

    async def begin(self) -> Child:
        self.children.append(await Child.start(self._module))
        return self.children[-1]

    async def becomes(self, state: str) -> Told:
        return await soon(lambda: next((told for told in self.told if told[0] == state), None))

    def _on_state(self, state: str, generation: int, reason: str) -> None:
        self.told.append((state, generation, reason))

    def _on_message(self, message: pipe_messages.Message) -> None:
        self.said.append(message)


@pytest.fixture
def nursery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Nursery]:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def make(body: str) -> Nursery:
        (tmp_path / "the_child.py").write_text(BEGIN + body)
        return Nursery("the_child")

    return make


Make = Callable[[str], Nursery]


async def _in_time(work: Awaitable[object], within_s: float = 20.0) -> None:
    await asyncio.wait_for(work, within_s)


async def test_a_child_that_serves_is_ready_and_ends_when_told(nursery: Make) -> None:
    kept = nursery(SERVES)
    running = asyncio.create_task(kept.supervisor.run())
    await kept.becomes("ready")
    (child,) = kept.children
    assert os.getsid(child.process.pid) == child.process.pid  # a Ctrl-C in our terminal is not for it
    await _in_time(kept.supervisor.stop(5.0))
    await _in_time(running)
    assert child.process.returncode == 0
    assert kept.told == [("starting", 1, ""), ("ready", 1, "")]
    assert kept.said == [pipe_messages.Ready()]


async def test_a_child_that_heeds_nothing_is_killed(nursery: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_module, "_LINGER_S", 0.0)
    kept = nursery(DEAF)
    running = asyncio.create_task(kept.supervisor.run())
    await kept.becomes("ready")
    await _in_time(kept.supervisor.stop(0.1))
    await _in_time(running)
    assert kept.children[0].process.returncode == -9


async def test_a_child_is_dead_when_its_stop_returns(nursery: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_module, "_LINGER_S", 0.0)
    child = await nursery(DEAF).begin()
    await child.stop(0.0)
    assert child.is_dead


async def test_a_child_that_closes_its_pipe_but_lingers_is_killed_and_replaced(
    nursery: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child_module, "_LINGER_S", 0.0)
    kept = nursery(LINGERS)
    running = asyncio.create_task(kept.supervisor.run())
    await kept.becomes("restarting")
    assert kept.children[0].process.returncode == -9
    await _in_time(kept.supervisor.stop(0.0))
    await _in_time(running)


async def test_a_crash_is_told_with_its_status_and_five_are_the_end(
    nursery: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_health, "LONGEST_DELAY_S", 0.0)
    kept = nursery(CRASHES)
    await _in_time(kept.supervisor.run())
    reason = "the process ended with status 3"
    assert kept.told[:4] == [
        ("starting", 1, ""),
        ("restarting", 1, reason),
        ("starting", 2, reason),
        ("restarting", 2, reason),
    ]
    assert kept.told[-1] == ("failed", 5, reason)
    assert len(kept.children) == 5


async def test_one_that_never_gets_ready_is_given_up_however_long_each_life_took(nursery: Make) -> None:
    kept = nursery(CRASHES)
    kept.supervisor._crashes += [Crash(time.monotonic() - 600.0, was_loading=True)] * 4
    await _in_time(kept.supervisor.run())
    assert [state for state, *_ in kept.told] == ["starting", "failed"]


async def test_a_child_that_says_it_is_broken_for_good_is_not_started_again(nursery: Make) -> None:
    kept = nursery(TORN)
    await _in_time(kept.supervisor.run())
    assert kept.told == [("starting", 1, ""), ("failed", 1, "it is torn")]


async def test_messages_of_a_child_are_passed_on(nursery: Make) -> None:
    kept = nursery(ASKED)
    running = asyncio.create_task(kept.supervisor.run())
    await kept.becomes("ready")
    kept.children[0].send(pipe_messages.MetricsQuestion(7))
    await kept.becomes("restarting")
    assert kept.said == [pipe_messages.Ready(), pipe_messages.MetricsReport(7, "counted")]
    await _in_time(kept.supervisor.stop(0.0))
    await _in_time(running)


async def test_a_stop_that_comes_while_a_child_is_being_started_stops_that_child_too(nursery: Make) -> None:
    kept, may_begin = nursery(SERVES), asyncio.Event()

    async def begin_late() -> Child:
        await may_begin.wait()
        return await kept.begin()

    supervisor = ChildSupervisor("kept", begin_late, kept._on_state, kept._on_message)
    running = asyncio.create_task(supervisor.run())
    await kept.becomes("starting")
    await supervisor.stop(5.0)
    may_begin.set()
    await _in_time(running)
    (child,) = kept.children
    assert child.process.returncode is not None


async def test_a_stop_while_waiting_to_restart_does_not_wait(nursery: Make) -> None:
    kept = nursery(CRASHES)
    kept.supervisor._crashes += [Crash(time.monotonic())] * 3
    running = asyncio.create_task(kept.supervisor.run())
    await kept.becomes("restarting")
    await kept.supervisor.stop(0.0)
    await _in_time(running, 1.0)  # the back-off would be 1.6 s
    assert len(kept.children) == 1


async def test_a_machine_that_starts_no_process_counts_as_a_crash(
    nursery: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_health, "LONGEST_DELAY_S", 0.0)
    kept = nursery(SERVES)

    async def fail() -> Child:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    supervisor = ChildSupervisor("kept", fail, kept._on_state, kept._on_message)
    await _in_time(supervisor.run())
    assert kept.told[-1] == (
        "failed",
        5,
        "the process could not be started: Resource temporarily unavailable",
    )


async def test_telling_a_child_that_is_gone_is_not_an_error(nursery: Make) -> None:
    child = await nursery(CRASHES).begin()
    assert await child.wait_for_end() == 3
    child.send(pipe_messages.Drain(1.0))
    assert [message async for message in child.messages()] == []


async def test_a_child_that_says_it_is_broken_and_does_not_end_is_ended(
    nursery: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child_module, "_LINGER_S", 0.0)
    kept = nursery(STUCK)
    await _in_time(kept.supervisor.run())
    assert kept.told == [("starting", 1, ""), ("failed", 1, "it is stuck")]
    assert kept.children[0].process.returncode == -9


async def test_a_child_that_is_killed_takes_along_what_it_started(nursery: Make) -> None:
    child = await nursery(PARENT).begin()
    messages = child.messages()
    assert await anext(messages) == pipe_messages.Ready()
    await messages.aclose()
    child.kill()
    async with asyncio.timeout(20.0):
        assert await child.read() is None  # nobody holds the other end of its pipe any more
    await child.wait_for_end()


async def test_the_reason_of_one_kill_is_not_that_of_the_next_crash(nursery: Make) -> None:
    kept = nursery(DEAF)
    running = asyncio.create_task(kept.supervisor.run())
    await kept.becomes("ready")
    kept.supervisor.kill("it heeds nothing")
    await kept.becomes("restarting")
    kept.told.clear()
    ready = await kept.becomes("ready")
    kept.children[1].kill()
    last = await kept.becomes("restarting")
    await _in_time(kept.supervisor.stop(0.0))
    await _in_time(running)
    assert ready == ("ready", 2, "")
    assert last == ("restarting", 2, "the process ended with status -9")


async def test_one_that_is_revived_may_crash_as_often_as_a_new_one(nursery: Make) -> None:
    kept = nursery(CRASHES)
    kept.supervisor._crashes += [Crash(time.monotonic())] * 4
    await _in_time(kept.supervisor.run())
    kept.supervisor.revive()
    running = asyncio.create_task(kept.supervisor.run())
    await kept.becomes("restarting")
    await kept.supervisor.stop(0.0)
    await _in_time(running)
    assert [state for state, *_ in kept.told[:4]] == ["starting", "failed", "starting", "restarting"]


async def test_a_child_that_sends_more_than_it_may_is_replaced(nursery: Make) -> None:
    kept = nursery(TALKATIVE)

    async def begin() -> Child:
        return await Child.start("the_child", most_frame_bytes=100)

    supervisor = ChildSupervisor("kept", begin, kept._on_state, kept._on_message)
    running = asyncio.create_task(supervisor.run())
    await kept.becomes("restarting")
    await _in_time(supervisor.stop(0.0))
    await _in_time(running)
    assert kept.said[0] == pipe_messages.Ready()
    assert ("restarting", 1, "the process ended with status 0") in kept.told


@pytest.mark.clock
async def test_a_life_that_is_put_off_is_no_crash_and_the_next_begins_once_woken(nursery: Make) -> None:
    kept = nursery(DEAF)
    kept.supervisor._crashes += [Crash(time.monotonic())] * 4
    running = asyncio.create_task(kept.supervisor.run())
    await kept.becomes("ready")
    kept.supervisor.put_off("no room", None)
    await kept.becomes("waiting")
    assert kept.children[0].is_dead
    assert kept.told[-1] == ("waiting", 1, "no room")
    kept.told.clear()
    kept.supervisor.wake()
    await kept.becomes("ready")
    assert kept.told[0] == ("starting", 2, "no room")
    # Woken before its process has ended: that counts, too.
    kept.told.clear()
    kept.supervisor.put_off("no room", None)
    kept.supervisor.wake()
    await kept.becomes("ready")
    kept.told.clear()
    kept.supervisor.put_off("no room", 0.01)
    await kept.becomes("ready")
    kept.supervisor.put_off("no room", None)
    await kept.becomes("waiting")
    await asyncio.sleep(0.05)
    assert kept.told[-1][0] == "waiting"  # it was woken before it was put off
    await _in_time(kept.supervisor.stop(0.0))
    await _in_time(running)


async def test_a_child_may_be_given_up_for_a_reason(nursery: Make) -> None:
    kept = nursery(DEAF)
    running = asyncio.create_task(kept.supervisor.run())
    await kept.becomes("ready")
    kept.supervisor.kill("it is too large", is_last=True)
    await _in_time(running)
    assert kept.told[-1] == ("failed", 1, "it is too large")
