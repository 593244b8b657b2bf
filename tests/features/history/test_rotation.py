"""Entries live on in a backup, and under a new master key."""

from pathlib import Path

import pytest

from proxy.config.sections import VaultSection
from proxy.feature_list import load_config
from proxy.features.history.records import HISTORY, HistoryStore, SealedRequest
from proxy.file_store.master_keys import MasterKeySource, rewrap_some
from proxy.file_store.vault import Vault, VaultFailed
from proxy.processes import whole_backup
from tests.commands import command
from tests.features.history.rig import CONFIG, content, ids, keeping, listed, spoken
from tests.proxy.api.inside import inside
from tests.proxy.file_store.vaults import key_text


async def test_entries_open_with_a_new_master_key_alone(tmp_path: Path, store_url: str) -> None:
    async with keeping(tmp_path, store_url) as server:
        shown, store, data = await spoken(server), server.worker.store, tmp_path / "data"
        sound = (await content(server, shown["id"])).content
        old = (data / "master-key").read_text().strip()
        step = await rewrap_some(store, MasterKeySource(VaultSection(key_text(2), (old,)), data), 0, 100)
        assert step is not None
        # The account's key, the entry and its sound; on PostgreSQL key rings as well.
        assert (step.rewrapped >= 3, step.left, step.missing) == (True, 0, ())
        (entry,) = await HISTORY.of_account(store, server.account.id)
        new = HistoryStore(store, Vault(store, VaultSection(key_text(2)), data))
        assert await new.whole(entry.account, entry.digest) == sound
        body = new.vault.open_record(entry.account, entry.id, entry.record, SealedRequest).body
        assert body == shown["request"]
        before = HistoryStore(store, Vault(store, VaultSection(old), data))
        with pytest.raises(VaultFailed):
            before.vault.open_record(entry.account, entry.id, entry.record, SealedRequest)


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
async def test_a_restore_brings_entries_back(tmp_path: Path, store_url: str) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    for folder in (old, new):
        folder.mkdir()
    async with keeping(old, store_url) as server:
        shown = await spoken(server)
        sound, page = (await content(server, shown["id"])).content, await listed(server)
    whole_backup.back_up(load_config(old / "config.toml", {}), old / "all.tar")
    (new / "config.toml").write_text((old / "config.toml").read_text())
    command(new / "config.toml", "restore", str(old / "all.tar"), "--yes")
    text = CONFIG.format(url=store_url, section="", one="")
    async with inside(new, text, name="bob") as again:
        own = again._replace(key=server.key)
        assert await listed(own) == page
        assert (await content(own, shown["id"])).content == sound
        assert await ids(again) == []
