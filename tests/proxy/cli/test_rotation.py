"""`voxgate keys rotate-master`, beside a server and without one."""

import asyncio
import json
from pathlib import Path

import pytest

from proxy.config.sections import VaultSection
from proxy.feature_list import open_store
from proxy.file_store.vault import Vault
from tests import server
from tests.proxy.cli.test_main import Run, folder, run
from tests.proxy.file_store.vaults import Sealed, check, fill, key_text

pytestmark = pytest.mark.both_stores

__all__ = ["folder", "run"]

ROTATING = '[vault]\nmaster_key = "file:new-key"\nold_master_keys = ["file:data/master-key"]\n'


async def seal(data: Path) -> list[Sealed]:
    async with open_store("sqlite", data) as store:
        return await fill(store, Vault(store, VaultSection(), data), 2)


async def opens(data: Path, sealed: list[Sealed]) -> None:
    """All of it, by the new key alone."""
    async with open_store("sqlite", data) as store:
        await check(store, data, VaultSection(key_text(2)), sealed)


def test_where_nothing_is_sealed_there_is_nothing_to_do(run: Run) -> None:
    assert "nothing to do" in run("keys", "rotate-master").out
    assert run("keys", "rotate-master", "--json").json["rewrapped"] == 0


def test_without_a_server(run: Run, folder: Path) -> None:
    sealed = asyncio.run(seal(folder / "data"))
    (folder / "new-key").write_text(key_text(2))
    config = (folder / "config.toml").read_text()
    (folder / "config.toml").write_text(config + ROTATING)
    rotated = run("keys", "rotate-master", "--json").json
    assert (rotated["rewrapped"], rotated["left"], rotated["missing"]) == (10, 0, [])
    assert "0 keys were wrapped anew" in run("keys", "rotate-master").out
    (act,) = [act for act in run("audit", "--json").json["data"] if act["action"] == "master_key.rotated"]
    assert (act["subject"], act["actor"]) == (rotated["master"], "control")
    asyncio.run(opens(folder / "data", sealed))


def test_a_key_that_is_missing_is_named_and_is_a_failure(run: Run, folder: Path) -> None:
    asyncio.run(seal(folder / "data"))
    (folder / "new-key").write_text(key_text(2))
    config = (folder / "config.toml").read_text()
    (folder / "config.toml").write_text(config + '[vault]\nmaster_key = "file:new-key"\n')
    ran = run("keys", "rotate-master")
    assert ran.status == 1
    assert "10 rows need master key" in ran.out


def test_beside_a_server_that_was_reloaded(tmp_path: Path) -> None:
    sealed = asyncio.run(seal(tmp_path / "data"))
    (tmp_path / "new-key").write_text(key_text(2))
    with server.running(tmp_path) as live:
        live.config.write_text(server.TONE + ROTATING)
        assert json.loads(live.cli("reload", "--json").stdout)["changed"] == ["vault"]
        rotated = json.loads(live.cli("keys", "rotate-master", "--json").stdout)
        assert (rotated["rewrapped"], rotated["left"]) == (10, 0)
    asyncio.run(opens(tmp_path / "data", sealed))
