"""The key of `make serve` is the same at every start, and never a dead one."""

from pathlib import Path

from proxy.access import dev_key
from proxy.feature_list import open_store
from proxy.storage import accounts, api_key, key_records


async def test_a_closed_account_gets_a_successor_and_no_dead_key(tmp_path: Path) -> None:
    async with open_store("sqlite", tmp_path) as store:
        keys = [await dev_key.ensure_dev_key(store, tmp_path)]
        assert await dev_key.ensure_dev_key(store, tmp_path) == keys[0]
        for name in ("dev", "dev-2"):
            account = await accounts.get(store, name)
            assert account is not None
            assert account.plan == "unlimited"
            await accounts.close(store, account.id)
            keys.append(await dev_key.ensure_dev_key(store, tmp_path))
            record = await key_records.find_by_hash(store, api_key.digest(keys[-1]))
            assert record is not None
            assert (record.revoked, record.closed) == (None, None)
        assert len(set(keys)) == 3
        assert await dev_key.ensure_dev_key(store, tmp_path) == keys[-1]
