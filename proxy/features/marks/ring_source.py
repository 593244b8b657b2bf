"""The keys of marks: from a setting of `[marking]`, from a file in the data folder, or on PostgreSQL from
rows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal

from proxy.config.sections import Config
from proxy.features.marks.section import MARK_KEYS, RECEIPT_KEYS, SECTION
from proxy.features.marks.stored_rings import NeededRing, StoredRings
from proxy.file_store.key_ring import KeyRing, ensure_keys, parse_keys
from proxy.file_store.master_keys import VaultFailed

Ring = Literal["keys"]  # by the setting of [marking] that names its keys
_FORMER_RING = "receipt_keys"
"""The ring of receipts. Servers of 0.1.0 start only beside machines that have its newest key: it goes when
none may be beside one of ours, with 0.3.0."""


class RingSource:
    """Gives one worker the keys of marks at each revision. `stored` are the rows of PostgreSQL, which replace
    the file.

    If a file that was read is lost, no new one is made: old marks and addresses need the lost keys.
    """

    def __init__(self, stored: StoredRings | None = None) -> None:
        self._stored = stored
        self._has_read_file = False

    def read(self, config: Config, *, may_make: bool) -> KeyRing | None:
        """Return the keys, or None if there never were any. Waits for the disk.

        Unless it `may_make`, a missing file is not made. Raises OSError and VaultFailed.
        """
        if text := SECTION.of(config).keys:
            return parse_keys(text, "marking.keys")
        if self._stored is not None:
            return self._stored.ring("keys")
        file = Path(config.data) / MARK_KEYS
        if not file.exists():
            if self._has_read_file:
                raise VaultFailed(f"{file} is gone: put it back, or rotate the keys; then run voxgate reload")
            if not may_make:
                return None
        ring = ensure_keys(file)
        self._has_read_file = True
        return ring


def needed_rings(config: Config) -> list[NeededRing]:
    """Return the rings that no setting names."""
    section, data = SECTION.of(config), Path(config.data)
    former = NeededRing(_FORMER_RING, data / RECEIPT_KEYS, is_used=True)
    if section.keys:
        return [former]
    return [NeededRing("keys", data / MARK_KEYS, bool(section.mark or section.manifests)), former]


def list_key_ids(config: Config, stored: StoredRings) -> dict[str, list[str]]:
    """Return the ids of the keys on PostgreSQL, the one that makes new things first."""
    return {
        "mark": _ids_of(partial(RingSource(stored).read, config, may_make=False)),
        "receipt": _ids_of(partial(stored.ring, _FORMER_RING)),
    }


def _ids_of(read: Callable[[], KeyRing | None]) -> list[str]:
    try:
        return [key.id for key in read() or ()]
    except VaultFailed:
        return []
