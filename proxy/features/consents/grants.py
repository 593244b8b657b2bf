"""Consents as the makers of voices ask for them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from proxy.audio.recordings.intake import TakenRecording
from proxy.catalogue.grants import Grant
from proxy.catalogue.voice_records import Compared
from proxy.features.consents import records
from proxy.features.consents.keeper import find_record
from proxy.features.consents.records import ConsentRecord, record_digest
from proxy.storage.store import Condition, Store

Compare = Callable[[TakenRecording, ConsentRecord], Awaitable[Compared | None]]


class ConsentGrants:
    """The consents of all accounts, without their texts."""

    def __init__(self, store: Store, compare: Compare) -> None:
        self._store = store
        self._compare = compare

    async def find(self, account: str, id_: str, param: str) -> Grant:
        return _grant(await find_record(self._store, account, id_, param))

    async def get(self, account: str, id_: str | None) -> Grant | None:
        record = None if id_ is None else await records.get(self._store, account, id_)
        return None if record is None else _grant(record)

    async def of_account(self, account: str) -> Mapping[str, Grant]:
        return {each.id: _grant(each) for each in await records.of_account(self._store, account)}

    async def compare(self, account: str, taken: TakenRecording, grant: Grant | None) -> Compared | None:
        if grant is None:
            return None
        return await self._compare(taken, await find_record(self._store, account, grant.id, "consent"))

    def is_there(self, account: str, id_: str) -> Condition:
        return records.is_there(account, id_)


def _grant(record: ConsentRecord) -> Grant:
    return Grant(record.id, record.providers, record_digest(record), record.uses)
