"""The places for requests to providers: in their order, and none is lost."""

import asyncio

import pytest

from proxy.engines.http.request_limiter import Places
from tests.speech_engine.host.visitors import steps


async def test_those_who_wait_come_in_their_order_and_before_anybody_new() -> None:
    places, came = Places(1), list[str]()

    async def ask(name: str) -> None:
        await places.acquire()
        came.append(name)

    assert places.take_now()
    waiting = [asyncio.create_task(ask(name)) for name in "ab"]
    await steps()
    places.release()
    assert not places.take_now()
    await steps()
    assert came == ["a"]
    places.release()
    await asyncio.gather(*waiting)
    assert came == ["a", "b"]
    places.release()
    assert places.take_now()
    assert (places._free, len(places._waiting)) == (0, 0)


@pytest.mark.parametrize("is_given", [True, False])
async def test_whoever_leaves_takes_no_place_along(is_given: bool) -> None:
    places = Places(1)
    assert places.take_now()
    leaver, next_one = asyncio.create_task(places.acquire()), asyncio.create_task(places.acquire())
    await steps()
    if is_given:
        # It has the place, and has not learnt that yet.
        places.release()
    leaver.cancel()
    await steps()
    assert leaver.cancelled()
    if not is_given:
        places.release()
    await asyncio.wait_for(next_one, 1.0)
    places.release()
    assert places.take_now()
