"""The keys of marks and receipts: from a setting of `[marking]`, or from a file in the data folder."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import structlog

from proxy.config.sections import Config
from proxy.features.marks.jws import JwkSet, SigningKey
from proxy.features.marks.section import RECEIPT_KEYS, SECTION
from proxy.file_store.key_ring import KeyRing, ensure_keys, parse_keys
from proxy.file_store.master_keys import VaultFailed


class RingSource:
    """Gives one worker the keys of a setting of `[marking]`, at each revision.

    If a file that was read is lost, no new one is made: old marks and addresses need the lost keys.
    """

    def __init__(self, setting: Literal["keys", "receipt_keys"], file_name: str) -> None:
        self._setting = setting
        self._file_name = file_name
        self._has_read_file = False

    def read(self, config: Config, *, may_make: bool) -> KeyRing | None:
        """Return the keys, or None if there never were any. Waits for the disk.

        Unless it `may_make`, a missing file is not made. Raises OSError and VaultFailed.
        """
        text: str = getattr(SECTION.of(config), self._setting)
        if text:
            return parse_keys(text, f"marking.{self._setting}")
        file = Path(config.data) / self._file_name
        if not file.exists():
            if self._has_read_file:
                raise VaultFailed(f"{file} is gone: put it back, or rotate the keys; then run voxgate reload")
            if not may_make:
                return None
        ring = ensure_keys(file)
        self._has_read_file = True
        return ring


KEYS_FILE = RECEIPT_KEYS

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


def receipt_key_source() -> RingSource:
    return RingSource("receipt_keys", KEYS_FILE)


def read_receipt_keys(source: RingSource, config: Config) -> ReceiptKeys | None:
    """Return the usable keys of a configuration, or None. Waits for the disk."""
    try:
        ring = source.read(config, may_make=SECTION.of(config).receipts)
        return None if ring is None else ReceiptKeys(ring)
    except (OSError, VaultFailed) as error:
        _log.error("receipt.keys.failed", reason=error.strerror if isinstance(error, OSError) else str(error))
        return None
