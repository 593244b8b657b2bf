"""What the receipts of clips say: a protocol of the feature marks, with a stand-in."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

import msgspec


class ClipReceipt(msgspec.Struct, frozen=True):
    """A clip as its receipt has it, which is at `path`. `mark` is the plugin of the inaudible mark in it, and
    `mark_key` the id of its key; without a mark both are ""."""

    path: str
    sha256: str
    mark: str
    mark_key: str


class ClipReceipts(Protocol):
    """Reads receipts."""

    async def of_requests(self, account: str, requests: Collection[str]) -> Mapping[str, ClipReceipt]:
        """Return the receipts of those requests of an account that have one, by request."""
        ...


class NoClipReceipts:
    """Where no receipts are."""

    async def of_requests(self, account: str, requests: Collection[str]) -> Mapping[str, ClipReceipt]:
        del account, requests
        return {}
