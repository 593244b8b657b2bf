"""Tasks that recognise the words of stored recordings with the server's own models: a "hearing" each.

An account has `MOST_FREE_S` seconds of hearing a day, free of charge. The commit that stores the words counts
them. If the recording was erased meanwhile, its row is gone, and this commit writes nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import structlog

from policies.tasks import SECOND_US, QueuedTask
from proxy.catalogue.recognition import LocalRecognition, OwnRecording, OwnTranscript
from proxy.file_store.vault import VaultFailed
from proxy.queue.tasks import Delayed, Done, Result, TaskKind
from proxy.storage.store import ALWAYS, Condition, Params, Statement, Store
from proxy.storage.tables import Table
from proxy.storage.task_tables import TaskTable
from speech_engine import EngineError

MOST_FREE_S = 600.0
"""The seconds of recordings that are heard for an account in a day."""
_DAY_US = 86_400 * SECOND_US
_TRIES = 4
"""After so many tries, about a minute after the first one, a hearing is given up."""
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
    """A recording that is still to be heard. `id` is that of its consent, clip or voice. `account` owns
    it."""

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
"""If another recording has used up the day's seconds meanwhile, the row stays, and this one is tried
again."""
COUNTED = Condition(
    f"{TASKS.finished} AND EXISTS (SELECT 1 FROM free_hearing WHERE last = :wish"
    " AND account = (SELECT account FROM hearings WHERE id = :wish))",
    {},
)
"""The condition of the statements that store words: the hearing has ended, and its seconds were counted."""


class WordChange(NamedTuple):
    """The statements that store the words of a recording, under the condition `COUNTED`. If nothing was
    recognised, they store this under `TASKS.finished`. If `only_if` is false in their commit, the recording
    is heard again."""

    statements: Sequence[Statement] = ()
    only_if: Condition = ALWAYS


class HearingUse(NamedTuple):
    """How the words of one kind of recordings are stored.

    `load` returns None if the recording is gone or need not be heard, and raises VaultFailed. `change_words`
    returns the statements that store a transcript, or without one that there is none. `after_commit` is
    called when they are written.
    """

    load: Callable[[HearingRow], Awaitable[OwnRecording | None]]
    change_words: Callable[[HearingRow, OwnTranscript | None], Awaitable[WordChange]]
    after_commit: Callable[[HearingRow], None] = lambda _task: None


class Hearings(TaskKind[HearingRow]):
    """The hearings of one worker. `uses` are by the prefix of the id, and later features add theirs.

    With `must_hear`, no hearing is given up. Otherwise a caller could keep the models busy until a consent
    counts as unchecked.
    """

    name = "hearings"
    table = TASKS
    most_at_once = 2
    may_outlive_worker = False

    def __init__(self, store: Store, recognition: LocalRecognition) -> None:
        super().__init__(store)
        self.recognition = recognition
        self.uses: dict[str, HearingUse] = {}
        self.must_hear = False
        self._only_if: dict[str, Condition] = {}

    def queue_statements(
        self, id_: str, account: str, language: str, only_if: Condition = ALWAYS
    ) -> tuple[Statement, ...]:
        """Return the statements that add a hearing, for the commit that stores its recording."""
        if not self.recognition.may_hear(language):
            return ()
        params = {**only_if.params, "hearing": id_, "hearing_of": account}
        return (*only_if.locks, Statement(_ADD.format(only_if=only_if.sql), params))

    def stop_statement(self, id_: str) -> Statement:
        return Statement(_STOP, {"hearing": id_})

    async def is_waiting(self, id_: str) -> bool:
        return await self.table.get(self._store, id_) is not None

    async def work(self, task: HearingRow) -> Result:
        # The id begins with the prefix of its kind, such as `cons_`.
        use = self.uses[task.id.partition("_")[0]]
        try:
            is_given_up = task.tries >= _TRIES and not self.must_hear
            recording = None if is_given_up else await use.load(task)
            if recording is None or not await self.has_time_left(task.account, recording.length_s):
                return self._end_task(task, (), await use.change_words(task, None))
            text = await self.recognition.hear(recording, _WITHIN_S)
            change = await use.change_words(task, text)
        except (EngineError, VaultFailed) as error:
            _log.warning("hearing.failed", hearing=task.id, error=type(error).__name__)
            return Delayed(type(error).__name__)
        row: Params = {
            "account": task.account,
            "day": await self._store.now() // _DAY_US,
            "seconds": recording.length_s,
            "most": MOST_FREE_S,
        }
        return self._end_task(task, (Statement(_COUNT, row),), change)

    def commit_condition(self, task: HearingRow) -> Condition:
        return self._only_if.pop(task.id, ALWAYS)

    def after_attempt(self, task: HearingRow, result: Result) -> None:
        if isinstance(result, Done):
            self.uses[task.id.partition("_")[0]].after_commit(task)

    def _end_task(self, task: HearingRow, counting: tuple[Statement, ...], change: WordChange) -> Done:
        """End a hearing. If statements count its seconds, it ends only if they were counted."""
        self._only_if[task.id] = change.only_if
        return Done(also=(*counting, *change.statements, _END_COUNTED if counting else _END))

    async def has_time_left(self, account: str, seconds: float) -> bool:
        """Tell whether an account may have so many more seconds heard today."""
        day = await self._store.now() // _DAY_US
        rows = await self._store.read(_FREE_TODAY, {"account": account, "day": day})
        used_s: float = sum(row["seconds"] for row in rows)
        return used_s + seconds <= MOST_FREE_S
