"""The keys of marks and receipts: from a setting of `[marking]`, from a file in the data folder, or on
PostgreSQL from rows."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import structlog

from proxy.config.sections import Config
from proxy.features.marks.jws import JwkSet, SigningKey
from proxy.features.marks.section import MARK_KEYS, RECEIPT_KEYS, SECTION
from proxy.features.marks.stored_rings import NeededRing, StoredRings
from proxy.file_store.key_ring import KeyRing, ensure_keys, parse_keys
from proxy.file_store.master_keys import VaultFailed

Ring = Literal["keys", "receipt_keys"]  # each by the setting of [marking] that names its keys


class RingSource:
    """Gives one worker the keys of a setting of `[marking]`, at each revision. `stored` are the rows of
    PostgreSQL, which replace the file.

    If a file that was read is lost, no new one is made: old marks and addresses need the lost keys.
    """

    def __init__(self, setting: Ring, file_name: str, stored: StoredRings | None = None) -> None:
        self._setting = setting
        self._file_name = file_name
        self._stored = stored
        self._has_read_file = False

    def read(self, config: Config, *, may_make: bool) -> KeyRing | None:
        """Return the keys, or None if there never were any. Waits for the disk.

        Unless it `may_make`, a missing file is not made. Raises OSError and VaultFailed.
        """
        text: str = getattr(SECTION.of(config), self._setting)
        if text:
            return parse_keys(text, f"marking.{self._setting}")
        if self._stored is not None:
            return self._stored.ring(self._setting)
        file = Path(config.data) / self._file_name
        if not file.exists():
            if self._has_read_file:
                raise VaultFailed(f"{file} is gone: put it back, or rotate the keys; then run voxgate reload")
            if not may_make:
                return None
        ring = ensure_keys(file)
        self._has_read_file = True
        return ring


_log = structlog.get_logger()


class ReceiptKeys:
    """The keys that sign receipts, at least one. The newest is first, and signs. All public halves are
    published."""

    def __init__(self, ring: KeyRing) -> None:
        self._keys = [SigningKey(key.secret) for key in ring]

    @property
    def newest(self) -> SigningKey:
        return self._keys[0]

    @property
    def jwks(self) -> JwkSet:
        return JwkSet([key.jwk for key in self._keys])


def needed_rings(config: Config) -> list[NeededRing]:
    """Return the rings that no setting names."""
    section, data = SECTION.of(config), Path(config.data)
    rings = [
        (section.keys, NeededRing("keys", data / MARK_KEYS, bool(section.mark or section.manifests))),
        (section.receipt_keys, NeededRing("receipt_keys", data / RECEIPT_KEYS, section.receipts)),
    ]
    return [ring for named, ring in rings if not named]


def list_key_ids(config: Config, stored: StoredRings) -> dict[str, list[str]]:
    """Return the ids of the keys of both rings on PostgreSQL, the one that makes new things first."""
    sources = {
        "mark": RingSource("keys", MARK_KEYS, stored),
        "receipt": RingSource("receipt_keys", RECEIPT_KEYS, stored),
    }
    found: dict[str, list[str]] = {}
    for name, source in sources.items():
        try:
            found[name] = [key.id for key in source.read(config, may_make=False) or ()]
        except VaultFailed:
            found[name] = []
    return found


class ReceiptRing:
    """The receipt keys of a worker's latest revision, and the operator who signs by them.

    `keys` is None if there are none, or if they cannot be read."""

    def __init__(self, stored: StoredRings | None = None) -> None:
        self.keys: ReceiptKeys | None = None
        self.operator = ""
        self._source = RingSource("receipt_keys", RECEIPT_KEYS, stored)

    def revise(self, config: Config) -> None:
        """Read the keys again. Waits for the disk."""
        self.operator = config.consent.operator
        try:
            ring = self._source.read(config, may_make=SECTION.of(config).receipts)
            self.keys = None if ring is None else ReceiptKeys(ring)
        except (OSError, VaultFailed) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            _log.error("receipt.keys.failed", reason=reason)
            self.keys = None
