"""Sound that a client takes slowly: in order, bounded, on the disk without a name, and gone at the end."""

import asyncio
import os
from pathlib import Path
from threading import Event
from typing import IO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.audio.formats import Chunk
from proxy.errors import ReaderTooSlow
from proxy.speech import prefetch, spill
from proxy.speech.prefetch import (
    BLOCK_BYTES,
    CROWDED_BYTES,
    CROWDED_QUEUE_BYTES,
    MEMORY_BYTES,
    SoundQueue,
)
from proxy.speech.spill import ReaderPace, SpillQuota

BLOCK = Chunk(bytes(BLOCK_BYTES), 7, 22_050)
IN_MEMORY = MEMORY_BYTES // BLOCK_BYTES


def ignore() -> None:
    """Nobody listens."""


async def fill(queue: SoundQueue, blocks: int) -> None:
    for _ in range(blocks):
        await queue.push(BLOCK)


def descriptors() -> set[str]:
    found = set()
    for each in os.listdir("/proc/self/fd"):
        try:
            found.add(os.readlink(f"/proc/self/fd/{each}"))
        except OSError:
            continue  # that of the listing itself
    return found


@given(sizes=st.lists(st.integers(1, 60), min_size=1, max_size=120), reads=st.lists(st.integers(0, 5)))
@settings(max_examples=min(80, settings().max_examples), deadline=None)
def test_what_comes_out_is_what_went_in_however_they_alternate(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], reads: list[int]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    went_in = [Chunk(os.urandom(size), number) for number, size in enumerate(sizes)]

    async def play() -> list[Chunk]:
        queue, came_out = SoundQueue(SpillQuota(folder, 1), ignore), []
        for number, chunk in enumerate(went_in):
            await queue.push(chunk)
            for _ in range(reads[number % len(reads)] if reads else 0):
                if (ready := queue.pop_ready()) is not None:
                    came_out.append(ready)
                elif queue:
                    came_out.append(await queue.pop())
        while queue:
            came_out.append(await queue.pop())
        await queue.close()
        return came_out

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prefetch, "MEMORY_BYTES", 100)
        patch.setattr(prefetch, "BLOCK_BYTES", 64)
        patch.setattr(prefetch, "CROWDED_BYTES", 80)
        patch.setattr(prefetch, "CROWDED_QUEUE_BYTES", 40)
        assert asyncio.run(play()) == went_in


async def test_the_queues_of_a_worker_have_little_in_memory_together(tmp_path: Path) -> None:
    room, chunks = SpillQuota(tmp_path, 256), [Chunk(bytes([number]) * 8192, 7) for number in range(160)]
    queues = [SoundQueue(room, ignore) for _ in range(40)]
    for chunk in chunks:
        for queue in queues:
            await queue.push(chunk)
        assert room.memory_bytes <= CROWDED_BYTES + len(queues) * 2 * CROWDED_QUEUE_BYTES
    for number, queue in enumerate(queues):
        came_out = [await queue.pop() for _ in chunks[: 160 if number % 2 else 80]]
        assert came_out == chunks[: len(came_out)]
        assert room.memory_bytes <= CROWDED_BYTES + len(queues) * 2 * CROWDED_QUEUE_BYTES
        await queue.close()
    assert room.memory_bytes == 0


async def test_sound_that_is_in_the_file_is_not_counted_in_memory(tmp_path: Path) -> None:
    room = SpillQuota(tmp_path, 64)
    queue = SoundQueue(room, ignore)
    await fill(queue, IN_MEMORY + 1)
    assert room.memory_bytes == MEMORY_BYTES
    await queue.close()


async def test_beyond_its_memory_sound_lies_in_a_file_that_nobody_can_open(tmp_path: Path) -> None:
    room = SpillQuota(tmp_path, 64)
    queue = SoundQueue(room, ignore)
    before = descriptors()
    await fill(queue, IN_MEMORY)
    assert descriptors() == before
    await fill(queue, 8)
    assert len(descriptors() - before) == 1
    assert not os.listdir(tmp_path)
    taken = 0
    while queue:
        assert await queue.pop() == BLOCK
        taken += 1
    assert taken == IN_MEMORY + 8
    await queue.close()
    assert descriptors() == before
    assert repr(room) == f"<SpillQuota 0 of {64 * 2**20} bytes, 0 files>"


async def test_the_slowest_reader_makes_room_for_the_others(tmp_path: Path) -> None:
    room, told = SpillQuota(tmp_path, 4), list[str]()
    slow = SoundQueue(room, lambda: told.append("slow"))
    quick = SoundQueue(room, lambda: told.append("quick"))
    for queue in (quick, slow):
        await fill(queue, IN_MEMORY + 6)
    for _ in range(4):
        await quick.pop()
    await fill(quick, 9)
    assert told == ["slow"]
    with pytest.raises(ReaderTooSlow):
        await slow.pop()
    with pytest.raises(ReaderTooSlow):
        await slow.push(BLOCK)
    taken = 0
    while quick:
        assert await quick.pop() == BLOCK
        taken += 1
    assert taken == IN_MEMORY + 6 - 4 + 9
    for queue in (slow, quick):
        await queue.close()
    assert repr(room).startswith("<SpillQuota 0 of")


class Hours:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_who_is_slow_is_judged_by_seconds_of_sound_and_not_by_bytes(tmp_path: Path) -> None:
    clock, room, told = Hours(), SpillQuota(tmp_path, 4), list[str]()
    pcm = SoundQueue(room, lambda: told.append("PCM at half the pace"), ReaderPace(clock))
    mp3 = SoundQueue(room, lambda: told.append("MP3 as it is heard"), ReaderPace(clock))
    second, shrunk = Chunk(bytes(48_000), 24_000), Chunk(bytes(8_000), 24_000)
    for queue, chunk, count in ((pcm, second, 45), (mp3, shrunk, 170)):
        for _ in range(count):
            await queue.push(chunk)
    clock.now = 20.0
    for queue, count in ((pcm, 10), (mp3, 20)):
        for _ in range(count):
            await queue.pop()
    while not told:
        await mp3.push(shrunk)
    assert told == ["PCM at half the pace"]
    for queue in (pcm, mp3):
        await queue.close()


async def test_the_next_part_of_a_quick_client_stays_beside_a_slow_one(tmp_path: Path) -> None:
    clock, room, told = Hours(), SpillQuota(tmp_path, 4), list[str]()
    slow = SoundQueue(room, lambda: told.append("slow"), ReaderPace(clock))
    quick = ReaderPace(clock)
    now, later = (SoundQueue(room, lambda: told.append("quick"), quick) for _ in range(2))
    second = Chunk(bytes(48_000), 24_000)
    for queue, count in ((slow, 60), (now, 10), (later, 60)):
        for _ in range(count):
            await queue.push(second)
    clock.now = 5.0
    for queue, count in ((slow, 1), (now, 10)):
        for _ in range(count):
            await queue.pop()
    for _ in range(30):
        await later.push(second)
    assert told == ["slow"]
    for queue in (slow, now, later):
        await queue.close()


def test_a_client_is_not_slow_while_it_waits_for_us() -> None:
    clock = Hours()
    waits, stalls = ReaderPace(clock), ReaderPace(clock)
    with waits.resting():
        clock.now = 50.0
        assert (round(waits.value, 2), round(stalls.value, 2)) == (2.0, 0.04)
    clock.now = 51.0
    assert waits.value == 1.0


async def test_without_any_room_a_queue_keeps_what_its_memory_holds(tmp_path: Path) -> None:
    queue = SoundQueue(SpillQuota(tmp_path, 0), ignore)
    await fill(queue, IN_MEMORY)
    with pytest.raises(ReaderTooSlow):
        await fill(queue, 1)
    await queue.close()


async def test_a_full_disk_breaks_the_answer_that_needs_it(tmp_path: Path) -> None:
    queue = SoundQueue(SpillQuota(tmp_path / "gone", 64), ignore)
    with pytest.raises(ReaderTooSlow):
        await fill(queue, IN_MEMORY + 1)
    await queue.close()


async def test_a_read_that_is_cancelled_loses_nothing(tmp_path: Path) -> None:
    queue = SoundQueue(SpillQuota(tmp_path, 64), ignore)
    await fill(queue, IN_MEMORY + 4)
    for _ in range(IN_MEMORY):
        await queue.pop()
    taken = 0
    for patience in range(1, 4):
        reading = asyncio.create_task(queue.pop())
        for _ in range(patience):
            await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait([reading])
        taken += not reading.cancelled()
    while queue:
        assert await queue.pop() == BLOCK
        taken += 1
    assert taken == 4
    await queue.close()


async def test_a_thread_that_still_writes_keeps_the_file_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the file were closed, the thread would write into whatever is opened next."""
    goes_on, has_begun, is_open = Event(), Event(), []

    def write(file: IO[bytes], _data: bytes, _at: int) -> None:
        has_begun.set()
        goes_on.wait(20.0)
        is_open.append(not file.closed)

    monkeypatch.setattr(spill, "_write_all", write)
    queue = SoundQueue(SpillQuota(tmp_path, 64), ignore)
    filling = asyncio.create_task(fill(queue, IN_MEMORY + 1))
    assert await asyncio.to_thread(has_begun.wait, 20.0)
    filling.cancel()
    await asyncio.wait((filling,))
    closing = asyncio.create_task(queue.close())
    await asyncio.sleep(0)
    goes_on.set()
    await closing
    assert is_open == [True]
