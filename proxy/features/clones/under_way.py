"""The clones that one worker makes and deletes at this moment: how many at once, and for whom."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from proxy.features.clones.records import BindingRecord

MOST_AT_ONCE = 4
"""So many clones are made at once at each account of a provider, and as many are deleted."""
_CLOSING_S = 5.0


class _CloneTask(NamedTuple):
    task: asyncio.Task[None]
    record: BindingRecord

    def is_beside(self, other: BindingRecord) -> bool:
        """Tell whether this takes a place that the other one could have."""
        ours = self.record
        return (ours.engine, ours.credential, _kind(ours)) == (other.engine, other.credential, _kind(other))


class ClonesUnderWay:
    """The tasks, by their rows. `ended` is set when the next one has ended, and then another event stands
    for it. `on_end` is called at each end."""

    def __init__(self, on_end: Callable[[], None]) -> None:
        self.ended = asyncio.Event()
        self._on_end = on_end
        self._tasks: dict[str, _CloneTask] = {}

    def __repr__(self) -> str:
        return f"<ClonesUnderWay {len(self._tasks)}>"

    def has_place(self, record: BindingRecord) -> bool:
        """Tell whether a row may be worked on now. An account has one clone at a time made at each place."""
        if record.id in self._tasks:
            return False
        beside = [each.record for each in self._tasks.values() if each.is_beside(record)]
        if _kind(record) == "make" and any(each.account == record.account for each in beside):
            return False
        return len(beside) < MOST_AT_ONCE

    def begin(self, record: BindingRecord, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name=f"clone {record.id}")
        self._tasks[record.id] = _CloneTask(task, record)
        task.add_done_callback(self._note_end)

    def forget_ended(self) -> None:
        """Forget what has ended. A failure of ours is raised here, in the caller's background task."""
        for id_ in [id_ for id_, each in self._tasks.items() if each.task.done()]:
            self._tasks.pop(id_).task.result()

    async def finish(self) -> None:
        """Wait until nothing is under way."""
        while self._tasks:
            await asyncio.wait([each.task for each in self._tasks.values()])
            self.forget_ended()

    async def close(self) -> None:
        """Stop what is under way. Its leases end by themselves, when its providers have ended it too."""
        tasks = [each.task for each in self._tasks.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=_CLOSING_S)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    def _note_end(self, _task: asyncio.Task[None]) -> None:
        self._on_end()
        self.ended.set()
        self.ended = asyncio.Event()


def _kind(record: BindingRecord) -> str:
    """Return what the next step of a row is for: a deletion, a clone, or only the row itself."""
    if record.state == "doomed":
        return "delete"
    return "make" if record.state in ("wanted", "making") else "note"
