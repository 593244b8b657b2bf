"""A process that changes the master key and kills itself before or after a write, for `tests/forked.py`:
`main(DATA, NUMBER, MOMENT)`.
"""

import os
import signal
from pathlib import Path

from proxy.feature_list import all_tables
from proxy.file_store.master_keys import MasterKeySource, rewrap_some
from proxy.storage.sqlite import SqliteStore
from proxy.storage.store import Row, Statement
from tests.proxy.file_store.vaults import BOTH

ROWS_A_STEP = 4
_last: list[tuple[int, str]] = []


class KilledStore(SqliteStore):
    """A store in whose process the write with this number is the last one."""

    written = 0

    async def write(self, *statements: Statement) -> list[list[Row]]:
        self.written += 1
        if (self.written, "before") in _last:
            os.kill(os.getpid(), signal.SIGKILL)
        rows = await super().write(*statements)
        if (self.written, "after") in _last:
            os.kill(os.getpid(), signal.SIGKILL)
        return rows


async def main(folder: str, number: str, moment: str) -> None:
    data = Path(folder)
    _last.append((int(number), moment))
    store = await KilledStore.open(data / "voxgate.db", all_tables())
    source = MasterKeySource(BOTH, data)
    while (step := await rewrap_some(store, source, limit=ROWS_A_STEP)) is not None and step.left:
        pass
