"""The folder of kept answers, where several workers meet at the same moment."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from proxy.idempotency import files
from proxy.idempotency.files import Head, Lock
from tests.proxy.endpoints.scripted import Scripted, spoken
from tests.proxy.idempotent import ask, is_replay, speaking


def test_a_lock_has_one_holder_however_many_ask(tmp_path: Path) -> None:
    holders, most = 0, 0
    counting = threading.Lock()

    def take_often() -> None:
        nonlocal holders, most
        taken = 0
        while taken < 100:
            lock = files.take(tmp_path / "name")
            if lock is None:
                continue
            taken += 1
            with counting:
                holders += 1
                most = max(most, holders)
            with counting:
                holders -= 1
            lock.release()

    threads = [threading.Thread(target=take_often) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, holders) == (1, 0)
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_found_stays_readable_when_its_name_goes(tmp_path: Path) -> None:
    path = tmp_path / "name"
    with files.create_part(path) as part:
        part.write(Head("req_1", b"digest", (("content-type", "audio/pcm"),)).encoded() + b"the answer")
        files.complete_part(path, part)
    found = files.find(path)
    files.sweep(tmp_path, 0, 0.0)
    assert not list(tmp_path.iterdir())
    assert found is not None
    with found.file:
        assert (found.head.request, found.file.read()) == ("req_1", b"the answer")


def test_a_lock_whose_name_was_taken_away_meanwhile_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "name"
    first = files.take(path)
    assert first is not None
    opened = files._private

    def released_once_opened(lock: str, flags: int) -> int:
        number = opened(lock, flags)
        monkeypatch.undo()
        first.release()
        return number

    monkeypatch.setattr(files, "_private", released_once_opened)
    second = files.take(path)
    assert second is not None
    assert files.take(path) is None
    second.release()


async def test_an_answer_that_ended_between_the_look_and_the_lock_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take, has_looked, may_take = files.take, threading.Event(), threading.Event()

    def late(path: Path) -> Lock | None:
        monkeypatch.undo()
        has_looked.set()
        may_take.wait(10.0)
        return take(path)

    engine = Scripted(*spoken(0.5))
    async with speaking(tmp_path, engine) as server:
        monkeypatch.setattr(files, "take", late)
        waiting = asyncio.create_task(ask(server))
        assert await asyncio.to_thread(has_looked.wait, 10.0)
        first = await ask(server)
        may_take.set()
        second = await waiting
    assert [is_replay(first), is_replay(second)] == [False, True]
    assert first.content == second.content
    assert len(engine.jobs) == 1
