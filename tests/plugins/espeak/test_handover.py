"""The way between the threads: order, the bound, and both ends leaving."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

from plugins.espeak.handover import Handover
from speech_engine import Audio, Word, Words

CHUNK = bytes(1000)


async def test_everything_that_goes_in_comes_out_in_order_and_ends() -> None:
    handover = Handover()
    sent: list[Audio | Words] = [Audio(0, b"aa"), Words((Word(0, 0, 1),))]
    sent += [Audio(1, bytes((n, 0))) for n in range(200)]

    def speak() -> None:
        for event in sent:
            assert handover.put(event)
        handover.end()

    with ThreadPoolExecutor(1) as thread:
        work = thread.submit(speak)
        assert [event async for event in handover.events()] == sent
        work.result()


async def test_the_writer_waits_at_the_bound_until_something_is_read() -> None:
    handover = Handover(limit_bytes=3000)
    put: list[int] = []
    is_full = threading.Event()

    def speak() -> None:
        for number in range(9):
            if number == 3:
                is_full.set()
            handover.put(Audio(number, CHUNK))
            put.append(number)
        handover.end()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(speak)
        await asyncio.to_thread(is_full.wait)
        read = 0
        async for event in handover.events():
            # Never further ahead than the bound allows: what was read, what waits, and one being put.
            assert len(put) <= read + 5
            assert isinstance(event, Audio)
            assert event.segment == read
            read += 1
    assert read == 9
    assert "0 bytes waiting" in repr(handover)


async def test_closing_lets_a_waiting_writer_go() -> None:
    handover = Handover(limit_bytes=1)
    assert handover.put(Audio(0, CHUNK))
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(handover.put, Audio(0, CHUNK))
        handover.close()
        assert await asyncio.wrap_future(waiting) is False
    assert handover.put(Audio(0, CHUNK)) is False


def test_a_writer_whose_event_loop_is_gone_is_told_to_stop() -> None:
    async def make() -> Handover:
        return Handover()

    handover = asyncio.run(make())
    handover.put(Audio(0, CHUNK))
    assert handover.put(Audio(0, CHUNK)) is False
