"""The change of the master key: everything hangs on the new one afterwards, and nothing is ever lost."""

import signal
from pathlib import Path

import pytest

from proxy.config.sections import VaultSection
from proxy.feature_list import open_store
from proxy.file_store.master_keys import MasterKeySource, RotationStep, rewrap_some
from proxy.file_store.vault import Vault, VaultFailed
from proxy.storage import wrapped_keys
from proxy.storage.store import Statement, Store
from tests import forked
from tests.proxy.file_store.vaults import BOTH, NEW, OLD, check, fill, key_text
from tests.tables import each_row

pytestmark = pytest.mark.both_stores


async def rotate(
    store: Store, data: Path, section: VaultSection = BOTH, limit: int = 5
) -> list[RotationStep]:
    steps, damaged = [], 0
    while True:
        step = await rewrap_some(store, MasterKeySource(section, data), damaged, limit)
        assert step is not None
        steps.append(step)
        damaged += step.damaged
        if step.left <= damaged:
            return steps


async def test_everything_hangs_on_the_new_key_afterwards(store: Store, tmp_path: Path) -> None:
    sealed = await fill(store, Vault(store, OLD, tmp_path))
    files = {path: path.read_bytes() for path in (tmp_path / "voices").rglob("*") if path.is_file()}
    steps = await rotate(store, tmp_path)
    # An account has its own key, two recordings, a voice and a consent.
    assert sum(step.rewrapped for step in steps) == 4 * 5
    assert [step.left for step in steps] == [15, 10, 5, 0]
    await check(store, tmp_path, NEW, sealed)
    assert {path: path.read_bytes() for path in files} == files
    (use,) = await wrapped_keys.list_masters(store)
    assert (use.id, use.rows) == (steps[0].master, 20)
    with pytest.raises(VaultFailed):
        await check(store, tmp_path, OLD, sealed)


async def test_nothing_is_done_twice_and_nothing_where_nothing_is_sealed(
    store: Store, tmp_path: Path
) -> None:
    assert await rewrap_some(store, MasterKeySource(VaultSection(), tmp_path)) is None
    await fill(store, Vault(store, OLD, tmp_path), 1)
    await rotate(store, tmp_path)
    assert [step.rewrapped for step in await rotate(store, tmp_path)] == [0]


async def test_a_damaged_row_stays_and_stops_nobody(store: Store, tmp_path: Path) -> None:
    await fill(store, Vault(store, OLD, tmp_path), 2)
    ending = "wrapped = substr(wrapped, 1, 80) || 'AAAAAAAAAAAA'"
    for table in ("blobs", "consents"):
        await store.write(Statement(f"UPDATE {table} SET {ending} WHERE account = 'acc_0'"))
    steps = await rotate(store, tmp_path, limit=2)
    assert sum(step.damaged for step in steps) == 3
    assert sum(step.rewrapped for step in steps) == 7
    assert steps[-1].left == 3


async def test_a_key_that_is_not_configured_is_named(store: Store, tmp_path: Path) -> None:
    await fill(store, Vault(store, OLD, tmp_path), 1)
    other = VaultSection(key_text(3), (key_text(2),))
    step = await rewrap_some(store, MasterKeySource(other, tmp_path))
    assert step is not None
    (missing,) = step.missing
    assert (step.rewrapped, step.left, missing.rows) == (0, 0, 5)


@each_row("moment", ["before", "after"])
@each_row("number", [1, 2, 4])
async def test_a_kill_at_a_commit_loses_nothing(tmp_path: Path, number: int, moment: str) -> None:
    async with open_store("sqlite", tmp_path) as store:
        sealed = await fill(store, Vault(store, OLD, tmp_path))
    ended = await forked.run("tests.proxy.file_store.rotator", str(tmp_path), str(number), moment)
    assert ended.returncode == -signal.SIGKILL, ended.stdout
    async with open_store("sqlite", tmp_path) as store:
        await check(store, tmp_path, BOTH, sealed)
        (*_, last) = await rotate(store, tmp_path)
        assert last.left == 0
        await check(store, tmp_path, NEW, sealed)
