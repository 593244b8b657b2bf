"""A worker that is killed leaves no process behind, whatever that one does."""

import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from speech_engine.host.confinement import has_call_filter
from tests.proxy.helpers.parent_program import OURS, PLUGINS
from tests.waiting import until

pytestmark = pytest.mark.slow

GONE_S = 2.0
WAIT_S = 60.0


def test_those_that_wait_or_work_are_gone_in_two_seconds() -> None:
    if not has_call_filter():
        pytest.skip("without seccomp, nobody can tell from outside that a process is ready")
    _kill_the_parent(lambda each: until(lambda: is_ready(each)), GONE_S)


def test_those_that_still_start_go_too() -> None:
    _kill_the_parent(lambda _: None, WAIT_S)


def _kill_the_parent(wait_for: Callable[[psutil.Process], object], gone_s: float) -> None:
    program = (sys.executable, "-m", "tests.proxy.helpers.parent_program")
    with subprocess.Popen(program, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        children = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
        assert len(children) == len(OURS) + len(PLUGINS) + 1
        for child in children:
            wait_for(child)
        parent.kill()
    _, alive = psutil.wait_procs(children, timeout=gone_s)
    assert not alive


def is_ready(process: psutil.Process) -> bool:
    """Whether it has begun to wait. What is confined before its first question shows that."""
    command = " ".join(process.cmdline())
    if any(name in command for name in ("search_child", "conversion_child", "odd_helper")):
        return bool(process.status() == psutil.STATUS_SLEEPING)
    with suppress(OSError):
        return "Seccomp:\t2" in Path(f"/proc/{process.pid}/status").read_text()
    return False
