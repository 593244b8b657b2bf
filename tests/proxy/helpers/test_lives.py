"""The lives of a helper: whatever it does, and whoever leaves, the next one who asks gets an answer."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from proxy.helpers import child as child_module
from proxy.helpers import helper as helper_module
from proxy.helpers.child import HOST_NICENESS
from proxy.helpers.helper import (
    Helper,
    HelperFailed,
    HelperSpec,
    Life,
)
from speech_engine.host.pipe_messages import Ready
from speech_engine.host.plugin_messages import BeginPlugin, unpack
from tests.proxy.helpers import odd_helper
from tests.waiting import soon

pytestmark = pytest.mark.slow

MODULE = odd_helper.__name__
WAIT_S = 60.0
Make = Callable[..., Helper]


@pytest.fixture
async def make(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Make]:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    made: list[Helper] = []

    def make(**options: Any) -> Helper:
        made.append(Helper(HelperSpec(module=MODULE, name="odd", environ=os.environ, **options)))
        return made[-1]

    try:
        async with asyncio.timeout(WAIT_S):
            yield make
    finally:
        for each in made:
            await each.close()
        assert not processes()


def beginning(how: str = "well") -> dict[str, Any]:
    return {"begin": BeginPlugin("odd", how, b""), "unpack": unpack, "arguments": (odd_helper.BEGINS,)}


def processes() -> list[psutil.Process]:
    return [each for each in psutil.Process().children() if _is_helper(each)]


def _is_helper(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.status() != psutil.STATUS_ZOMBIE and MODULE in process.cmdline()
    return False


async def ask(helper: Helper, question: str = "who", within_s: float = WAIT_S) -> str:
    return (await helper.ask(question.encode(), within_s=within_s)).decode()


async def pid(helper: Helper) -> int:
    return int((await ask(helper)).split()[0])


async def asked(helper: Helper, question: str) -> asyncio.Task[str]:
    """A question that a process has."""
    task = asyncio.create_task(ask(helper, question))
    await soon(lambda: any(life.users for life in helper._lives))
    await asyncio.sleep(0)
    return task


async def left(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_it_starts_when_it_is_asked_and_one_life_answers_all(make: Make) -> None:
    helper = make()
    assert not processes()
    assert repr(helper) == "<Helper odd, none ready, 0 alive>"
    answers = await asyncio.gather(*(ask(helper, f"who {number}") for number in range(5)))
    assert [answer.split()[2] for answer in answers] == ["0", "1", "2", "3", "4"]
    assert len({answer.split()[0] for answer in answers}) == len(processes()) == 1
    assert repr(helper) == "<Helper odd, one ready, 1 alive>"


async def test_a_life_begins_with_a_message_and_says_that_it_is_ready(make: Make) -> None:
    helper = make(**beginning())
    async with helper.use_process() as life:
        assert isinstance(life.ready, Ready)
    assert await ask(helper, "who") == f"{life.child.process.pid} who"


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("broken", "odd cannot be used: it is torn$"),
        ("dies", "odd ended while it started"),
        ("nonsense", "odd ended while it started"),
        ("never", r"odd was not ready within 0\.5 s"),
    ],
)
async def test_one_that_refuses_says_why_to_all_who_wait_and_leaves_nothing(
    make: Make, how: str, said: str
) -> None:
    helper = make(**beginning(how), start_s=0.5 if how == "never" else WAIT_S)
    for answer in await asyncio.gather(*(ask(helper) for _ in range(3)), return_exceptions=True):
        with pytest.raises(HelperFailed, match=said):
            raise answer if isinstance(answer, BaseException) else AssertionError
    await soon(lambda: not processes())
    assert repr(helper) == "<Helper odd, none ready, 0 alive>"


async def test_a_machine_that_starts_no_process_is_a_refusal_with_its_reason(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child_module, "_NICE", None)
    with pytest.raises(HelperFailed, match="odd cannot be started: No such file or directory"):
        await ask(make(interpreter="/no/such/program"))


async def test_an_idle_life_ends_and_comes_back(make: Make) -> None:
    helper = make(idle_s=0.0)
    first = await pid(helper)
    await soon(lambda: not processes())
    assert await pid(helper) != first


@pytest.mark.clock
async def test_a_life_that_somebody_uses_is_not_idle(make: Make) -> None:
    helper = make(idle_s=0.05)
    await ask(helper)
    async with helper.use_process() as life:
        async with helper.use_process() as same:
            assert same is life
        await asyncio.sleep(0.2)
        assert await life.ask(b"who")
    await soon(lambda: not processes())


async def test_a_late_answer_is_nobody_s(make: Make) -> None:
    helper = make()
    first = await pid(helper)
    with pytest.raises(TimeoutError):
        await ask(helper, "hang", within_s=0.1)
    assert await pid(helper) != first
    await soon(lambda: len(processes()) == 1)


async def test_the_wait_for_a_turn_is_a_part_of_the_time(make: Make) -> None:
    helper = make()
    async with helper.turn:
        with pytest.raises(TimeoutError):
            await ask(helper, within_s=0.05)
    assert not processes()


@pytest.mark.parametrize("is_for_one", [False, True])
async def test_a_question_that_is_left_ends_its_life_and_frees_the_turn(make: Make, is_for_one: bool) -> None:
    helper = make(is_for_one=is_for_one)
    asking = await asked(helper, "hang")
    (first,) = processes()
    await left(asking)
    await soon(lambda: not first.is_running())
    assert await pid(helper) != first.pid


async def test_whoever_leaves_while_it_starts_takes_nothing_from_the_others(make: Make) -> None:
    helper = make(**beginning())
    leaver, other = (asyncio.create_task(helper.take_process()) for _ in range(2))
    await soon(lambda: bool(processes()))
    await left(leaver)
    life = await other
    assert life.users == 1
    helper.return_process(life)


async def test_a_death_is_told_and_the_next_question_has_a_new_life(make: Make) -> None:
    helper = make()
    first = await pid(helper)
    with pytest.raises(HelperFailed):
        await ask(helper, "die")
    assert await pid(helper) != first


async def test_a_life_that_died_while_it_waited_fails_nobody(make: Make) -> None:
    helper = make()
    psutil.Process(await pid(helper)).kill()
    await soon(lambda: not helper.is_ready)
    assert await ask(helper)


async def test_a_death_is_tried_once_more_and_no_more(make: Make, tmp_path: Path) -> None:
    helper = make(most_tries=2)
    assert await ask(helper, f"die_once {tmp_path / 'died'}") == "alive"
    with pytest.raises(HelperFailed):
        await ask(helper, "die")
    with pytest.raises(TimeoutError):
        await ask(helper, "hang", within_s=0.1)


async def test_a_late_death_is_not_tried_again(make: Make, tmp_path: Path) -> None:
    died = tmp_path / "died"
    helper = make(most_tries=2, again_within_s=0.0)
    with pytest.raises(HelperFailed):
        await ask(helper, f"die_once {died}")
    died.unlink()
    assert await ask(make(most_tries=2, again_within_s=WAIT_S), f"die_once {died}") == "alive"


async def test_only_a_death_is_tried_once_more(make: Make) -> None:
    helper = make(most_tries=2, most_answer_bytes=1000)
    talks: list[Life] = []

    async def talk(life: Life) -> bytes:
        talks.append(life)
        return await life.ask(b"large 1001")

    with pytest.raises(HelperFailed, match="too much"):
        await helper.run_with_process(talk)
    assert len(talks) == 1


async def test_an_answer_is_no_longer_than_it_may_be(make: Make) -> None:
    helper = make(most_answer_bytes=1000)
    assert len(await helper.ask(b"large 1000", within_s=WAIT_S)) == 1000
    first = await pid(helper)
    with pytest.raises(HelperFailed, match="too much"):
        await ask(helper, "large 1001")
    assert await pid(helper) != first


async def test_a_large_answer_comes_whole(make: Make) -> None:
    assert len(await make().ask(b"large %d" % (5 << 20), within_s=WAIT_S)) == 5 << 20


async def test_a_life_for_one_answers_one_question(make: Make) -> None:
    helper = make(is_for_one=True)
    pids = await asyncio.gather(pid(helper), pid(helper))
    assert len(set(pids)) == 2
    await soon(lambda: not processes())
    assert not helper.is_ready


async def test_a_spare_waits_for_the_next_question_and_goes_when_nobody_comes(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper = make(is_for_one=True, keeps_spare=True)
    first = await pid(helper)
    await soon(lambda: len(processes()) == 1)
    (spare,) = processes()
    assert await pid(helper) == spare.pid != first
    monkeypatch.setattr(helper_module, "_FIRST_USE_S", 0.0)
    helper.spec = HelperSpec(module=MODULE, is_for_one=True, keeps_spare=True, environ=os.environ, idle_s=0)
    await ask(helper)
    await ask(helper)
    await soon(lambda: not processes())
    assert not helper.is_ready


@pytest.mark.parametrize("keeps_spare", [False, True])
async def test_a_caller_that_leaves_before_its_life_begins_leaves_nothing(
    make: Make, keeps_spare: bool
) -> None:
    helper = make(is_for_one=True, keeps_spare=keeps_spare)
    asking = asyncio.create_task(ask(helper))
    await asyncio.sleep(0)
    await left(asking)
    await soon(lambda: not helper._ending_tasks)
    assert not processes()


async def test_a_spare_that_died_fails_nobody(make: Make) -> None:
    helper = make(is_for_one=True, keeps_spare=True)
    await ask(helper)
    await soon(lambda: len(processes()) == 1)
    processes()[0].kill()
    await soon(lambda: not helper.is_ready)
    assert await ask(helper)


async def test_a_life_that_is_warm_is_the_one_that_is_asked(make: Make) -> None:
    helper = make()
    helper.start_early()
    helper.start_early()
    await soon(lambda: len(processes()) == 1)
    assert await pid(helper) == processes()[0].pid


async def test_one_that_nobody_uses_after_all_ends_too(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helper_module, "_FIRST_USE_S", 0.0)
    helper = make(idle_s=0.0)
    helper.start_early()
    await soon(lambda: helper._current is None)
    await soon(lambda: not processes())


async def test_close_ends_all_lives_whatever_they_do(make: Make) -> None:
    helper = make(most_tries=2)
    asking = await asked(helper, "hang")
    helper.start_early()
    await helper.close()
    assert not processes()
    with pytest.raises(HelperFailed, match="odd is closed"):
        await asking


async def test_close_waits_for_a_start_that_it_ends(make: Make) -> None:
    helper = make()
    helper.start_early()
    await asyncio.sleep(0)  # its process is being made
    starting = helper._current
    await helper.close()
    assert starting is not None
    assert starting.done()


async def test_it_has_few_variables_and_goes_after_all_others(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_SECRET", "hunter2")
    monkeypatch.setenv("ANOTHER", "shown")
    helper = make(variables=("ANOTHER", "NONE_SUCH"))
    assert set((await ask(helper, "variables")).split()) <= {
        *("ANOTHER", "PYTHONPATH", "LD_LIBRARY_PATH", "OPENBLAS_NUM_THREADS", "LC_CTYPE", "PYTHONHASHSEED"),
    }
    assert "ANOTHER" in await ask(helper, "variables")
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    assert int(await ask(helper, "priority")) == min(ours + 10, 19)
    assert int(await ask(make(**beginning(), niceness=HOST_NICENESS), "priority")) == min(ours + 5, 19)
