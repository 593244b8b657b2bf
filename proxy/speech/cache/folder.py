"""The cache's folder: a shelf for what each account heard by each voice, and how shelves are taken away.

Everything here waits for the disk, so it is called in threads, and raises OSError.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from proxy.kept import kept_files
from proxy.kept.kept_files import Swept

_DOTS = 2
_GONE = "gone-"


class Folder:
    def __init__(self, root: Path) -> None:
        self.root = root

    def __repr__(self) -> str:
        return f"<Folder {self.root.name}>"

    def shelves(self) -> list[str]:
        """By name; what else lies there is none of ours."""
        return [name for name in self._listed() if name.count(".") == _DOTS]

    def purge(self, is_one: Callable[[str], bool]) -> int:
        """Takes these shelves away, whole and at once; how many there were. What is still being written there
        goes with its shelf, since its writer has the folder and not the name."""
        purged = 0
        for shelf in self.shelves():
            if is_one(shelf):
                with suppress(FileNotFoundError):
                    (self.root / shelf).rename(self.root / f"{_GONE}{secrets.token_hex(8)}")
                    purged += 1
        self._remove_gone()
        return purged

    def sweep(self, most_bytes: int, oldest: float) -> Swept:
        """What is too old, what was used longest ago until the rest fits, and what was left over."""
        self._remove_gone()
        shelves = [self.root / shelf for shelf in self.shelves()]
        swept = kept_files.sweep(shelves, most_bytes, oldest, by_use=True)
        for shelf in shelves:
            with suppress(OSError):
                shelf.rmdir()  # only an empty one can be
        return swept

    def _remove_gone(self) -> None:
        for name in self._listed():
            if name.startswith(_GONE):
                # Whoever still writes there may be quicker; then the next sweep finds it.
                shutil.rmtree(self.root / name, ignore_errors=True)

    def _listed(self) -> list[str]:
        try:
            return os.listdir(self.root)
        except FileNotFoundError:
            return []
