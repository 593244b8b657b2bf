"""What accounts and keys have for people: plans that end to the second, and keys that no secret finds."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.access.callers import CACHED_S, Callers
from proxy.errors import InvalidKey
from proxy.feature_list import all_tables, open_store
from proxy.storage import accounts, api_key, key_records
from proxy.storage.accounts import Account
from proxy.storage.key_records import NewKeyRecord
from proxy.storage.rows import NEWEST
from proxy.storage.store import Statement, Store
from proxy.storage.tables import Table
from tests.proxy.storage.changes import to_plan
from tests.proxy.storage.watched import WatchedStore

SECOND = 1_000_000
_REPLANNED = Table(
    "keys",
    replanned_with=(
        "UPDATE keys SET name = name || '!', created = CAST(:at AS BIGINT) WHERE account = :account",
    ),
)


@pytest.fixture
async def store(store_url: str, tmp_path: Path) -> AsyncIterator[WatchedStore]:
    async with open_store(store_url, tmp_path) as opened:
        yield WatchedStore(opened, await opened.now())


@pytest.fixture
async def ada(store: WatchedStore) -> Account:
    return await accounts.create(store, name="ada", plan="pro")


async def pay(store: Store, account: Account, until: int | None) -> None:
    paid: dict[str, str | int | None] = {"id": account.id, "until": until}
    await store.write(
        Statement("UPDATE accounts SET paid_until = :until, lapsed_plan = 'free' WHERE id = :id", paid)
    )


async def row(store: Store) -> tuple[str, int | None]:
    (found,) = await store.read("SELECT plan, paid_until FROM accounts")
    return found["plan"], found["paid_until"]


async def test_a_paid_plan_ends_to_the_microsecond_wherever_it_is_read(
    store: WatchedStore, ada: Account
) -> None:
    key = api_key.mint()
    made = await key_records.create(store, key, NewKeyRecord(account=ada.id))
    await pay(store, ada, await store.now() + 3 * SECOND)
    for seconds, plan in ((0.0, "pro"), (2.999999, "pro"), (3.0, "free"), (9.0, "free")):
        store.seconds = seconds
        found = await accounts.get(store, "ada")
        assert found is not None
        assert found.plan == plan
        assert [each.plan for each in await accounts.list_page(store, NEWEST, 9)] == [plan]
        assert (await Callers(store, store.monotonic).by_id(made.id)).plan == plan
        assert (await Callers(store, store.monotonic).identify(key.reveal())).plan == plan
    assert (await row(store))[0] == "pro", "the row changes when its task comes"


async def test_a_caller_is_cached_no_longer_than_its_plan(store: WatchedStore, ada: Account) -> None:
    key, callers = api_key.mint(), Callers(store, store.monotonic)
    await key_records.create(store, key, NewKeyRecord(account=ada.id))
    await pay(store, ada, await store.now() + 2 * SECOND)
    plans = []
    for store.seconds in (0.0, 1.9, 2.1, 2.1 + CACHED_S / 2):
        plans.append((await callers.identify(key.reveal())).plan)
    assert plans == ["pro", "pro", "free", "free"]
    assert store.reads == 2


async def test_both_plans_are_in_use_while_one_is_paid(store: WatchedStore, ada: Account) -> None:
    assert await accounts.plans_in_use(store) == {"pro"}
    await pay(store, ada, await store.now() + SECOND)
    assert await accounts.plans_in_use(store) == {"pro", "free"}


async def test_an_operators_plan_ends_what_was_paid_and_the_same_plan_does_not(
    store: WatchedStore, ada: Account
) -> None:
    until = await store.now() + 3 * SECOND
    await pay(store, ada, until)
    store.tables = (*all_tables(), _REPLANNED)
    await key_records.create(store, api_key.mint(), NewKeyRecord(account=ada.id, name="key"))
    await accounts.change(store, "ada", to_plan("pro"))
    assert (await row(store), await names(store)) == (("pro", until), ["key"])
    changed = await accounts.change(store, "ada", to_plan("big"))
    assert isinstance(changed, Account)
    assert (changed.plan, changed.paid_until) == ("big", None)
    assert await row(store) == ("big", None)
    assert await names(store) == ["key!"]


async def test_a_lapsed_plan_is_the_one_that_an_operator_changes(store: WatchedStore, ada: Account) -> None:
    until = await store.now() + SECOND
    await pay(store, ada, until)
    store.seconds = 1.0
    kept = await accounts.change(store, "ada", to_plan("free"))
    assert isinstance(kept, Account)
    assert (kept.plan, await row(store)) == ("free", ("pro", until))
    back = await accounts.change(store, "ada", to_plan("pro"))
    assert isinstance(back, Account)
    assert (back.plan, await row(store)) == ("pro", ("pro", None))


async def names(store: Store) -> list[str]:
    return [each.name for each in await key_records.page(store, None, NEWEST, 9)]


async def test_a_users_key_is_found_by_its_id_alone(store: WatchedStore, ada: Account) -> None:
    secret, callers = api_key.mint(), Callers(store, store.monotonic)
    key = await key_records.create(store, secret, NewKeyRecord(account=ada.id))
    await store.write(Statement("UPDATE keys SET kind = 'user'"))
    assert await key_records.page(store, ada.id, NEWEST, 9) == []
    assert await key_records.page(store, None, NEWEST, 9) == []
    assert await key_records.find_by_hash(store, secret.digest) is None
    with pytest.raises(InvalidKey):
        await callers.identify(secret.reveal())
    assert await key_records.rotate(store, key.id, api_key.mint()) is None
    caller = await callers.by_id(key.id)
    assert (caller.key, caller.account, caller.plan) == (key.id, ada.id, "pro")


async def test_who_has_paid_and_the_preferred_voice_come_with_the_key(
    store: WatchedStore, ada: Account
) -> None:
    key = await key_records.create(store, api_key.mint(), NewKeyRecord(account=ada.id))
    await store.write(Statement("UPDATE accounts SET has_paid = 1, preferred_voice = 'ana'"))
    caller = await Callers(store, store.monotonic).by_id(key.id)
    assert (caller.has_paid, caller.preferred_voice) == (True, "ana")
