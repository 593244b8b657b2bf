"""Spool: everything comes out in order, no more is kept than allowed, and neither side waits for ever."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from speech_engine.events import Audio, Encoded, Finished, Started
from speech_engine.host.messages import Frame
from speech_engine.host.spool import Spool, SpoolQuota
from tests.speech_engine.host.visitors import steps

SOON_S = 10.0
"""Nothing here needs the clock; past this it would wait for ever."""


async def _fill(spool: Spool, frames: list[Frame]) -> None:
    for frame in frames:
        await spool.put(frame)
    spool.end()


async def test_frames_that_were_put_come_out_in_order() -> None:
    frames: list[Frame] = [
        Started(24_000),
        Audio(0, b"ab"),
        Encoded("mp3", b"xyz"),
        Audio(1, b"cd"),
        Finished(),
    ]
    spool = Spool(SpoolQuota())
    await _fill(spool, frames)
    assert await _all(spool) == frames


async def test_a_full_spool_holds_the_engine_until_there_is_room() -> None:
    spool = Spool(SpoolQuota(), limit_bytes=10)
    filling = asyncio.create_task(_fill(spool, [Audio(number, b"12345678") for number in range(4)]))
    await steps()
    assert repr(spool) == "<Spool 2 frames, 16 bytes>"
    assert not filling.done()
    assert await spool.next_frame() == Audio(0, b"12345678")
    await steps()
    assert repr(spool) == "<Spool 2 frames, 16 bytes>"
    assert await _all(spool) == [Audio(number, b"12345678") for number in (1, 2, 3)]
    assert filling.done()


async def test_a_reader_waits_for_what_is_not_there_yet() -> None:
    spool = Spool(SpoolQuota())
    reading = asyncio.create_task(_all(spool))
    await steps()
    await spool.put(Finished(1.0))
    assert not reading.done()
    spool.end()
    assert await asyncio.wait_for(reading, SOON_S) == [Finished(1.0)]


async def test_a_spool_that_ends_empty_ends_its_reader() -> None:
    spool = Spool(SpoolQuota())
    reading = asyncio.create_task(_all(spool))
    await steps()
    spool.end()
    assert await asyncio.wait_for(reading, SOON_S) == []


async def test_an_engine_that_is_held_can_be_cancelled() -> None:
    spool = Spool(SpoolQuota(), limit_bytes=0)
    await spool.put(Audio(0, b"1234"))
    held = asyncio.create_task(spool.put(Audio(0, b"5678")))
    await steps()
    held.cancel()
    await asyncio.wait([held])
    assert held.cancelled()
    assert repr(spool) == "<Spool 1 frames, 4 bytes>"


async def test_all_spools_together_are_bounded_and_each_gets_on() -> None:
    room = SpoolQuota(limit_bytes=10)
    quiet, busy = Spool(room), Spool(room)
    await _fill(quiet, [Audio(number, b"12345678") for number in range(2)])
    filling = asyncio.create_task(_fill(busy, [Audio(number, b"abcdefgh") for number in range(3)]))
    await steps()
    # However much nobody reads, the next one has a frame for its reader, and no more.
    assert (repr(busy), filling.done()) == ("<Spool 1 frames, 8 bytes>", False)
    assert [await busy.next_frame() for _ in range(3)] == [Audio(number, b"abcdefgh") for number in range(3)]
    assert filling.done()
    assert repr(room) == "<SpoolQuota 16 of 10 bytes>"


async def test_a_spool_that_is_given_up_makes_room_for_the_others() -> None:
    room = SpoolQuota(limit_bytes=10)
    left, waits = Spool(room), Spool(room)
    await _fill(left, [Audio(number, b"12345678") for number in range(2)])
    filling = asyncio.create_task(_fill(waits, [Audio(number, b"abcdefgh") for number in range(2)]))
    await steps()
    assert not filling.done()
    left.close()
    await steps()
    assert filling.done()
    waits.close()
    assert repr(room) == "<SpoolQuota 0 of 10 bytes>"


async def _all(spool: Spool) -> list[Frame]:
    frames = []
    while (frame := await spool.next_frame()) is not None:
        frames.append(frame)
    return frames


@given(
    sizes=st.lists(st.integers(0, 20), max_size=30),
    limit=st.integers(0, 30),
    pauses=st.lists(st.integers(0, 3), min_size=62, max_size=62),
)
@settings(deadline=None)
def test_nothing_is_lost_or_hoarded_at_any_pace(sizes: list[int], limit: int, pauses: list[int]) -> None:
    async def play() -> None:
        spool, taken, most = Spool(SpoolQuota(), limit), list[Frame](), 0
        made: list[Frame] = [Audio(number, bytes(size)) for number, size in enumerate(sizes)]
        pace = iter(pauses)

        async def fill() -> None:
            nonlocal most
            for frame in made:
                await spool.put(frame)
                most = max(most, spool._bytes)
                await steps(next(pace))
            spool.end()

        filling = asyncio.create_task(fill())
        while (frame := await spool.next_frame()) is not None:
            taken.append(frame)
            await steps(next(pace))
        await filling
        assert taken == made
        assert most <= limit + max(sizes, default=0)

    asyncio.run(asyncio.wait_for(play(), SOON_S))
