"""The keys that sign receipts: the newest signs, and the public halves of all are published."""

from __future__ import annotations

import structlog

from proxy.config.sections import Config
from proxy.features.marks.files import RECEIPT_KEYS
from proxy.features.marks.jws import JwkSet, SigningKey
from proxy.features.marks.ring_source import RingSource
from proxy.features.marks.section import MARKING
from proxy.kept.key_ring import KeyRing, UnusableKeys

KEYS_FILE = RECEIPT_KEYS

_log = structlog.get_logger()


class ReceiptKeys:
    """The keys of a server, the newest first. There is at least one."""

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
    """Return the keys of a configuration, None if there are none that can be used. Waits for the disk."""
    try:
        ring = source.read(config, may_make=MARKING.of(config).receipts)
        return None if ring is None else ReceiptKeys(ring)
    except (OSError, UnusableKeys) as error:
        _log.error("receipt.keys.failed", reason=error.strerror if isinstance(error, OSError) else str(error))
        return None
