"""A process that puts one recording into a vault, and kills itself at a step, for `tests/forked.py`:
`main(DATA, STEP, CANARY)`.

STEP is the number of the flush to the disk before which it dies, `row` for the step before the row is
written, or `none`.
"""

import os
import signal
from pathlib import Path
from typing import NoReturn

from proxy.config.sections import VaultSection
from proxy.feature_list import open_store
from proxy.file_store.vault import Vault
from proxy.storage import blobs
from proxy.storage.blobs import BlobRow
from proxy.storage.store import Store

_flush = os.fsync
_flushes = 0
SIZE = 3 * 2**20


def _die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def _die_at_flush(step: int) -> None:
    def flush(descriptor: int) -> None:
        global _flushes
        _flushes += 1
        if _flushes == step:
            _die()
        _flush(descriptor)

    os.fsync = flush  # type: ignore[assignment]  # the real one takes objects with a descriptor, too


async def _never_put(store: Store, blob: BlobRow, before: BlobRow | None = None) -> bool:
    del store, blob, before
    _die()


async def main(folder: str, step: str, canary: str) -> None:
    data = Path(folder)
    async with open_store("sqlite", data) as store:
        vault = Vault(store, VaultSection(), data)
        await vault.name_digest("acc_a", "the keys are made")
        if step == "row":
            blobs.put = _never_put
        elif step != "none":
            _die_at_flush(int(step))
        print(await vault.put("acc_a", canary.encode() * (SIZE // len(canary))))
