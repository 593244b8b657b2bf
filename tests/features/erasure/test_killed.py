"""kill -9 in the middle of an erasure: the next start completes it, whatever the step was."""

import signal
from pathlib import Path

import pytest

from proxy.config.sections import VaultSection
from proxy.feature_list import open_store
from proxy.features.erasure.erasure import open_erasure
from proxy.features.own_voices.records import add_clip
from proxy.file_store.vault import Vault, VaultFailed
from proxy.storage import samples, tombstones
from proxy.storage.sample_record import SampleRecord
from proxy.storage.store import ALWAYS
from proxy.telemetry.metrics import Metrics
from tests import forked
from tests.proxy.file_store.owned import add_voice
from tests.proxy.file_store.vaults import files_of
from tests.tables import each_row

ERASER = "tests.features.erasure.eraser"
STEPS = (
    *("fsync-1", "write-1-before", "write-1-after", "workers", "hosts", "files"),
    *("write-2-before", "write-2-after", "fsync-3", "database", "write-3-before", "write-3-after", "none"),
)


@each_row("step", STEPS)
async def test_a_killed_erasure_is_completed_by_the_next_start(tmp_path: Path, step: str) -> None:
    async with open_store("sqlite", tmp_path) as store:
        vault = Vault(store, VaultSection(), tmp_path)
        digest = await vault.put("acc_a", bytes(1000))
        voice = await add_voice(store, "acc_a", digest)
    ended = await forked.run(ERASER, str(tmp_path), voice, step)
    assert ended.returncode == (0 if step == "none" else -signal.SIGKILL), ended.stdout
    if step == "none":
        assert ended.stdout.split()[-2:] == ["3", "3"], "these are the steps above"
    async with open_store("sqlite", tmp_path) as store:
        vault = Vault(store, VaultSection(), tmp_path)
        async with open_erasure(store, vault, tmp_path, Metrics()) as erasure:
            # Nobody has been served so far.
            assert await store.read("SELECT id FROM voices") == []
            await erasure.finish_interrupted()
            found = await tombstones.get(store, "acc_a", voice)
            assert found is not None
            assert found.completed is not None
        await vault.tidy()
        for table in ("voices", "samples", "blobs"):
            assert await store.read(f"SELECT * FROM {table}") == []
        with pytest.raises(VaultFailed):
            await vault.open("acc_a", digest)
    assert files_of(tmp_path, "acc_a", digest) == []


@each_row("step", ["fsync-1", "write-1-before", "write-1-after", "files", "write-2-before"])
async def test_a_killed_erasure_of_a_clip_is_completed_and_its_voice_stays(tmp_path: Path, step: str) -> None:
    async with open_store("sqlite", tmp_path) as store:
        vault = Vault(store, VaultSection(), tmp_path)
        first, digest = await vault.put("acc_a", bytes(1000)), await vault.put("acc_a", bytes(2000))
        voice = await add_voice(store, "acc_a", first)
        clip = SampleRecord(voice=voice, number=0, account="acc_a", digest=digest, seconds=6.0, id="clip_1")
        assert await add_clip(store, clip, 25, ALWAYS)
    ended = await forked.run(ERASER, str(tmp_path), "clip_1", step)
    assert ended.returncode == -signal.SIGKILL, ended.stdout
    async with open_store("sqlite", tmp_path) as store:
        vault = Vault(store, VaultSection(), tmp_path)
        async with open_erasure(store, vault, tmp_path, Metrics()) as erasure:
            assert [each.id for each in await samples.list_of_voice(store, voice)] == [""]
            await erasure.finish_interrupted()
            found = await tombstones.get(store, "acc_a", "clip_1")
            assert found is not None
            assert found.completed is not None
        await vault.tidy()
        assert await vault.open("acc_a", first) == bytes(1000)
    assert files_of(tmp_path, "acc_a", digest) == []
