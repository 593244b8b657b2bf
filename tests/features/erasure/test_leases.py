"""An erasure has one worker at a time: who began it, and after a kill another, also of another version."""

from pathlib import Path

import pytest

from proxy.catalogue.erasing import DerivedData
from proxy.config.sections import VaultSection
from proxy.features.erasure import tombstone_rows
from proxy.features.erasure.erasure import Erasure
from proxy.file_store.vault import Vault
from proxy.storage import answer_claims, tombstones
from proxy.storage.answer_claims import Claim
from proxy.storage.schema import known_migrations, migrate
from proxy.storage.store import Statement, Store
from tests.features.erasure.test_steps import ACCOUNT, Things
from tests.proxy.file_store.owned import Owned, add_voice
from tests.proxy.storage.notes import open_bare

BEFORE_LEASES = 11


def erasure_with(store: Store, things: Things, folder: Path) -> Erasure:
    erasure = Erasure(store, Vault(store, VaultSection(), folder), folder)
    erasure.derived_data = DerivedData((things,), (things,), things.drop, things.wait_for_providers)
    return erasure


def as_before(subject: str, began: int) -> Statement:
    """How the version before wrote down an erasure."""
    sql = """
    INSERT INTO erasures (subject, account, digests, began, completed, pending)
    VALUES (:subject, 'acc_a', '[]', :began, NULL, '["files"]')
    """
    return Statement(sql, {"subject": subject, "began": began})


def first_files(store: Store) -> str:
    """On a shared database, others may have removed the rows of files before."""
    return "late files" if store.is_shared else "files"


async def step(erasure: Erasure) -> None:
    await erasure.look()
    await erasure.finish()


async def test_others_leave_it_alone_until_its_worker_was_killed(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.features.erasure.erasure._RECEIPT_WAIT_S", 0.01)
    monkeypatch.setattr("proxy.queue.tasks.TaskKind.closing_s", 0.01)
    voice, things, its_own = Owned(await add_voice(store, ACCOUNT), ACCOUNT), Things(), Things()
    first, second = erasure_with(store, its_own, tmp_path), erasure_with(store, things, tmp_path)
    its_own.gone.clear()
    assert (await first.erase_voice(voice)).completed is None
    assert await second.look() == []
    await first.close()
    assert await second.look() == []
    await store.write(Statement("UPDATE erasures SET lease = 1"))
    await step(second)
    receipt = await tombstones.get(second._store, ACCOUNT, voice.id)
    assert receipt is not None
    assert (receipt.completed is None, receipt.pending, receipt.fence) == (False, (), 2)
    assert (its_own.done, things.done) == ([first_files(store)], ["late files"])


async def test_what_could_not_be_finished_waits_before_anybody_tries_again(
    store: Store, tmp_path: Path
) -> None:
    things, voice = Things(), Owned(await add_voice(store, ACCOUNT), ACCOUNT)
    things.failing = {"files"}
    erasure = erasure_with(store, things, tmp_path)
    assert (await erasure.erase_voice(voice)).pending == ("files",)
    assert await erasure.look() == []
    things.failing.clear()
    await store.write(Statement("UPDATE erasures SET due = 1"))
    await step(erasure)
    assert things.done == [first_files(store), "late files"]


async def test_erasures_of_the_version_before_are_finished_and_those_that_it_is_at_are_left_to_it(
    new_store_url: str, tmp_path: Path
) -> None:
    store = await open_bare(new_store_url, tmp_path)
    try:
        await migrate(store, known_migrations()[:BEFORE_LEASES])
        now = await store.now()
        await store.write(as_before("a", now - 61_000_000))
        await migrate(store)
        await store.write(as_before("b", now))
        things = Things()
        await step(erasure_with(store, things, tmp_path))
        found = await tombstone_rows.list_since(store, 0)
        expected = {"a": (), "b": ("files",) if store.is_shared else ()}
        assert {each.subject: each.pending for each in found} == expected
        # Nobody knows here how far the other version had come.
        assert set(things.done) == {"late files"}
    finally:
        await store.close()


async def test_what_the_version_before_completes_meanwhile_stays_complete(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    voice, things = Owned(await add_voice(store, ACCOUNT), ACCOUNT), Things()
    erasure = erasure_with(store, things, tmp_path)
    real = things.wait_for_providers

    async def completed_elsewhere(subject: str) -> bool:
        await store.write(Statement("UPDATE erasures SET completed = 12345, pending = '[]'"))
        await real(subject)
        return False

    erasure.derived_data = erasure.derived_data._replace(wait_for_providers=completed_elsewhere)
    receipt = await erasure.erase_voice(voice)
    assert (receipt.completed, receipt.pending) == (12345, ())
    assert await erasure.look() == []


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
async def test_the_answer_of_a_voice_that_was_erased_meanwhile_is_not_written_down(store: Store) -> None:
    claim = Claim(id="one", account="acc_a", request="req_1", body_digest="b", voices=("voice_a", "voice_b"))
    assert await answer_claims.add(store, claim)
    assert await answer_claims.write_answer(store, claim)
    await store.write(as_before("voice_b", 1))
    assert not await answer_claims.write_answer(store, claim)
