"""Keys as rows: kept without their secret, listed, revoked for good."""

import asyncio

import pytest

from policies.limits import Caps
from proxy.storage import accounts, api_key, audit, key_records
from proxy.storage.accounts import Account
from proxy.storage.audit import Act
from proxy.storage.key_records import KeyRecord, NewKeyRecord
from proxy.storage.rows import NEWEST, PagePlace, new_id
from proxy.storage.store import AlreadyExists, MissingReference, Statement, Store
from tests.proxy.storage.changes import to_plan


async def listed(store: Store, account: str | None = None) -> list[KeyRecord]:
    return await key_records.page(store, account, NEWEST, 1000)


async def test_a_key_is_kept_with_its_hint_and_without_its_secret(store: Store, ada: Account) -> None:
    key = api_key.mint()
    wanted = NewKeyRecord(account=ada.id, role="admin", name="laptop", expires=17)
    record = await key_records.create(store, key, wanted)
    assert record.id.startswith("key_")
    assert (record.role, record.name, record.expires, record.revoked) == ("admin", "laptop", 17, None)
    assert record.hint == key.reveal()[-4:]
    assert await key_records.get(store, None, record.id) == record
    dump = repr([await store.read(f"SELECT * FROM {table}") for table in ("accounts", "keys", "usage")])
    assert key.digest in dump
    assert key.reveal()[6:-4] not in dump


async def test_a_key_of_nobody_is_refused(store: Store) -> None:
    with pytest.raises(MissingReference):
        await key_records.create(store, api_key.mint(), NewKeyRecord(account="acc_nobody"))


async def test_the_same_key_cannot_be_kept_twice(store: Store, ada: Account) -> None:
    key = api_key.mint()
    await key_records.create(store, key, NewKeyRecord(account=ada.id))
    with pytest.raises(AlreadyExists):
        await key_records.create(store, key, NewKeyRecord(account=ada.id))


async def test_keys_are_listed_for_one_account_or_for_all(store: Store, ada: Account) -> None:
    bob = await accounts.create(store, name="bob", plan="free")
    hers = {
        (await key_records.create(store, api_key.mint(), NewKeyRecord(account=ada.id))).id for _ in range(3)
    }
    his = {(await key_records.create(store, api_key.mint(), NewKeyRecord(account=bob.id))).id}
    assert {record.id for record in await listed(store, ada.id)} == hers
    assert {record.id for record in await listed(store, bob.id)} == his
    assert {record.id for record in await listed(store)} == hers | his


async def test_keys_are_paged_newest_first(store: Store, ada: Account) -> None:
    bob = await accounts.create(store, name="bob", plan="free")
    made = [await key_records.create(store, api_key.mint(), NewKeyRecord(account=ada.id)) for _ in range(5)]
    his = await key_records.create(store, api_key.mint(), NewKeyRecord(account=bob.id))
    seen: list[KeyRecord] = []
    place = NEWEST
    while page := await key_records.page(store, ada.id, place, 2):
        seen += page
        assert len(seen) <= len(made), "a page began again where it was"
        found = await key_records.place_of(store, ada.id, page[-1].id)
        assert found == PagePlace(page[-1].created, page[-1].id)
        place = found
    assert seen == sorted(made, key=lambda key: (key.created, key.id), reverse=True)
    assert await key_records.place_of(store, ada.id, his.id) is None
    assert await key_records.place_of(store, None, his.id) is not None


async def test_a_dead_key_is_not_rotated_and_stays_as_it_is(store: Store, ada: Account) -> None:
    bob = await accounts.create(store, name="bob", plan="free")
    expired = await key_records.create(store, api_key.mint(), NewKeyRecord(account=ada.id, expires=17))
    orphan = await key_records.create(store, api_key.mint(), NewKeyRecord(account=bob.id))
    await accounts.close(store, bob.id)
    for dead in (expired, orphan):
        assert await key_records.rotate(store, dead.id, api_key.mint()) is None
        assert await listed(store, dead.account) == [dead]


async def test_revoking_twice_keeps_the_first_time(store: Store, ada: Account) -> None:
    record = await key_records.create(store, api_key.mint(), NewKeyRecord(account=ada.id))
    revoked = await key_records.revoke(store, record.id)
    assert revoked is not None
    assert revoked.revoked is not None
    assert revoked.revoked >= record.created
    assert await key_records.revoke(store, record.id) == revoked
    assert await key_records.get(store, None, record.id) == revoked
    assert await key_records.revoke(store, "key_nobody") is None


async def test_the_standing_of_a_key_has_its_account_in_it(store: Store, ada: Account) -> None:
    key = api_key.mint()
    record = await key_records.create(store, key, NewKeyRecord(account=ada.id))
    await accounts.change(store, ada.id, to_plan("pro"))
    standing = await key_records.find_by_hash(store, key.digest)
    assert standing is not None
    assert (standing.id, standing.account, standing.plan) == (record.id, ada.id, "pro")
    assert standing.closed is None
    closed = await accounts.close(store, ada.id)
    after = await key_records.find_by_hash(store, key.digest)
    assert closed is not None
    assert after is not None
    assert after.closed == closed.closed
    assert await key_records.find_by_hash(store, api_key.mint().digest) is None


async def test_rotating_gives_a_key_of_the_same_kind_and_revokes_the_old_one(
    store: Store, ada: Account
) -> None:
    caps = Caps(rpm=5, streams=2)
    expires = await store.now() + 3_600_000_000
    wanted = NewKeyRecord(account=ada.id, role="admin", name="x", expires=expires, caps=caps)
    old = await key_records.create(store, api_key.mint(), wanted)
    new = api_key.mint()
    rotated = await key_records.rotate(store, old.id, new)
    assert rotated is not None
    assert (rotated.account, rotated.role, rotated.name, rotated.expires) == (ada.id, "admin", "x", expires)
    assert (rotated.hint, rotated.revoked, rotated.caps) == (new.hint, None, caps)
    (first, second) = await listed(store, ada.id)
    assert {first.id: first.revoked is None, second.id: second.revoked is None} == {
        old.id: False,
        rotated.id: True,
    }
    assert await key_records.rotate(store, "key_nobody", api_key.mint()) is None


async def test_one_of_many_rotations_at_once_succeeds(store: Store, ada: Account) -> None:
    # In rounds: the first may find fewer connections open than it takes to meet.
    for _ in range(10):
        old = await key_records.create(store, api_key.mint(), NewKeyRecord(account=ada.id))
        rotated = await asyncio.gather(*(key_records.rotate(store, old.id, api_key.mint()) for _ in range(8)))
        (new,) = [record for record in rotated if record is not None]
        assert [record for record in await listed(store) if record.revoked is None] == [new]
        await key_records.revoke(store, new.id)


async def _below(store: Store, account: str, most: int, expires: int | None = None) -> KeyRecord | None:
    act = Act(
        id=new_id("aud"),
        at=await store.now(),
        actor="key_user",
        action="key.created",
        subject=new_id("key"),
        account=account,
    )
    values = NewKeyRecord(account=account, name="own", expires=expires)
    return await key_records.create_limited(store, api_key.mint(), values, most, act)


async def test_keys_within_a_limit_are_no_more_when_many_are_made_at_once(store: Store, ada: Account) -> None:
    made = [key for key in await asyncio.gather(*(_below(store, ada.id, 3) for _ in range(8))) if key]
    assert len(made) == 3
    assert {act.subject for act in await audit.list_acts(store, limit=99)} == {key.id for key in made}
    assert await _below(store, ada.id, 3) is None
    assert await _below(store, ada.id, 4, expires=await store.now()) is not None, "and it has ended at once"
    assert await _below(store, ada.id, 4) is not None
    await key_records.revoke(store, made[0].id)
    assert await _below(store, ada.id, 4) is not None
    assert await _below(store, ada.id, 4) is None
    await accounts.close(store, ada.id)
    assert await _below(store, ada.id, 99) is None


async def test_users_see_no_key_of_a_user_and_none_of_an_operator(store: Store, ada: Account) -> None:
    own = await _below(store, ada.id, 1)
    assert own is not None
    await key_records.create(store, api_key.mint(), NewKeyRecord(account=ada.id, role="admin"))
    person = await key_records.create(store, api_key.mint(), NewKeyRecord(account=ada.id))
    await store.write(Statement("UPDATE keys SET kind = 'user' WHERE id = :id", {"id": person.id}))
    assert await key_records.USER_KEYS.page(store, ada.id, NEWEST, 99) == [own]
    assert await _below(store, ada.id, 2) is None, "the admin key is a key, and the user is none"
    assert await _below(store, ada.id, 3) is not None
