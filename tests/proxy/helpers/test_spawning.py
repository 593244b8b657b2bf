"""Processes of the server run at their priority from their first instruction, and restarts lower nothing."""

import os
from contextlib import aclosing
from pathlib import Path

import pytest

from proxy.helpers import child as spawning
from proxy.helpers.child import Child
from speech_engine.host.pipe_messages import MetricsReport

CHILD = """
import os, sys
from speech_engine.host.pipe import ParentPipe
from speech_engine.host.pipe_messages import MetricsReport
pipe = ParentPipe(int(sys.argv[1]))
pipe.send(MetricsReport(os.getpriority(os.PRIO_PROCESS, 0), ' '.join(sys.argv[2:])))
"""
LOWEST = 19


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "the_child.py").write_text(CHILD)


def below_us(steps: int) -> int:
    return min(os.getpriority(os.PRIO_PROCESS, 0) + steps, LOWEST)


async def said(child: Child) -> MetricsReport:
    async with aclosing(child.messages()) as messages:
        report = await anext(messages)
    await child.wait_for_end()
    assert isinstance(report, MetricsReport)
    return report


@pytest.mark.parametrize("niceness", [0, spawning.HOST_NICENESS])
async def test_each_life_of_a_child_has_the_same_priority(modules: None, niceness: int) -> None:
    for _ in range(2):
        report = await said(await Child.start("the_child", "one", "two", niceness=niceness))
        assert (report.question, report.text) == (below_us(niceness), "one two")
    assert spawning.HOST_NICENESS < spawning.JOB_NICENESS


async def test_a_machine_without_the_program_starts_them_all_the_same(
    modules: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spawning, "_NICE", None)
    report = await said(await Child.start("the_child", niceness=spawning.HOST_NICENESS))
    assert report.question == below_us(0)
