"""An Idempotency-Key makes one thing, whoever had the same request, and at whatever moment."""

import asyncio

import pytest

from proxy.errors import Conflict, IdempotencyKeyReused, RequestUnderWay
from proxy.features.erasure import tombstone_rows
from proxy.features.own_voices.keyed_creation import KeyedCreation
from proxy.file_store.once import Once
from proxy.storage.store import Store
from proxy.storage.tombstones import Tombstone

ONCE = Once("req_1", "acc_a", "try-1", b"\xab")
OTHER = Once("req_2", "acc_a", "try-1", b"\xcd")


class Making:
    """Things by id, with the digests of their requests. `is_late`: another worker is quicker."""

    def __init__(self, store: Store) -> None:
        self.made: dict[str, str] = {}
        self.is_late = False
        self.begun, self.may_go_on = asyncio.Event(), asyncio.Event()
        self.may_go_on.set()
        self.keyed = KeyedCreation(store, "clip", "recording", self._find)

    async def _find(self, _account: str, id_: str) -> str | None:
        return self.made.get(id_)

    async def make(self, id_: str, digest: str) -> None:
        self.begun.set()
        await self.may_go_on.wait()
        self.made[id_] = digest
        if self.is_late:
            raise Conflict("It was just made.")


async def test_what_another_worker_made_at_this_moment_is_given(store: Store) -> None:
    making = Making(store)
    making.is_late = True
    id_ = ONCE.id_of("clip")
    assert await making.keyed.create_once(ONCE, making.make) == (id_, True)
    with pytest.raises(IdempotencyKeyReused):
        await making.keyed.create_once(OTHER, making.make)


async def test_a_conflict_that_is_none_of_the_key_is_told(store: Store) -> None:
    making = Making(store)

    async def make(_id: str, _digest: str) -> None:
        raise Conflict("The name is taken.")

    with pytest.raises(Conflict, match="name is taken"):
        await making.keyed.create_once(ONCE, make)
    # Its end gives the key back.
    assert await making.keyed.create_once(ONCE, making.make) == (ONCE.id_of("clip"), False)


async def test_one_is_made_at_a_time(store: Store) -> None:
    making = Making(store)
    making.may_go_on.clear()
    first = asyncio.create_task(making.keyed.create_once(ONCE, making.make))
    await making.begun.wait()
    assert len(making.keyed._under_way) == 1
    with pytest.raises(RequestUnderWay):
        await making.keyed.create_once(ONCE, making.make)
    making.may_go_on.set()
    assert await first == (ONCE.id_of("clip"), False)


async def test_a_key_is_used_up_when_what_it_made_was_erased(store: Store) -> None:
    making = Making(store)
    id_ = ONCE.id_of("clip")
    assert await tombstone_rows.erase_subject(
        store, Tombstone(subject=id_, account="acc_a", digests=(), began=1)
    )
    with pytest.raises(Conflict, match="recording that this Idempotency-Key made was deleted"):
        await making.keyed.create_once(ONCE, making.make)


def test_no_two_accounts_or_kinds_make_the_same_id() -> None:
    other = Once("req_1", "acc_b", "try-1", b"")
    ids = {once.id_of(prefix) for prefix in ("voice", "clip", "job") for once in (ONCE, other)}
    assert len(ids) == 6
    # As servers before made it.
    assert ONCE.id_of("voice") == "voice_be1c18e5c7d47d6f1efbe4b4"
