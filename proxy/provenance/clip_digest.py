"""The digest of an answer's audio, taken of the bytes as they are given out."""

from __future__ import annotations

import hashlib


class ClipDigest:
    """The SHA-256 and the number of the bytes so far."""

    def __init__(self) -> None:
        self.bytes = 0
        self._hash = hashlib.sha256()

    def __repr__(self) -> str:
        return f"<ClipDigest of {self.bytes} bytes>"

    @classmethod
    def of(cls, data: bytes) -> ClipDigest:
        digest = cls()
        digest.add(data)
        return digest

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def add(self, data: bytes) -> None:
        self.bytes += len(data)
        self._hash.update(data)
