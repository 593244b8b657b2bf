"""Recordings that are still to be heard by the server's own ears: tasks until their words are stored.

Hearing is free up to a ceiling a day for an account, which is counted in the commit that stores the words. If
the recording is erased meanwhile, its row is gone, and that commit writes nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import structlog

from policies.tasks import SECOND_US, QueuedTask
from proxy.catalogue.ears import NoEars, OwnRecording, OwnTranscript
from proxy.file_store.vault import VaultFailed
from proxy.queue.tasks import Delayed, Done, Result, TaskKind
from proxy.storage.store import ALWAYS, Condition, Params, Statement, Store
from proxy.storage.tables import Table
from proxy.storage.task_tables import TaskTable
from speech_engine import EngineError

MOST_FREE_S = 600.0
"""Of an account and a day."""
_DAY_US = 86_400 * SECOND_US
_TRIES = 4
"""After so many it is given up, a minute after the first one."""
_WITHIN_S = 60.0

_log = structlog.get_logger()

TABLE = Table(
    "hearings",
    erased_with=("DELETE FROM hearings WHERE id = :subject",),
    closed_with=("DELETE FROM hearings WHERE account = :id",),
)
FREE_TABLE = Table(
    "free_hearing", key=("account",), closed_with=("DELETE FROM free_hearing WHERE account = :id",)
)


class HearingRow(QueuedTask, frozen=True, kw_only=True):
    """A recording that is still to be heard. `id` is that of its consent, clip or voice."""

    id: str
    account: str


TASKS = TaskTable("hearings", HearingRow, "id <> ''")
_ADD = """
INSERT INTO hearings (id, account) SELECT CAST(:hearing AS TEXT), CAST(:hearing_of AS TEXT) WHERE {only_if}
ON CONFLICT DO NOTHING
"""
_FREE_TODAY = "SELECT seconds FROM free_hearing WHERE account = :account AND day = :day"
_COUNT = f"""
INSERT INTO free_hearing (account, day, seconds, last)
SELECT CAST(:account AS TEXT), CAST(:day AS BIGINT), CAST(:seconds AS DOUBLE PRECISION), CAST(:wish AS TEXT)
WHERE {TASKS.finished}
ON CONFLICT (account) DO UPDATE SET
    seconds = excluded.seconds
        + CASE WHEN free_hearing.day = excluded.day THEN free_hearing.seconds ELSE 0 END,
    day = excluded.day, last = excluded.last
WHERE free_hearing.day <> excluded.day
    OR free_hearing.seconds + excluded.seconds <= CAST(:most AS DOUBLE PRECISION)
"""
_STOP = "DELETE FROM hearings WHERE id = :hearing"
_END = Statement("DELETE FROM hearings WHERE id = :wish AND fence = :fence AND lease = 0")
_END_COUNTED = Statement(
    f"{_END.sql} AND EXISTS (SELECT 1 FROM free_hearing WHERE last = :wish AND account = hearings.account)"
)
"""If another recording has used the day up meanwhile, this one is looked at again."""
COUNTED = Condition(
    f"{TASKS.finished} AND EXISTS (SELECT 1 FROM free_hearing WHERE last = :wish"
    " AND account = (SELECT account FROM hearings WHERE id = :wish))",
    {},
)
"""The condition of the statements that store words."""


class WordChange(NamedTuple):
    """The statements that store words, if `COUNTED` is true, or that there are none, if `TASKS.finished` is.
    If `only_if` is false in their commit, the recording is heard again."""

    statements: Sequence[Statement] = ()
    only_if: Condition = ALWAYS


class HearingUse(NamedTuple):
    """The use of the words of one kind of recordings.

    `recording` returns None if it is gone or is not heard, and raises VaultFailed. `change` stores words, or
    that there are none. `stored` is called after the commit.
    """

    recording: Callable[[HearingRow], Awaitable[OwnRecording | None]]
    change: Callable[[HearingRow, OwnTranscript | None], Awaitable[WordChange]]
    stored: Callable[[HearingRow], None] = lambda _held: None


class Hearings(TaskKind[HearingRow]):
    """The hearings of one worker. `uses` are by the prefixes of ids: later features add theirs. If it
    `must_hear`, none is given up: who keeps the ears busy gets no voice by that."""

    name = "hearings"
    table = TASKS
    most_at_once = 2
    may_outlive_worker = False

    def __init__(self, store: Store, ears: NoEars) -> None:
        super().__init__(store)
        self.ears = ears
        self.uses: dict[str, HearingUse] = {}
        self.must_hear = False
        self._only_if: dict[str, Condition] = {}

    def queue_statements(
        self, id_: str, account: str, language: str, only_if: Condition = ALWAYS
    ) -> tuple[Statement, ...]:
        """Return the statements that have a recording heard, for the commit that stores it."""
        if not self.ears.may_hear(language):
            return ()
        params = {**only_if.params, "hearing": id_, "hearing_of": account}
        return (*only_if.locks, Statement(_ADD.format(only_if=only_if.sql), params))

    def stop_statement(self, id_: str) -> Statement:
        return Statement(_STOP, {"hearing": id_})

    async def is_waiting(self, id_: str) -> bool:
        return await self.table.get(self._store, id_) is not None

    async def work(self, held: HearingRow) -> Result:
        use = self.uses[held.id.partition("_")[0]]
        try:
            is_given_up = held.tries >= _TRIES and not self.must_hear
            recording = None if is_given_up else await use.recording(held)
            if recording is None or not await self.is_free(held.account, recording.length_s):
                return self._done(held, (), await use.change(held, None))
            text = await self.ears.hear(recording, _WITHIN_S)
            change = await use.change(held, text)
        except (EngineError, VaultFailed) as error:
            _log.warning("hearing.failed", hearing=held.id, error=type(error).__name__)
            return Delayed(type(error).__name__)
        row: Params = {
            "account": held.account,
            "day": await self._store.now() // _DAY_US,
            "seconds": recording.length_s,
            "most": MOST_FREE_S,
        }
        return self._done(held, (Statement(_COUNT, row),), change)

    def commit_condition(self, held: HearingRow) -> Condition:
        return self._only_if.pop(held.id, ALWAYS)

    def after_attempt(self, held: HearingRow, result: Result) -> None:
        if isinstance(result, Done):
            self.uses[held.id.partition("_")[0]].stored(held)

    def _done(self, held: HearingRow, first: tuple[Statement, ...], change: WordChange) -> Done:
        self._only_if[held.id] = change.only_if
        return Done(also=(*first, *change.statements, _END_COUNTED if first else _END))

    async def is_free(self, account: str, seconds: float) -> bool:
        """Tell whether so many more seconds are below the ceiling of this day."""
        day = await self._store.now() // _DAY_US
        rows = await self._store.read(_FREE_TODAY, {"account": account, "day": day})
        used_s: float = sum(row["seconds"] for row in rows)
        return used_s + seconds <= MOST_FREE_S
