"""Acts: written with what they tell of or not at all, once for each change, and paged."""

import asyncio

import msgspec
import pytest

from proxy.storage import accounts, api_key, audit, key_records
from proxy.storage.accounts import Account
from proxy.storage.audit import Act
from proxy.storage.key_records import NewKeyRecord
from proxy.storage.rows import PagePlace, new_id
from proxy.storage.store import AlreadyExists, Store


async def act(store: Store, action: str, subject: str, account: str) -> Act:
    now = await store.now()
    return Act(id=new_id("aud"), at=now, actor="control", action=action, subject=subject, account=account)


async def told(store: Store) -> list[tuple[str, str]]:
    return [(found.action, found.subject) for found in await audit.list_acts(store, limit=100)]


async def test_a_change_and_its_act_are_one_unit(store: Store) -> None:
    made = await act(store, "account.created", "acc_new", "acc_new")
    account = await accounts.create(store, name="bob", plan="free", act=made)
    assert (account.id, account.created) == ("acc_new", made.at)
    again = await act(store, "account.created", "acc_other", "acc_other")
    with pytest.raises(AlreadyExists):
        await accounts.create(store, name="bob", plan="free", act=again)
    assert await audit.list_acts(store, limit=100) == [made]


async def test_a_call_that_changes_nothing_is_no_act(store: Store, ada: Account) -> None:
    key = await key_records.create(store, api_key.mint(), NewKeyRecord(account=ada.id))
    for _ in range(2):
        await key_records.revoke(store, key.id, await act(store, "key.revoked", key.id, ada.id))
        await accounts.close(store, ada.id, await act(store, "account.closed", ada.id, ada.id))
    assert sorted(await told(store)) == [("account.closed", ada.id), ("key.revoked", key.id)]
    rotation = await act(store, "key.rotated", new_id("key"), ada.id)
    assert await key_records.rotate(store, key.id, api_key.mint(), rotation) is None
    assert len(await told(store)) == 2


async def test_one_of_many_rotations_at_once_is_an_act(store: Store, ada: Account) -> None:
    key = await key_records.create(store, api_key.mint(), NewKeyRecord(account=ada.id))
    acts = [await act(store, "key.rotated", new_id("key"), ada.id) for _ in range(8)]
    rotated = await asyncio.gather(
        *(key_records.rotate(store, key.id, api_key.mint(), each) for each in acts)
    )
    (new,) = [record for record in rotated if record is not None]
    assert await told(store) == [("key.rotated", new.id)]


async def test_one_of_many_revocations_at_once_is_an_act(store: Store, ada: Account) -> None:
    key = await key_records.create(store, api_key.mint(), NewKeyRecord(account=ada.id))
    acts = [
        msgspec.structs.replace(await act(store, "key.revoked", key.id, ada.id), at=1_000 + number)
        for number in range(8)
    ]
    await asyncio.gather(*(key_records.revoke(store, key.id, each) for each in acts))
    assert await told(store) == [("key.revoked", key.id)]


async def test_pages_go_on_where_the_last_one_ended(store: Store) -> None:
    # Two of each moment, so that a page may end between them.
    acts = [
        Act(id=f"aud_{n:02}", at=n // 2, actor="a", action="x.y", subject="s", account=f"acc_{n % 3}")
        for n in range(20)
    ]
    await store.write(*(statement for each in acts for statement in audit.insert_statements(each)))
    seen: list[Act] = []
    place = PagePlace(2**63 - 1, "")
    while page := await audit.list_acts(store, place=place, limit=3):
        seen += page
        assert len(seen) <= len(acts), "a page began again where it was"
        newer = Act(id=f"aud_n{len(seen)}", at=99, actor="a", action="x.y", subject="s", account="acc_0")
        await store.write(*audit.insert_statements(newer))
        found = await audit.ROWS.place_of(store, None, page[-1].id)
        assert found == (page[-1].at, page[-1].id)
        place = found
    assert seen == acts[::-1]
    assert await audit.ROWS.place_of(store, None, "aud_none") is None


async def test_acts_are_found_by_account_and_time(store: Store) -> None:
    acts = [
        Act(id=f"aud_{n}", at=n, actor="a", action="x.y", subject="s", account=f"acc_{n % 2}")
        for n in range(10)
    ]
    await store.write(*(statement for each in acts for statement in audit.insert_statements(each)))
    found = await audit.list_acts(store, account="acc_1", since=4, limit=100)
    assert found == [acts[9], acts[7], acts[5]]
