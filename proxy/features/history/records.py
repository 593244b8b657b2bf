"""Entries as rows, with their sound in the vault."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from policies.price import Operation
from proxy.file_store.sealed_blobs import SealedBlobs
from proxy.file_store.vault import SealedRecord
from proxy.speech.answer_check import CheckReport
from proxy.storage.blobs import drop_keys
from proxy.storage.disk_names import owner_name
from proxy.storage.listed_tables import ListedTable
from proxy.storage.rows import LAST_MOMENT, in_list
from proxy.storage.spoken_voices import BY_VOICE, has_erased_sql
from proxy.storage.store import ALWAYS, Condition, Params, Row, Statement
from proxy.storage.stored_days import StoredDays, list_old
from proxy.storage.tables import PathColumn, Remains, Table
from proxy.storage.turns import MOST_ROWS, write_in_turn
from speech_engine.redacted import Redacted

_BATCH = MOST_ROWS // 2
"""Entries that are deleted in one commit. Each may have a key of its sound."""


class HistoryRow(Redacted, msgspec.Struct, frozen=True, kw_only=True):
    """A request that was kept. `model` names the speakers as an answer does. `voices` are the saved voices
    that may have spoken, each between blanks. `digest` is the sound in the vault, "" for none, and `bytes`
    counts the sound and the sealed request."""

    id: str
    account: str
    created: int = 0
    operation: Operation
    model: str
    voice: str
    language: str
    format: str
    characters: int
    seconds: float
    tag: str
    voices: str
    digest: str = ""
    sound_format: str = ""
    sound_bytes: int = 0
    bytes: int = 0
    wrapped: str = ""
    sealed: str = ""

    @property
    def record(self) -> SealedRecord:
        return SealedRecord(self.wrapped, self.sealed)


class SealedRequest(Redacted, msgspec.Struct, frozen=True):
    """The sealed value of an entry: the body that asks for the same once more, and the report of a check."""

    body: dict[str, Any]
    check: CheckReport | None = None


class EntryFilter(msgspec.Struct, frozen=True):
    """Entries from `since` to before `until`, both in microseconds, of one voice or of all."""

    voice: str | None = None
    since: int = 0
    until: int = LAST_MOMENT


_LISTED = "(CAST(:voice AS TEXT) IS NULL OR voice = :voice) AND created >= :since AND created < :until"
_USAGE = "SELECT id, outcome, error, credits, refunded FROM usage WHERE id IN ({})"
_USED = "SELECT CAST(coalesce(sum(bytes), 0) AS BIGINT) AS used FROM history WHERE account = :account"
_FILTERED = f"SELECT id FROM history WHERE account = :account AND {_LISTED} LIMIT :limit"
_SURPLUS = """
SELECT id FROM (
    SELECT id, sum(bytes) OVER (ORDER BY created DESC, id DESC) AS total FROM history WHERE account = :account
) AS entries WHERE total > CAST(:most AS BIGINT) LIMIT :limit
"""
_OF_VOICE = f"SELECT id FROM history WHERE {BY_VOICE.format(':voice')} LIMIT :limit"
_ERASED = f"SELECT id FROM history WHERE {has_erased_sql('history', 'began >= :since AND ')} LIMIT :limit"
_DROP_KEYS = drop_keys("history", "digest")

TABLE = Table(
    "history",
    sealed=True,
    recordings=("digest",),
    personal=True,
    paths=(PathColumn("account", owner_name), PathColumn("digest", unless="")),
    remains=Remains(
        "files", f"SELECT 1 AS is_there FROM history WHERE {BY_VOICE.format(':subject')} LIMIT 1"
    ),
    closed_with=(_DROP_KEYS.format(only="history.account = :id"), "DELETE FROM history WHERE account = :id"),
)
HISTORY = ListedTable("history", HistoryRow, listed=_LISTED)


class HistoryStore(SealedBlobs):
    """The entries of all accounts. An erasure of a voice reaches them. Every method raises StorageFailed."""

    async def used_bytes(self, account: str) -> int:
        (row,) = await self.store.read(_USED, {"account": account})
        return int(row["used"])

    async def usage_of(self, ids: Sequence[str]) -> dict[str, Row]:
        """Return outcome, error and micro-credits of these requests. Old usage may be deleted."""
        names, params = in_list(ids or [""])  # `in_list` needs a value
        return {row["id"]: row for row in await self.store.read(_USAGE.format(names), params)}

    async def add(self, row: HistoryRow) -> bool:
        """Add an entry, unless its account was closed or one of its voices was erased meanwhile."""
        condition = ALWAYS
        if row.voices:
            names, params = in_list(row.voices.split(), "subject")
            sql = f"NOT EXISTS (SELECT 1 FROM erasures WHERE subject IN ({names}))"
            condition = Condition(sql, params)
        values = msgspec.structs.asdict(row)
        *_, added_rows = await self.store.write(*HISTORY.add_statements(values, None, condition))
        return bool(added_rows)

    async def remove(self, ids: Sequence[str]) -> int:
        """Delete entries with their keys and their sound. Return how many there were."""
        names, params = in_list(ids)
        only = f"history.id IN ({names})"
        _, rows = await write_in_turn(
            self.store,
            2 * len(ids),
            Statement(_DROP_KEYS.format(only=only), params),
            Statement(f"DELETE FROM history WHERE {only} RETURNING account, digest", params),
        )
        await self.drop_all((row["account"], row["digest"]) for row in rows if row["digest"])
        return len(rows)

    async def remove_filtered(self, account: str, filter_: EntryFilter) -> int:
        return await self._remove_found(_FILTERED, {"account": account, **msgspec.structs.asdict(filter_)})

    async def make_room(self, account: str, most_bytes: int) -> int:
        """Delete the oldest entries of an account that has more than so many bytes."""
        if await self.used_bytes(account) <= most_bytes:
            return 0
        return await self._remove_found(_SURPLUS, {"account": account, "most": most_bytes})

    async def remove_voice(self, voice: str, *, is_late: bool) -> None:
        """Remove the entries in which a voice may have spoken."""
        del is_late
        await self._remove_found(_OF_VOICE, {"voice": voice})

    async def remove_erased(self, since: int) -> int:
        """Delete entries of voices that were erased since then. On a shared database, an entry and a
        tombstone may be committed without seeing each other."""
        return await self._remove_found(_ERASED, {"since": since})

    async def remove_old(self, stored: StoredDays) -> int:
        now, removed = await self.store.now(), 0
        while old := await list_old(self.store, "history", "created", stored, now):
            removed += await self.remove([id_ for id_, _ in old])
        return removed

    async def _remove_found(self, sql: str, params: Params) -> int:
        removed = 0
        while rows := await self.store.read(sql, {**params, "limit": _BATCH}):
            removed += await self.remove([row["id"] for row in rows])
        return removed
