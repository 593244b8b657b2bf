"""What no async test may leave behind: a task, a generator, a lock, a hold, a slot.

The fixture `leaks` runs after every other fixture is torn down, and fails the test with the names.
"""

import asyncio
import fcntl
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import AsyncGeneratorType, CoroutineType
from typing import Any

import pytest

from proxy.ledger.memory_holds import MemoryHolds
from speech_engine.host.slots import Slots

__all__ = ["leaks", "leaves_holds", "loop_leaks"]

_ROOT = Path(__file__).parent.parent
_OURS = tuple(f"{_ROOT / room}/" for room in ("proxy", "policies", "speech_engine", "plugins"))

_made: list[MemoryHolds | Slots] = []
"""All ledgers' memories and queues that the running test has made."""


def _watch(kind: type[MemoryHolds] | type[Slots]) -> None:
    init: Any = kind.__init__

    def watched(self: Any, *arguments: Any, **named: Any) -> None:
        init(self, *arguments, **named)
        _made.append(self)

    kind.__init__ = watched  # type: ignore[method-assign]  # only what is made can be looked at


_watch(MemoryHolds)
_watch(Slots)


@pytest.fixture
def leaves_holds() -> None:
    """Asked for by a test that takes a hold in order to leave it there."""


@pytest.fixture(autouse=True)
def leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fails an async test that leaves something behind; a test that is not async owns no loop."""
    test = getattr(request.node, "obj", None)
    if test is None or not inspect.iscoroutinefunction(inspect.unwrap(test)):
        yield
        return
    has_fixture = inspect.iscoroutinefunction(test)
    found: list[str] = request.getfixturevalue("loop_leaks") if has_fixture else []
    folder = request.getfixturevalue("tmp_path") if "tmp_path" in request.fixturenames else None
    _made.clear()
    yield
    for made in _made:
        if isinstance(made, Slots) and (made.running or made.waiting):
            found.append(f"a slot: {made!r}")
        if isinstance(made, MemoryHolds) and "leaves_holds" not in request.fixturenames and _live(made):
            found.append(f"a hold: {made!r}")
    _made.clear()
    if folder is not None:
        found += [f"a lock: {path.name}" for path in folder.rglob("*.lock") if _is_held(path)]
    if not has_fixture:
        _judge(found)


@pytest.fixture
async def loop_leaks() -> AsyncIterator[list[str]]:
    """Names of what is left; looks at the loop when everything else has been torn down."""
    async with leaving_nothing() as found:
        yield found


@asynccontextmanager
async def leaving_nothing() -> AsyncIterator[list[str]]:
    """Fails if the block leaves something in its loop. What it yields has names of what else is left."""
    found: list[str] = []
    loop: Any = asyncio.get_running_loop()
    finalize = loop._asyncgen_finalizer_hook

    def finalized(generator: AsyncGenerator[Any, Any]) -> None:
        if _is_ours(generator):
            found.append(f"a generator, left to the garbage collector: {_name(generator)}")
        finalize(generator)

    # The loop hands this method to Python whenever it runs.
    loop._asyncgen_finalizer_hook = finalized
    try:
        yield found
    finally:
        left = [task.get_coro() for task in asyncio.all_tasks() - {asyncio.current_task()}]
        # gRPC's own tasks end with the process; they are no Python coroutines.
        found += [f"a task: {coro!r}" for coro in left if isinstance(coro, CoroutineType)]
        found += [
            f"a generator, still open: {_name(generator)}"
            for generator in list(loop._asyncgens)
            if _is_ours(generator) and generator.ag_frame is not None
        ]
        loop._asyncgen_finalizer_hook = finalize
    _judge(found)


def _judge(found: list[str]) -> None:
    if found:
        pytest.fail("the test leaves behind\n  " + "\n  ".join(sorted(found)), pytrace=False)


def _is_ours(generator: Any) -> bool:
    # gRPC's own generators are no Python ones, and have neither code nor frame.
    if not isinstance(generator, AsyncGeneratorType):
        return False
    file: str = generator.ag_code.co_filename
    # Starlette drops the answer of a fake provider when its client hangs up.
    return file.startswith(_OURS)


def _name(generator: Any) -> str:
    code = generator.ag_code
    return f"{Path(code.co_filename).relative_to(_ROOT)}:{code.co_qualname}"


def _live(holds: MemoryHolds) -> bool:
    return any(account.live for account in holds._accounts.values())


def _is_held(path: Path) -> bool:
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
