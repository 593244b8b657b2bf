"""kill -9 in the middle of an upload: nothing lies on the disk in plain, and nothing half stays there."""

import signal
from pathlib import Path

from proxy.config.sections import VaultSection
from proxy.feature_list import open_store
from proxy.file_store.locked_files import PART
from proxy.file_store.objects import LEFT_MARK, is_recording
from proxy.file_store.vault import Vault
from tests import forked
from tests.tables import each_row

CANARY = "the canary sings in the vault; "


@each_row("step", ["1", "2", "row", "none"])
async def test_a_killed_upload_leaves_nothing_in_plain_and_nothing_half(tmp_path: Path, step: str) -> None:
    ended = await forked.run("tests.proxy.file_store.vault_writer", str(tmp_path), step, CANARY)
    assert ended.returncode == (0 if step == "none" else -signal.SIGKILL), ended.stdout
    on_disk = _files(tmp_path)
    assert any("voices" in path.parts for path in on_disk)
    assert [path for path in on_disk if CANARY.encode() in path.read_bytes()] == []

    async with open_store("sqlite", tmp_path) as store:
        vault = Vault(store, VaultSection(), tmp_path)
        await vault.tidy()
        names = {path.name for path in _files(tmp_path / "voices")}
        rows = await store.read("SELECT digest, object FROM blobs")
        # A whole file without its row has no key. It is noted as left over, and a half one is removed later.
        whole = {name for name in names if is_recording(f"acc_a/{name}")}
        marked = {name for name in whole if f"{name.replace('.', '-')}{LEFT_MARK}" in names}
        assert whole - marked == {row["object"] for row in rows}
        assert len(marked) == (step in ("2", "row"))
        assert len([name for name in names if name.endswith(PART)]) == (step == "1")
        assert [row["digest"] for row in rows] == ([ended.stdout.strip()] if step == "none" else [])
        for row in rows:
            assert (await vault.open("acc_a", row["digest"])).startswith(CANARY.encode())


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
