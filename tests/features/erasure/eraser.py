"""A process that erases a voice and kills itself at a step, for `tests/forked.py`: `main(DATA, VOICE, STEP)`.

STEP is `fsync-1`, `fsync-2` … before that flush; `write-1-before`, `write-1-after` … at that commit; or the
name of a step of the erasure, before it.
"""

import os
import signal
from collections.abc import Collection
from pathlib import Path

from proxy.catalogue.erasing import DerivedData
from proxy.config.sections import VaultSection
from proxy.feature_list import all_tables
from proxy.features.erasure.erasure import Erasure
from proxy.file_store.vault import Vault
from proxy.storage.sqlite import SqliteStore
from proxy.storage.store import Row, Statement
from proxy.storage.tombstones import Tombstone
from tests.proxy.file_store.owned import Owned

_flush = os.fsync
_last: list[str] = []


def _die_if(step: str) -> None:
    if step in _last:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


class KilledStore(SqliteStore):
    written = 0
    is_armed = False

    async def write(self, *statements: Statement) -> list[list[Row]]:
        self.written += self.is_armed
        _die_if(f"write-{self.written}-before")
        rows = await super().write(*statements)
        _die_if(f"write-{self.written}-after")
        return rows

    async def forget_deleted(self) -> bool:
        _die_if("database")
        return await super().forget_deleted()


class Files:
    async def remove_voice(self, voice: str, *, is_late: bool) -> None:
        del voice, is_late
        _die_if("files")


async def drop(digests: Collection[str]) -> None:
    del digests
    _die_if("hosts")


async def main(folder: str, voice: str, last: str) -> None:
    data = Path(folder)
    _last.append(last)
    store = await KilledStore.open(data / "voxgate.db", all_tables())
    assert isinstance(store, KilledStore)

    async def spread(tombstone: Tombstone) -> bool:
        _die_if("workers")
        return await erasure.forget(tombstone)

    erasure = Erasure(store, Vault(store, VaultSection(), data), data, spread)
    erasure.derived_data = DerivedData((), (Files(),), drop)
    flushes = 0

    def flush(descriptor: int) -> None:
        nonlocal flushes
        flushes += 1
        _die_if(f"fsync-{flushes}")
        _flush(descriptor)

    os.fsync = flush  # type: ignore[assignment]  # the real one takes objects with a descriptor, too
    store.is_armed = True
    await erasure.erase_voice(Owned(voice, "acc_a"))
    print(store.written, flushes)
    await store.close()
