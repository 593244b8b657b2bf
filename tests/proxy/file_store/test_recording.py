"""A recording: its bytes reach the disk whole or not at all, and the disk never fails an answer."""

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from proxy.file_store import locked_files
from proxy.file_store.locked_files import Lock
from proxy.file_store.recording import BLOCK_BYTES, FileRecording

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

MOST = 64 * 1024 * 1024


def record(folder: Path, most_bytes: int = MOST) -> FileRecording:
    lock = locked_files.take_lock(folder / "name")
    assert lock is not None
    return FileRecording(lock, most_bytes)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_a_small_one_is_written_at_its_end_with_its_tail(tmp_path: Path) -> None:
    recording = record(tmp_path)
    recording.add(b"one ")
    recording.add(b"two")
    assert (recording.size, recording.content) == (7, b"one two")
    assert names(tmp_path) == ["name.lock"]
    await recording.complete(b" tail")
    await recording.close(keep=True)
    assert names(tmp_path) == ["name"]
    assert (tmp_path / "name").read_bytes() == b"one two tail"
    assert recording.is_stored


async def test_a_large_one_is_written_as_it_comes(tmp_path: Path) -> None:
    recording = record(tmp_path)
    sent = b""
    for number in range(9):
        block = bytes([number]) * (BLOCK_BYTES // 2)
        sent += block
        recording.add(block)
        await recording.keep_up()
    assert recording.content is None
    assert (tmp_path / "name.part").stat().st_size >= 4 * BLOCK_BYTES
    await recording.complete()
    await recording.close(keep=True)
    assert (tmp_path / "name").read_bytes() == sent


@pytest.mark.parametrize("is_complete", [True, False])
async def test_a_recording_that_is_not_to_be_kept_leaves_nothing(tmp_path: Path, is_complete: bool) -> None:
    recording = record(tmp_path)
    recording.add(bytes(BLOCK_BYTES))
    await recording.keep_up()
    if is_complete:
        await recording.complete()
    await recording.close()
    assert names(tmp_path) == []
    assert not recording.is_stored


async def test_another_name_than_that_of_the_lock_is_dropped_too(tmp_path: Path) -> None:
    recording = record(tmp_path)
    recording.add(b"x")
    await recording.complete(name="other")
    assert names(tmp_path) == ["name.lock", "other"]
    await recording.close()
    assert names(tmp_path) == []


async def test_only_a_whole_file_is_kept(tmp_path: Path) -> None:
    recording = record(tmp_path)
    recording.add(bytes(BLOCK_BYTES))
    await recording.close(keep=True)
    assert names(tmp_path) == []
    assert not recording.is_stored


async def test_a_recording_that_is_too_large_is_given_up_without_a_failure(tmp_path: Path) -> None:
    recording = record(tmp_path, most_bytes=10)
    recording.add(bytes(11))
    recording.add(bytes(11))
    await recording.complete()
    await recording.close(keep=True)
    assert (recording.is_given_up, recording.failure, recording.is_stored) == (True, None, False)
    assert names(tmp_path) == []


async def test_a_flush_that_fails_after_the_file_has_its_name_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flush, flushes = os.fsync, 0

    def fail_second(file: int) -> None:
        nonlocal flushes
        flushes += 1
        if flushes == 2:
            raise OSError(5, "the disk is ill")
        flush(file)

    recording = record(tmp_path)
    recording.add(b"x")
    monkeypatch.setattr(os, "fsync", fail_second)
    await recording.complete()
    await recording.close(keep=True)
    assert (str(recording.failure), recording.is_stored) == ("[Errno 5] the disk is ill", False)
    assert names(tmp_path) == []


async def test_the_adder_never_waits_and_who_keeps_up_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, create_part = asyncio.get_running_loop(), Lock.create_part
    hangs, may_go_on = asyncio.Event(), threading.Event()

    class Slow(FileIO):
        def write(self, data: "Buffer") -> int:
            loop.call_soon_threadsafe(hangs.set)
            may_go_on.wait(20)
            return super().write(data)

    def slow(lock: Lock) -> FileIO:
        with create_part(lock) as part:
            return Slow(os.dup(part.fileno()), "w")

    monkeypatch.setattr(Lock, "create_part", slow)
    recording = record(tmp_path)
    recording.add(bytes(BLOCK_BYTES))
    await hangs.wait()
    keeping_up = asyncio.create_task(recording.keep_up())
    for _ in range(16):
        recording.add(bytes(BLOCK_BYTES))
    assert not recording.is_given_up
    assert not keeping_up.done()
    may_go_on.set()
    await keeping_up
    await recording.complete()
    await recording.close(keep=True)
    assert (tmp_path / "name").stat().st_size == 17 * BLOCK_BYTES


async def test_a_disk_that_is_far_behind_loses_the_recording_and_not_the_answer(tmp_path: Path) -> None:
    held = threading.Event()
    with ThreadPoolExecutor(1) as threads:
        threads.submit(held.wait)
        recording = FileRecording(locked_files.take_lock(tmp_path / "name"), MOST, threads)
        recording.add(bytes(BLOCK_BYTES))
        await asyncio.sleep(0)
        for _ in range(17):
            recording.add(bytes(BLOCK_BYTES))
        before = recording.is_given_up
        recording.add(b"one more")
        held.set()
        await recording.close(keep=True)
    assert (before, "slower than the speech" in str(recording.failure)) == (False, True)
    assert names(tmp_path) == []


async def test_a_close_that_is_cancelled_early_still_frees_the_name(
    tmp_path: Path,
) -> None:
    held = threading.Event()
    lock = locked_files.take_lock(tmp_path / "name")
    with ThreadPoolExecutor(1) as threads:
        threads.submit(held.wait)
        recording = FileRecording(lock, MOST, threads)
        closing = asyncio.create_task(recording.close())
        await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait([closing])
        assert locked_files.take_lock(tmp_path / "name") is None
        held.set()
    await asyncio.sleep(0)
    again = locked_files.take_lock(tmp_path / "name")
    assert again is not None
    again.release()
