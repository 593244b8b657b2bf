"""The caller of a key: read once, kept briefly, and forgotten when the key changes."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from policies.limits import Caps
from policies.plans import AgreedTerms
from proxy.access.callers import Caller, Callers
from proxy.errors import AccountSuspended, InvalidKey, RequestFailed
from proxy.feature_list import open_store
from proxy.storage import accounts, api_key, key_records
from proxy.storage.accounts import Account
from proxy.storage.api_key import ApiKey
from proxy.storage.audit import Act
from proxy.storage.key_records import KeyRecord, NewKeyRecord
from proxy.storage.store import StorageFailed
from tests.proxy.storage.changes import to_plan
from tests.proxy.storage.watched import WatchedStore
from tests.tables import each_row

_SECOND = 1_000_000


@pytest.fixture
async def store(store_url: str, tmp_path: Path) -> AsyncIterator[WatchedStore]:
    async with open_store(store_url, tmp_path) as opened:
        yield WatchedStore(opened, await opened.now())


@pytest.fixture
def callers(store: WatchedStore) -> Callers:
    return Callers(store, store.monotonic)


@pytest.fixture
def key() -> ApiKey:
    return api_key.mint()


@pytest.fixture
async def record(store: WatchedStore, ada: Account, key: ApiKey) -> KeyRecord:
    return await key_records.create(store, key, NewKeyRecord(account=ada.id, role="admin"))


async def refused(callers: Callers, secret: str) -> str:
    with pytest.raises(InvalidKey) as caught:
        await callers.identify(secret)
    assert caught.value.status == 401
    assert caught.value.body().error.code == "invalid_api_key"
    return caught.value.message


async def test_a_good_key_is_its_caller(
    callers: Callers, ada: Account, key: ApiKey, record: KeyRecord
) -> None:
    expected = Caller(account=ada.id, key=record.id, plan="free", role="admin", anchor=ada.created)
    assert await callers.identify(key.reveal()) == expected


async def test_a_caller_brings_what_was_agreed_with_its_account_and_the_caps_of_its_key(
    callers: Callers, store: WatchedStore
) -> None:
    agreed, caps, key = AgreedTerms(streams=3, engines=("tone",)), Caps(rpm=5), api_key.mint()
    bob = await accounts.create(store, name="bob", plan="free", agreed=agreed)
    await key_records.create(store, key, NewKeyRecord(account=bob.id, caps=caps))
    caller = await callers.identify(key.reveal())
    assert (caller.agreed, caller.caps) == (agreed, caps)


async def test_a_text_that_cannot_be_a_key_is_refused_without_asking_the_store(
    callers: Callers, store: WatchedStore, key: ApiKey
) -> None:
    for text in ("", "sk-", "sk-proj-abcdefghijklmnop", key.reveal()[:-1], "ключ", "\ud800", "x" * 10_000):
        await refused(callers, text)
    assert store.reads == 0


async def test_a_key_nobody_has_is_refused_every_time_by_the_store(
    callers: Callers, store: WatchedStore
) -> None:
    unknown = api_key.mint().reveal()
    assert "No such key" in await refused(callers, unknown)
    await refused(callers, unknown)
    assert store.reads == 2


@each_row(
    ("sent", "shown"),
    [
        ("sk-proj-0123456789abcdefWXYZ", ": sk-…WXYZ"),
        ("0123456789abcdefWXYZ", ": …WXYZ"),
        ("hunter2", ""),
        ("", ""),
        ("a pass phrase with blanks", ""),
    ],
)
async def test_a_refusal_shows_the_last_four_characters_and_no_more(
    callers: Callers, sent: str, shown: str
) -> None:
    expected = f"Incorrect API key provided{shown}. This server's keys begin with sk-vg-."
    assert await refused(callers, sent) == expected


async def test_a_refusal_of_one_of_our_own_keys_is_masked_too(callers: Callers) -> None:
    unknown = api_key.mint().reveal()
    message = await refused(callers, unknown)
    assert message.startswith(f"Incorrect API key provided: sk-…{unknown[-4:]}. ")
    assert unknown[6:-4] not in message


async def test_a_good_answer_is_kept_for_five_seconds(
    callers: Callers, store: WatchedStore, key: ApiKey, record: KeyRecord
) -> None:
    for store.seconds in (0.0, 1.0, 4.999):
        await callers.identify(key.reveal())
        assert store.reads == 1
    store.seconds = 5.0
    await callers.identify(key.reveal())
    assert store.reads == 2


@pytest.mark.both_stores
async def test_a_stream_that_cannot_be_ended_leaves_no_other_open(callers: Callers) -> None:
    """So many keys are more than one read may name."""
    streams, ended = callers.streams, list[RequestFailed]()
    for number in range(17_000):
        streams.open[number] = {"caller": Caller("a", f"k{number}", "free", "speech")}, ended.append

    def fail(_failure: RequestFailed) -> None:
        raise TypeError("it is no socket")

    streams.open[0] = streams.open[0][0], fail
    streams.check_soon()
    with pytest.raises(TypeError):
        await streams.check_next()
    streams.check_soon()
    await streams.check_next()
    assert len(ended) == 16_999
    assert not streams.open


async def test_a_revoked_key_is_dead_within_five_seconds(
    callers: Callers, store: WatchedStore, key: ApiKey, record: KeyRecord
) -> None:
    await callers.identify(key.reveal())
    await key_records.revoke(store, record.id)
    store.seconds = 5.0
    assert "revoked" in await refused(callers, key.reveal())


@pytest.mark.parametrize("what", ["key", "account"])
async def test_a_forgotten_key_is_dead_at_once(
    callers: Callers, store: WatchedStore, key: ApiKey, record: KeyRecord, what: str
) -> None:
    await callers.identify(key.reveal())
    await key_records.revoke(store, record.id)
    callers.forget(record.id if what == "key" else record.account)
    await refused(callers, key.reveal())


async def test_forgetting_one_key_leaves_the_others_kept(
    callers: Callers, store: WatchedStore, ada: Account, key: ApiKey, record: KeyRecord
) -> None:
    other = api_key.mint()
    await key_records.create(store, other, NewKeyRecord(account=ada.id))
    await callers.identify(key.reveal())
    await callers.identify(other.reveal())
    callers.forget(record.id)
    await callers.identify(other.reveal())
    assert store.reads == 2


async def test_a_store_that_fails_is_no_wrong_key_and_is_asked_again(
    callers: Callers, store: WatchedStore, key: ApiKey, record: KeyRecord
) -> None:
    store.is_broken = True
    answers = await asyncio.gather(
        *(callers.identify(key.reveal()) for _ in range(3)), return_exceptions=True
    )
    assert [type(answer) for answer in answers] == [StorageFailed] * 3
    store.is_broken = False
    assert (await callers.identify(key.reveal())).key == record.id


async def test_a_key_is_never_good_past_its_expiry(
    callers: Callers, store: WatchedStore, ada: Account
) -> None:
    key = api_key.mint()
    await key_records.create(
        store, key, NewKeyRecord(account=ada.id, expires=await store.now() + 2 * _SECOND)
    )
    await callers.identify(key.reveal())
    store.seconds = 1.999
    await callers.identify(key.reveal())
    assert store.reads == 1
    store.seconds = 2.0
    assert "expired" in await refused(callers, key.reveal())


async def test_the_keys_of_a_closed_account_are_dead(
    callers: Callers, store: WatchedStore, ada: Account, key: ApiKey, record: KeyRecord
) -> None:
    await accounts.close(store, ada.id)
    assert "closed" in await refused(callers, key.reveal())


async def test_a_suspension_reaches_another_worker_within_five_seconds(
    callers: Callers, store: WatchedStore, ada: Account, key: ApiKey, record: KeyRecord
) -> None:
    act = Act(id="aud_1", at=await store.now(), actor="control", action="", subject=ada.id, account=ada.id)
    assert not (await callers.identify(key.reveal())).is_suspended
    await accounts.suspend(store, ada.id, act)
    store.seconds = 5.0
    assert (await callers.identify(key.reveal())).is_suspended
    with pytest.raises(AccountSuspended):
        await callers.by_id(record.id)
    await accounts.resume(store, ada.id, replace(act, id="aud_2"))
    store.seconds = 10.0
    assert not (await callers.identify(key.reveal())).is_suspended


async def test_a_new_plan_counts_once_the_account_is_forgotten(
    callers: Callers, store: WatchedStore, ada: Account, key: ApiKey, record: KeyRecord
) -> None:
    assert (await callers.identify(key.reveal())).plan == "free"
    await accounts.change(store, ada.id, to_plan("pro"))
    callers.forget(ada.id)
    assert (await callers.identify(key.reveal())).plan == "pro"


async def test_nothing_here_shows_a_secret(callers: Callers, key: ApiKey, record: KeyRecord) -> None:
    caller = await callers.identify(key.reveal())
    shown = f"{caller!r} {callers!r} {record!r}"
    assert caller.key in shown
    assert key.reveal()[6:-4] not in shown
    assert key.digest not in shown


async def test_a_thousand_keys_in_use_are_a_few_queries_and_each_stays_the_same_caller(
    callers: Callers, store: WatchedStore, ada: Account
) -> None:
    keys = [api_key.mint() for _ in range(300)]
    for key in keys:
        await key_records.create(store, key, NewKeyRecord(account=ada.id))
    for store.seconds in (0.0, 1.0):
        before = [await callers.identify(key.reveal()) for key in keys]
    store.seconds, reads = 5.0, store.reads
    after = [await callers.identify(key.reveal()) for key in keys]
    assert store.reads - reads == 2
    # The terms and the plans that were made for a caller are good as long as it is the same.
    assert all(one is other for one, other in zip(before, after, strict=True))


async def test_a_revoked_key_among_many_that_are_read_together_is_dead_within_five_seconds(
    callers: Callers, store: WatchedStore, ada: Account
) -> None:
    keys = [api_key.mint() for _ in range(3)]
    records = [await key_records.create(store, key, NewKeyRecord(account=ada.id)) for key in keys]
    for store.seconds in (0.0, 1.0):
        for key in keys:
            await callers.identify(key.reveal())
    await key_records.revoke(store, records[1].id)
    store.seconds = 5.0
    await callers.identify(keys[0].reveal())
    assert "revoked" in await refused(callers, keys[1].reveal())
    await callers.identify(keys[2].reveal())


async def test_a_key_is_found_by_its_id_as_long_as_it_is_good(
    callers: Callers, store: WatchedStore, key: ApiKey, record: KeyRecord
) -> None:
    assert await callers.by_id(record.id) == await callers.identify(key.reveal())
    await key_records.revoke(store, record.id)
    with pytest.raises(InvalidKey, match="It was revoked"):
        await callers.by_id(record.id)
    with pytest.raises(InvalidKey, match="No such key"):
        await callers.by_id("key_unknown")


async def test_of_a_closed_account_no_key_is_good_by_its_id(
    callers: Callers, store: WatchedStore, ada: Account, record: KeyRecord
) -> None:
    await accounts.close(store, ada.id)
    with pytest.raises(InvalidKey, match="account is closed"):
        await callers.by_id(record.id)
