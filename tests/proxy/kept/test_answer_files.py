"""The folder of kept answers, where several workers meet at the same moment."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from proxy.kept import locked_files
from proxy.kept.locked_files import Lock
from tests.proxy.api.scripted import Scripted, spoken
from tests.proxy.kept.idempotent import ask, is_replay, speaking


async def test_an_answer_that_ended_between_the_look_and_the_lock_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take, has_looked, may_take = locked_files.take, threading.Event(), threading.Event()

    def late(path: Path) -> Lock | None:
        monkeypatch.undo()
        has_looked.set()
        may_take.wait(10.0)
        return take(path)

    engine = Scripted(*spoken(0.5))
    async with speaking(tmp_path, engine) as server:
        monkeypatch.setattr(locked_files, "take", late)
        waiting = asyncio.create_task(ask(server))
        assert await asyncio.to_thread(has_looked.wait, 10.0)
        first = await ask(server)
        may_take.set()
        second = await waiting
    assert [is_replay(first), is_replay(second)] == [False, True]
    assert first.content == second.content
    assert len(engine.jobs) == 1
