"""The room on the disk: promised to whole answers, and never taken from who keeps up."""

import asyncio
import os
from pathlib import Path
from typing import IO

import pytest

from proxy.audio.formats import Chunk
from proxy.errors import NoDiskSpace, ReaderTooSlow
from proxy.speech.spill import ReaderPace, SpillFile, SpillQuota
from proxy.speech_steps.whole_file import BLOCK_BYTES, SpilledBytes

MEGABYTE = 2**20


def ignore() -> None:
    """Nobody listens."""


class Room(SpillQuota):
    """One that remembers its files."""

    def __init__(self, folder: Path, megabytes: int) -> None:
        super().__init__(folder, megabytes)
        self.opened: list[IO[bytes]] = []

    def open(self) -> IO[bytes]:
        self.opened.append(super().open())
        return self.opened[-1]

    @property
    def on_disk(self) -> int:
        return sum(os.fstat(file.fileno()).st_size for file in self.opened if not file.closed)


def reader(room: SpillQuota, seconds: float, account: str = "") -> SpillFile:
    """The file of a stream whose client took so many seconds in the first one."""
    pace = ReaderPace(lambda: 0.0, account=account)
    pace.note_chunk(Chunk(b"", round((seconds - 2.0) * 24_000), 24_000))
    return SpillFile(room, ignore, pace)


def collected(room: SpillQuota, promised: int = 0, account: str = "eve") -> SpilledBytes:
    return SpilledBytes(room, ReaderPace(), room.reserve(account, promised), ignore)


async def test_a_whole_answer_that_needs_more_than_its_room_breaks_itself(tmp_path: Path) -> None:
    room = SpillQuota(tmp_path, 4)
    keeps_up = reader(room, 1.5)
    await keeps_up.append(bytes(3 * MEGABYTE))
    whole = collected(room)
    with pytest.raises(NoDiskSpace):
        await whole.add(bytes(2 * MEGABYTE))
    assert not keeps_up.is_broken
    for file in (keeps_up, whole):
        await file.close()


async def test_a_whole_answer_has_its_room_whatever_streams_want(tmp_path: Path) -> None:
    room = SpillQuota(tmp_path, 4)
    whole = collected(room, 2 * MEGABYTE)
    stream = reader(room, 1.5)
    with pytest.raises(ReaderTooSlow):
        await stream.append(bytes(3 * MEGABYTE))
    await whole.add(bytes(2 * MEGABYTE))
    for file in (stream, whole):
        await file.close()


async def test_among_streams_that_keep_up_the_account_with_the_most_makes_room(tmp_path: Path) -> None:
    room = SpillQuota(tmp_path, 4)
    neighbour = reader(room, 1.2, "ada")
    hoard = [reader(room, 1.5 + number, "eve") for number in range(3)]
    for file in (neighbour, *hoard):
        await file.append(bytes(MEGABYTE))
    await neighbour.append(bytes(1000))
    assert [file.is_broken for file in (neighbour, *hoard)] == [False, True, False, False]
    for file in (neighbour, *hoard):
        await file.close()
    assert repr(room).startswith("<SpillQuota 0 of")


def test_the_last_of_the_room_for_whole_answers_is_for_who_has_none(tmp_path: Path) -> None:
    room = SpillQuota(tmp_path, 8)
    first = room.reserve("eve", 3 * MEGABYTE)
    with pytest.raises(NoDiskSpace):
        room.reserve("eve", 2 * MEGABYTE)
    other = room.reserve("ada", 3 * MEGABYTE)
    with pytest.raises(NoDiskSpace):
        room.reserve("bob", 1)
    assert room.reserve("bob", 0).size == 0, "who needs none gets it"
    for reservation in (first, other):
        reservation.close()
    assert repr(room).startswith("<SpillQuota 0 of")


async def test_what_a_whole_answer_does_not_fill_is_others(tmp_path: Path) -> None:
    room = SpillQuota(tmp_path, 4)
    reservation = room.reserve("eve", 3 * MEGABYTE)
    file = SpillFile(room, ignore, reservation=reservation)
    await file.append(bytes(MEGABYTE))
    reservation.keep_used()
    assert repr(room).startswith(f"<SpillQuota {MEGABYTE} of")
    await file.close()
    reservation.close()
    assert repr(room) == f"<SpillQuota 0 of {4 * MEGABYTE} bytes, 0 files>"


async def test_who_does_not_keep_up_makes_room_for_a_promise(tmp_path: Path) -> None:
    room = SpillQuota(tmp_path, 4)
    slow, quick = reader(room, 0.5), reader(room, 1.5)
    for file in (slow, quick):
        await file.append(bytes(MEGABYTE))
    with pytest.raises(NoDiskSpace):
        room.reserve("eve", 3 * MEGABYTE + 1)
    assert not slow.is_broken, "nobody is broken off in vain"
    room.reserve("eve", 3 * MEGABYTE).close()
    assert (slow.was_cut, quick.was_cut) == (True, False)
    for file in (slow, quick):
        await file.close()


async def test_what_is_broken_off_leaves_the_disk_before_its_answer_ends(tmp_path: Path) -> None:
    room = Room(tmp_path, 1)
    wholes = [reader(room, 0.1 * number) for number in range(1, 9)]
    for file in wholes:
        await file.append(bytes(900_000))
    while at_work := [work for file in wholes for work in file._at_work]:
        await asyncio.wait(at_work)
    assert room.on_disk == 900_000
    assert [file.is_broken for file in wholes] == [True] * 7 + [False]
    for file in wholes:
        await file.close()


async def test_bytes_that_come_again_are_those_that_are_there(tmp_path: Path) -> None:
    room = Room(tmp_path, 8)
    whole = collected(room)
    await whole.add(bytes(3 * BLOCK_BYTES))
    await whole.clear()
    assert (whole.size, room.on_disk) == (0, 0)
    again = b"x" * BLOCK_BYTES
    await whole.add(again)
    assert await whole.read(0, BLOCK_BYTES) == again
    assert room.on_disk == BLOCK_BYTES
    await whole.close()
