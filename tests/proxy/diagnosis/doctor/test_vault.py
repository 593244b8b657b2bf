"""The vault: keys that open what is there, old ones that may go, and recordings whose files are missing."""

import asyncio
import sqlite3
from base64 import b64encode
from contextlib import closing
from pathlib import Path

import pytest

from proxy.config.config_toml import Config
from proxy.config.sections import VaultSection
from proxy.diagnosis.doctor.databases import vault
from proxy.feature_list import load_config, open_store
from proxy.file_store.master_keys import MasterKeySource, rewrap_some
from proxy.file_store.vault import Vault
from proxy.storage.sqlite_backup import DATABASE
from tests.proxy.file_store.vaults import BOTH, NEW, OLD, fill

KEYS = {f"KEY{number}": b64encode(bytes([number]) * 32).decode() for number in (1, 2, 3)}


def configured(folder: Path, url: str, *lines: str) -> Config:
    file = folder / "config.toml"
    file.write_text(f'[storage]\nurl = "{url}"\n[vault]\n' + "\n".join(lines))
    return load_config(file, KEYS)


def found(config: Config) -> dict[str, str]:
    return {finding.found: finding.verdict for finding in vault(config)}


async def seal(url: str, data: Path, section: VaultSection, then: VaultSection | None = None) -> None:
    async with open_store(url, data) as store:
        await fill(store, Vault(store, section, data), 2)
        if then is not None:
            await rewrap_some(store, MasterKeySource(then, data), limit=4)


def test_nothing_is_sealed_yet(tmp_path: Path) -> None:
    assert found(configured(tmp_path, "sqlite")) == {"nothing is sealed yet": "ok"}


def test_a_key_beside_the_data_is_noted(tmp_path: Path) -> None:
    asyncio.run(seal("sqlite", tmp_path / "data", VaultSection()))
    verdicts = found(configured(tmp_path, "sqlite"))
    assert list(verdicts.values()) == ["ok", "ok", "note"]
    assert "4 recordings have their files" in verdicts
    assert any("lies beside the data" in each for each in verdicts)


def test_a_rotation_is_followed_until_the_old_key_may_go(store_url: str, tmp_path: Path) -> None:
    both = ('master_key = "env:KEY2"', 'old_master_keys = ["env:KEY1"]')
    asyncio.run(seal(store_url, tmp_path / "data", OLD, BOTH))
    verdicts = found(configured(tmp_path, store_url, *both))
    assert [each for each in verdicts if each.startswith("6 keys hang on old master key")]
    assert "wrong" not in verdicts.values()

    async def finish() -> None:
        async with open_store(store_url, tmp_path / "data") as store:
            await rewrap_some(store, MasterKeySource(BOTH, tmp_path / "data"))

    asyncio.run(finish())
    verdicts = found(configured(tmp_path, store_url, *both))
    assert [each for each in verdicts if each.startswith("nothing needs old master key")]
    assert "wrong" not in found(configured(tmp_path, store_url, both[0])).values()


@pytest.mark.parametrize("line", ['master_key = "env:KEY3"', ""])
def test_a_key_that_opens_nothing_is_wrong(tmp_path: Path, line: str) -> None:
    asyncio.run(seal("sqlite", tmp_path / "data", NEW))
    verdicts = found(configured(tmp_path, "sqlite", line))
    (wrong,) = [each for each, verdict in verdicts.items() if verdict == "wrong"]
    assert "10 keys need master key" in wrong


def test_missing_recordings_are_counted(tmp_path: Path) -> None:
    asyncio.run(seal("sqlite", tmp_path / "data", OLD))
    next((tmp_path / "data" / "voices" / "acc_0").iterdir()).unlink()
    verdicts = found(configured(tmp_path, "sqlite", 'master_key = "env:KEY1"'))
    assert verdicts["the files of 1 of 4 recordings are missing"] == "wrong"


def test_a_row_that_names_a_file_elsewhere_is_wrong(tmp_path: Path) -> None:
    data = tmp_path / "data"
    asyncio.run(seal("sqlite", data, VaultSection()))
    with closing(sqlite3.connect(data / DATABASE)) as database:
        database.execute("UPDATE blobs SET digest = '../../file' WHERE rowid = 1")
        database.commit()
    verdicts = found(configured(tmp_path, "sqlite"))
    (told,) = (each for each, verdict in verdicts.items() if verdict == "wrong")
    assert told == "a row of the table blobs names no recording: '../../file' cannot name a file"
