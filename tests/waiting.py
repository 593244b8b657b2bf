"""The one way in which tests wait for what sends no event: they look until it is there."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar, overload

LIMIT_S = 60.0
"""A limit against a test that hangs, and not a promise of the product: a busy machine has time until then."""
_TURNS = 20
"""The first looks are one turn of the loop apart: most things are there after a few."""
_OFTEN_S, _SELDOM_S = 0.001, 0.25

T = TypeVar("T")


class RanOut(AssertionError):
    """What was waited for did not come. The machine may be busy: `tests.suite.second_run` looks again."""


async def forever() -> None:
    await asyncio.get_running_loop().create_future()


def until(what: Callable[[], T], within_s: float = LIMIT_S) -> T:
    """Return the first true value. More than `LIMIT_S` is for what loads a model."""
    for pause_s in _pauses():
        if last := what():
            return last
        if pause_s > within_s / 10:
            raise RanOut(_late(within_s, last))
        time.sleep(min(_SELDOM_S, pause_s))
    raise AssertionError


@overload
async def soon(
    what: Callable[[], Awaitable[T | None]], is_so: Callable[[Any], object] = ..., within_s: float = ...
) -> T: ...


@overload
async def soon(
    what: Callable[[], T | None], is_so: Callable[[Any], object] = ..., within_s: float = ...
) -> T: ...


async def soon(
    what: Callable[[], Any], is_so: Callable[[Any], object] = bool, within_s: float = LIMIT_S
) -> Any:
    """Return the first value of a function, or of a coroutine function, of which `is_so` is true."""
    last: Any = None
    try:
        async with asyncio.timeout(within_s) as limit:
            for pause_s in _pauses():
                last = what()
                if inspect.isawaitable(last):
                    last = await last
                if is_so(last):
                    return last
                await asyncio.sleep(min(_SELDOM_S, pause_s))
    except TimeoutError:
        if limit.expired():
            raise RanOut(_late(within_s, last)) from None
        raise
    raise AssertionError


def _pauses() -> Iterator[float]:
    """A tenth of the time that has passed: the longer it takes, the more seldom is each look."""
    began = time.monotonic()
    yield from [0.0] * _TURNS
    while True:
        yield max(_OFTEN_S, (time.monotonic() - began) / 10)


def _late(within_s: float, last: object) -> str:
    return f"not within {within_s:.0f} s; the last value was {last!r}"
