"""What an operator meets once a stranger has written into the vault: doctor, restore, new keys."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from proxy.config.sections import VaultSection
from proxy.feature_list import open_store
from proxy.features.erasure.erasure import open_erasure
from proxy.features.erasure.journal import JournalLine
from proxy.file_store.vault import Vault
from proxy.processes import whole_backup
from proxy.storage.disk_names import ERASURES
from proxy.telemetry.metrics import Metrics
from tests import server
from tests.proxy.cli.test_main import Run, folder, run
from tests.proxy.file_store.owned import Owned, add_voice
from tests.proxy.file_store.vaults import fill, key_text
from tests.waiting import until

__all__ = ["folder", "run"]

LIVES, ERASED = "voice_lives", "voice_erased"
VAULT = '[vault]\nfolder = "vault"\nmaster_key = "file:key-1"\n'
ROTATING = VAULT.replace("key-1", "key-2") + 'old_master_keys = ["file:key-1"]\n'
NEW = VAULT.replace("key-1", "key-2")


@pytest.fixture
def installed(folder: Path) -> Callable[[str], None]:
    """Two voices: one was erased after a backup, and a stranger has written a line for the other."""
    plain = (folder / "config.toml").read_text()

    def configure(vault: str) -> None:
        (folder / "config.toml").write_text(f"{plain}\n{vault}")

    for number in (1, 2):
        (folder / f"key-{number}").write_text(key_text(number))
    configure(VAULT)
    asyncio.run(_fill(folder))
    return configure


async def _fill(folder: Path) -> None:
    section, data = VaultSection(key_text(1), folder=str(folder / "vault")), folder / "data"
    async with open_store("sqlite", data) as store:
        vault = Vault(store, section, data)
        await fill(store, vault, 1)
        for id_ in (LIVES, ERASED):
            await add_voice(store, "acc_a", id_=id_)
        await asyncio.to_thread(whole_backup.back_up_database, data, folder / "before.db")
        async with open_erasure(store, vault, data, Metrics()) as erasure:
            await erasure.erase_voice(Owned(ERASED, "acc_a"))
    forge(folder, LIVES)


def forge(folder: Path, subject: str) -> None:
    content = msgspec.json.encode(JournalLine(at=7, subject=subject, account="acc_a"))
    (folder / "vault" / ERASURES / f"{7:017}-{subject}-0123456789ab").write_bytes(content)


def voices(folder: Path) -> set[str]:
    async def read() -> set[str]:
        async with open_store("sqlite", folder / "data") as store:
            return {row["id"] for row in await store.read("SELECT id FROM voices WHERE account = 'acc_a'")}

    return asyncio.run(read())


def test_a_restore_tells_their_number_and_they_count_once_they_are_accepted(
    run: Run, folder: Path, installed: Callable[[str], None]
) -> None:
    ran = run("restore", str(folder / "before.db"), "--yes")
    assert "No master key has signed 1 line(s)" in ran.err
    assert "Erased since the backup, and erased again: 1" in ran.out
    assert voices(folder) == {LIVES}
    assert run("erasures", "list").out.splitlines()[-1] == LIVES
    assert run("erasures", "accept", "--yes").out.splitlines()[-1] == LIVES
    assert voices(folder) == set()
    assert run("erasures", "list").out.splitlines()[-1] == "None."
    (act,) = [act for act in run("audit", "--json").json["data"] if act["action"] == "erasures.accepted"]
    assert act["details"] == {"subjects": [LIVES]}


def test_a_new_master_key_signs_all_lines(run: Run, folder: Path, installed: Callable[[str], None]) -> None:
    """Also one that was deleted, whose erasure this database knows. The old key is then needed for none."""
    installed(ROTATING)
    assert "erased again: 1" in run("restore", str(folder / "before.db"), "--yes").out
    run("keys", "rotate-master", "--json")
    old = {each.name for each in (folder / "vault" / ERASURES).iterdir()}
    installed(NEW)
    ran = run("restore", str(folder / "before.db"), "--yes")
    assert len([name for name in old if ERASED in name]) == 2
    assert voices(folder) == {LIVES}, ran.err


def test_a_whole_backup_launders_nothing(run: Run, folder: Path, installed: Callable[[str], None]) -> None:
    run("backup", "--all", str(folder / "all.tar"))
    assert ERASED.encode() in (content := (folder / "all.tar").read_bytes())
    assert f'"subject":"{LIVES}"'.encode() not in content


@pytest.mark.slow
def test_the_doctor_names_them_beside_a_server(folder: Path, installed: Callable[[str], None]) -> None:
    lines = folder / "vault" / ERASURES
    (signed,) = lines.glob(f"*-{ERASED}-*")
    signed.rename(lines / f"{signed.name[:-12]}0123456789ab")
    with server.running(folder, f"{server.TONE}\n{VAULT}") as live:
        # The line of an older server, whose erasure the database knows, is signed.
        until(signed.exists)
        findings = json.loads(live.cli("doctor", "--json", check=False).stdout)["data"]
        (found,) = [each for each in findings if "journal of erasures" in each["found"]]
        assert "no master key has signed 1 line(s)" in found["found"]
        assert json.loads(live.cli("erasures", "accept", "--json").stdout)["unsigned"] == [LIVES]
        assert "journal of erasures" not in live.cli("doctor", "--json", check=False).stdout
    assert voices(folder) == set()
