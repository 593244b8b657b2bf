"""A database or a journal that somebody else has written: nothing outside of its folders is touched."""

import json
from pathlib import Path
from typing import NamedTuple

import pytest
import structlog

from proxy.catalogue.erasing import DerivedData
from proxy.config.sections import VaultSection
from proxy.feature_list import open_store
from proxy.features.cache import records as clips
from proxy.features.cache.clip_store import ClipStore
from proxy.features.erasure.erasure import Erasure, open_erasure
from proxy.features.erasure.journal import FILE
from proxy.features.own_voices.retention import erase_unused
from proxy.file_store.vault import Vault
from proxy.storage.disk_names import UnsafeName
from proxy.storage.store import Statement, StorageFailed, Store
from proxy.telemetry.metrics import Metrics
from tests.proxy.file_store.owned import Owned

pytestmark = pytest.mark.slow

GOOD = "acc_" + "a" * 24
DIGEST = "d" * 64


class Hostile(NamedTuple):
    """What a stranger wrote. `{out}` is the folder that has to stay."""

    statements: tuple[str, ...]
    journal: str = ""


def _erasure(account: str, digest: str) -> str:
    return (
        "INSERT INTO erasures (subject, account, digests, began, pending) "
        f"""VALUES ('voice_1', '{account}', '["{digest}"]', 1, '["files", "recordings"]')"""
    )


def _closed(account: str) -> tuple[str, ...]:
    return (
        "INSERT INTO accounts (id, name, plan, created, anchor, agreed, closed) "
        f"VALUES ('{account}', '{account}', 'free', 1, 1, '{{}}', 2)",
        f"INSERT INTO account_keys (account, wrapped) VALUES ('{account}', 'x')",
    )


def _owned(table: str, digest: str) -> tuple[str, ...]:
    account = (
        "INSERT INTO accounts (id, name, plan, created, anchor, agreed) "
        f"VALUES ('{GOOD}', 'x', 'free', 1, 1, '{{}}')"
    )
    if table == "samples":
        return (
            account,
            "INSERT INTO voices (id, account, name, kind, created) "
            f"VALUES ('voice_2', '{GOOD}', 'x', 'sample', 1)",
            "INSERT INTO samples (voice, number, account, digest, seconds) "
            f"VALUES ('voice_2', 0, '{GOOD}', '{digest}', 1)",
        )
    return (
        account,
        "INSERT INTO consents (id, account, kind, language, digest, made_by, created, wrapped, sealed) "
        f"VALUES ('cons_2', '{GOOD}', 'recording', 'en', '{digest}', 'key_1', 1, '', '')",
    )


def _blob(account: str, digest: str) -> str:
    return (
        "INSERT INTO blobs (account, digest, wrapped, size, created) "
        f"VALUES ('{account}', '{digest}', 'x', 1, 1)"
    )


def _clip(name: str) -> str:
    return (
        "INSERT INTO clips (recording, voice, account, has_lexicon, folder, name, began) "
        f"VALUES ('r', 'voice_1', '{GOOD}', 0, 'here', '{name}', 1)"
    )


def _line(account: str, digest: str) -> str:
    return json.dumps({"at": 5, "subject": "voice_9", "account": account, "digests": [digest]}) + "\n"


HOSTILE = {
    "erasures.digests, absolute": Hostile((_erasure(GOOD, "{out}/file"),)),
    "erasures.digests, upwards": Hostile((_erasure(GOOD, "../../../out/file"),)),
    "erasures.account": Hostile((_erasure("../../out", "file"),)),
    "erasures.account, absolute": Hostile((_erasure("{out}", "file"),)),
    "accounts.id, upwards": Hostile(_closed("../../out")),
    "accounts.id, absolute": Hostile(_closed("{out}")),
    "accounts.id, the data folder": Hostile(_closed("..")),
    "accounts.id, the vault itself": Hostile(_closed(".")),
    "accounts.id, nobody": Hostile(_closed("")),
    "accounts.id, the operator's": Hostile(_closed("operator")),
    "blobs.digest": Hostile((_blob(GOOD, "{out}/file"),)),
    "blobs.account": Hostile((_blob("../../out", "file"),)),
    "samples.digest": Hostile(_owned("samples", "../../../out/file")),
    "consents.digest": Hostile(_owned("consents", "{out}/file")),
    "clips.name": Hostile((_erasure(GOOD, DIGEST), _clip("../../out/file"))),
    "clips.name, absolute": Hostile((_erasure(GOOD, DIGEST), _clip("{out}/file"))),
    "journal, digest": Hostile((), _line(GOOD, "{out}/file")),
    "journal, account": Hostile((), _line("../../out", "file")),
}


def everything(folder: Path) -> dict[str, bytes | None]:
    """All below a folder."""
    found = sorted(folder.rglob("*"))
    return {str(each): each.read_bytes() if each.is_file() else None for each in found}


def of_nobody(data: Path) -> dict[str, bytes | None]:
    """What no row may touch: all beside the database, the journal, and what the server makes of itself."""
    return {name: content for name, content in everything(data).items() if "voxgate.db" not in name}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "file").write_text("somebody else's")
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with a recording of the operator's."""
    folder = tmp_path / "data"
    # The cache is there, as on any server that has served: `..` leads through it.
    for name in ("voices/operator", f"voices/{GOOD}", "cache"):
        (folder / name).mkdir(parents=True)
    (folder / "voices" / "operator" / DIGEST).write_text("sealed")
    (folder / "mark-keys").write_text("keys")
    return folder


async def write(store: Store, hostile: Hostile, out: Path) -> None:
    for sql in hostile.statements:
        await store.write(Statement(sql.replace("{out}", str(out))))


async def serve(store: Store, data: Path) -> None:
    """Do all that a server does about erasures and left-over things: at its start, each hour, each day."""
    vault = Vault(store, VaultSection(), data)
    cache_dir = ClipStore(data / "cache", store, "here", 1)
    try:
        async with open_erasure(store, vault, data, Metrics()) as erasure:
            erasure.derived_data = DerivedData((), (_Clips(store, cache_dir),))
            await erasure.finish_interrupted()
            await erase_unused(store, {}, erasure)
            await _erase_owned(store, erasure)
        await vault.tidy()
        await cache_dir.tidy()
        await vault.close()
    finally:
        cache_dir.close()


class _Clips:
    def __init__(self, store: Store, cache_dir: ClipStore) -> None:
        self._store = store
        self._sample_cache = cache_dir

    async def remove_voice(self, voice: str, *, is_late: bool) -> None:
        del is_late
        await self._sample_cache.purge(lambda store: clips.purge_voice(store, None, voice))


async def _erase_owned(store: Store, erasure: Erasure) -> None:
    for table, erase in {"voices": erasure.erase_voice, "consents": erasure.erase}.items():
        for row in await store.read(f"SELECT id, account FROM {table}"):
            await erase(Owned(row["id"], row["account"]))


@pytest.mark.parametrize("name", HOSTILE)
async def test_nothing_outside_of_the_folders_is_deleted_and_the_server_says_so(
    name: str, data: Path, out: Path
) -> None:
    hostile = HOSTILE[name]
    if hostile.journal:
        (data / FILE).write_text(hostile.journal.replace("{out}", str(out)))
    journal = (data / FILE).exists()
    async with open_store("sqlite", data) as store:
        await write(store, hostile, out)
        before = (everything(out), of_nobody(data))
        with structlog.testing.capture_logs() as logged:
            await serve(store, data)
        after = of_nobody(data)
        assert everything(out) == before[0]
        assert {path for path in before[1] if path not in after} == set()
        assert [entry for entry in logged if "cannot name a file" in str(entry)], logged
        assert journal == (data / FILE).exists() or "samples" in name or "consents" in name


async def test_a_hostile_account_keeps_no_other_waiting(data: Path, out: Path) -> None:
    """Of closed accounts, the hostile one comes first."""
    async with open_store("sqlite", data) as store:
        await write(store, Hostile((*_closed("../../out"), *_closed(GOOD))), out)
        (data / "voices" / GOOD / DIGEST).write_text("sealed")
        await serve(store, data)
        assert [row["account"] for row in await store.read("SELECT account FROM account_keys")] == [
            "../../out"
        ]
    assert not (data / "voices" / GOOD).exists()
    assert (out / "file").exists()


@pytest.mark.parametrize(
    ("account", "digest"), [("../../out", "file"), (GOOD, "../../../out/file"), (GOOD, "zz")]
)
async def test_a_recording_of_a_hostile_row_is_not_read(
    data: Path, out: Path, account: str, digest: str
) -> None:
    async with open_store("sqlite", data) as store:
        vault = Vault(store, VaultSection(), data)
        with pytest.raises(UnsafeName):
            await vault.put("../../out", b"a recording")
        await write(store, Hostile((_blob(account, digest),)), out)
        for read in (vault.open, vault.reader):
            with pytest.raises(StorageFailed):
                await read(account, digest)
    assert everything(out) == {str(out / "file"): b"somebody else's"}
