"""The noise of a conversion: the same for a place in the recording, in whatever window that is heard."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import torch


class PlacedNoise:
    """Normal numbers of one seed and one kind: so many `at_once` for each place, of which a `block` is drawn
    together."""

    def __init__(self, seed: int, kind: str, at_once: int, block: int) -> None:
        self._name = f"{seed}/{kind}"
        self._at_once = at_once
        self._block = block

    def between(self, begin: int, end: int) -> Any:
        """Return (numbers, places) from one place to another. The first may be before the recording."""
        first, last = begin // self._block, (end - 1) // self._block
        drawn = torch.cat([self._drawn(number) for number in range(first, last + 1)], dim=1)
        return drawn[:, begin - first * self._block : end - first * self._block]

    def _drawn(self, number: int) -> Any:
        digest = blake2b(f"{self._name}/{number}".encode(), digest_size=8).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest) >> 1)
        return torch.randn((self._at_once, self._block), generator=generator)
