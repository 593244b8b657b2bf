"""Several workers kept, asked and ended as one, over real processes that only speak the pipe."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

import pytest

from proxy.helpers.child import Child
from proxy.processes.workers import Workers
from speech_engine.host.pipe_messages import (
    Broken,
    ForgetQuestion,
    MetricsQuestion,
    MetricsReport,
    WorkerGivenUp,
)
from tests.waiting import soon

pytestmark = pytest.mark.slow

SOON_S = 20.0

_PROGRAM = """
import sys, time
from speech_engine.host.pipe import ParentPipe
from speech_engine.host.pipe_messages import *
pipe, number = ParentPipe(int(sys.argv[1])), sys.argv[2]
{first}
pipe.send(Ready(f"key of {{number}}" if number == "0" else None))
while True:
    match pipe.receive():
        case MetricsQuestion(question):
            {answer}
        case ForgetQuestion(question, subject):
            if subject == f"kills {{number}}":
                break
            pipe.send(VoiceForgotten(question, subject != f"heard by {{number}}"))
        case WorkerGivenUp(worker, reason):
            print(number, "hears of", worker, file=open(sys.argv[3], "a"), flush=True)
        case _:
            break
"""
_ANSWER = "pipe.send(MetricsReport(question, number))"


class Kept:
    """Workers of the test's own program, and what was announced of them."""

    def __init__(self, count: int, folder: Path, first: str, answer: str) -> None:
        self.heard = folder / "heard"
        self.announced: list[str | None] = []
        self.served = asyncio.Event()
        self.children: dict[int, Child] = {}
        (folder / "the_worker.py").write_text(_PROGRAM.format(first=first, answer=answer))
        self.ended: set[int] = set()
        self.workers = Workers(count, self._begin, self._announce, on_end=self.ended.add)

    async def _begin(self, number: int) -> Child:
        child = self.children[number] = await Child.start("the_worker", str(number), str(self.heard))
        return child

    def _announce(self, dev_key: str | None) -> None:
        self.announced.append(dev_key)
        self.served.set()


class Make(Protocol):
    def __call__(self, count: int, first: str = "", answer: str = _ANSWER) -> Kept: ...


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return lambda count, first="", answer=_ANSWER: Kept(count, tmp_path, first, answer)


@asynccontextmanager
async def _kept(kept: Kept) -> AsyncIterator[Workers]:
    running = asyncio.create_task(kept.workers.run())
    try:
        async with asyncio.timeout(SOON_S):
            yield kept.workers
    finally:
        await kept.workers.stop(1.0)
        await running


async def test_they_are_announced_once_when_all_are_ready_with_the_key_of_the_first(make: Make) -> None:
    kept = make(3)
    async with _kept(kept) as workers:
        await kept.served.wait()
        assert workers.ready_numbers == [0, 1, 2]
        kept.children[0].kill()
        await soon(lambda: workers.ready_numbers == [1, 2])
        await soon(lambda: workers.ready_numbers == [0, 1, 2])
        assert kept.announced == ["key of 0"]
    assert not workers.have_failed


async def test_a_question_is_answered_by_each_for_its_life(make: Make) -> None:
    kept = make(2)
    async with _kept(kept) as workers:
        await kept.served.wait()
        kept.children[1].kill()
        await soon(lambda: workers.ready_numbers == [0])
        await soon(lambda: workers.ready_numbers == [0, 1])
        answered = await workers.ask_workers(MetricsQuestion, workers.ready_numbers, SOON_S)
    assert [(worker, generation) for worker, generation, _ in answered] == [(0, 1), (1, 2)]
    texts = [answer.text for *_, answer in answered if isinstance(answer, MetricsReport)]
    assert texts == ["0", "1"]


async def test_a_worker_that_does_not_answer_in_time_is_left_out_and_answers_no_later_question(
    make: Make,
) -> None:
    late = f"time.sleep(0.8 if number == '1' and question == 1 else 0); {_ANSWER}"
    kept = make(2, answer=late)
    async with _kept(kept) as workers:
        await kept.served.wait()
        first = await workers.ask_workers(MetricsQuestion, [0, 1], 0.3)
        assert [worker for worker, *_ in first] == [0]
        second = await workers.ask_workers(MetricsQuestion, [0, 1], SOON_S)
    assert [(worker, answer.question) for worker, _, answer in second] == [(0, 2), (1, 2)]


async def test_a_worker_that_fails_for_good_is_told_of_and_the_others_serve(make: Make) -> None:
    first = f"if number == '1': pipe.send({Broken('no such thing', lasting=True)!r}); sys.exit(1)"
    kept = make(2, first=first)
    async with _kept(kept) as workers:
        await kept.served.wait()
        assert workers.ready_numbers == [0]
        assert workers.list_failed() == [WorkerGivenUp(1, "no such thing")]
        assert not workers.have_failed
        workers.send_to_all(WorkerGivenUp(1, "no such thing"))
        await soon(lambda: kept.heard.exists() and "0 hears of 1" in kept.heard.read_text())
        assert await workers.ask_workers(MetricsQuestion, workers.ready_numbers, SOON_S)


async def test_when_all_have_failed_it_is_over_and_nothing_was_announced(make: Make) -> None:
    first = f"pipe.send({Broken('no such thing', lasting=True)!r}); sys.exit(1)"
    kept = make(3, first=first)
    async with asyncio.timeout(SOON_S):
        await kept.workers.run()
    assert kept.workers.have_failed
    assert kept.announced == []


async def test_all_are_told_to_stop_and_end_in_good_order(make: Make) -> None:
    kept = make(3)
    running = asyncio.create_task(kept.workers.run())
    async with asyncio.timeout(SOON_S):
        await kept.served.wait()
        await kept.workers.stop(SOON_S)
        await running
    assert all(child.process.returncode == 0 for child in kept.children.values())
    assert kept.ended == {0, 1, 2}


@pytest.mark.parametrize(
    ("subject", "is_everywhere"), [("voice_1", True), ("heard by 1", False), ("kills 1", True)]
)
async def test_all_workers_forget_and_a_dead_one_has_nothing_in_memory(
    make: Make, subject: str, is_everywhere: bool
) -> None:
    kept = make(3)
    async with _kept(kept) as workers:
        await kept.served.wait()
        # No answer is waited for longer than its worker lives.
        asked = workers.ask_to_forget(lambda question: ForgetQuestion(question, subject, ()), SOON_S)
        assert await asked == is_everywhere
