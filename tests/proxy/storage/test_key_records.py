"""Keys as rows: kept without their secret, listed, revoked for good."""

from __future__ import annotations

import pytest

from proxy import keys
from proxy.storage import accounts, key_records
from proxy.storage.accounts import Account
from proxy.storage.store import AlreadyExists, MissingReference, Store


@pytest.fixture
async def ada(store: Store) -> Account:
    return await accounts.create(store, name="ada", plan="free")


async def test_a_key_is_kept_with_its_hint_and_without_its_secret(store: Store, ada: Account) -> None:
    key = keys.mint()
    record = await key_records.create(store, key, account=ada.id, role="admin", name="laptop", expires=17)
    assert record.id.startswith("key_")
    assert (record.role, record.name, record.expires, record.revoked) == ("admin", "laptop", 17, None)
    assert record.hint == key.reveal()[-4:]
    assert await key_records.get(store, record.id) == record
    dump = repr([await store.read(f"SELECT * FROM {table}") for table in ("accounts", "keys", "usage")])
    assert key.digest in dump
    assert key.reveal()[6:-4] not in dump


async def test_a_key_of_nobody_is_refused(store: Store) -> None:
    with pytest.raises(MissingReference):
        await key_records.create(store, keys.mint(), account="acc_nobody")


async def test_the_same_key_cannot_be_kept_twice(store: Store, ada: Account) -> None:
    key = keys.mint()
    await key_records.create(store, key, account=ada.id)
    with pytest.raises(AlreadyExists):
        await key_records.create(store, key, account=ada.id)


async def test_keys_are_listed_for_one_account_or_for_all(store: Store, ada: Account) -> None:
    bob = await accounts.create(store, name="bob", plan="free")
    hers = {(await key_records.create(store, keys.mint(), account=ada.id)).id for _ in range(3)}
    his = {(await key_records.create(store, keys.mint(), account=bob.id)).id}
    assert {record.id for record in await key_records.list_(store, account=ada.id)} == hers
    assert {record.id for record in await key_records.list_(store, account=bob.id)} == his
    assert {record.id for record in await key_records.list_(store)} == hers | his


async def test_revoking_twice_keeps_the_first_time(store: Store, ada: Account) -> None:
    record = await key_records.create(store, keys.mint(), account=ada.id)
    revoked = await key_records.revoke(store, record.id)
    assert revoked is not None
    assert revoked.revoked is not None
    assert revoked.revoked >= record.created
    assert await key_records.revoke(store, record.id) == revoked
    assert await key_records.get(store, record.id) == revoked
    assert await key_records.revoke(store, "key_nobody") is None


async def test_the_standing_of_a_key_has_its_account_in_it(store: Store, ada: Account) -> None:
    key = keys.mint()
    record = await key_records.create(store, key, account=ada.id)
    await accounts.set_plan(store, ada.id, "pro")
    standing = await key_records.by_hash(store, key.digest)
    assert standing is not None
    assert (standing.id, standing.account, standing.plan) == (record.id, ada.id, "pro")
    assert standing.closed is None
    closed = await accounts.close(store, ada.id)
    after = await key_records.by_hash(store, key.digest)
    assert closed is not None
    assert after is not None
    assert after.closed == closed.closed
    assert await key_records.by_hash(store, keys.mint().digest) is None
