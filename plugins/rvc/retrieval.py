"""Draw features towards those of the voice's recordings, by an exact search for the nearest eight."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

NEAREST = 8
_FRAMES_AT_ONCE = 64
"""With 200,000 vectors, the distances of 64 frames need 50 MB, and a second on a CPU."""
_VECTORS_AT_ONCE = 16_384
_LEAST = 1e-9


class Neighbours:
    """The features of a voice's recordings, `vectors` (n, width). `tick` is called again and again."""

    def __init__(self, vectors: Any, device: str, tick: Callable[[], None] = lambda: None) -> None:
        self._tick = tick
        self._vectors = torch.empty(vectors.shape, dtype=torch.float32, device=device)
        self._squares = torch.empty(len(vectors), dtype=torch.float32, device=device)
        for first in range(0, len(vectors), _VECTORS_AT_ONCE):
            part = slice(first, first + _VECTORS_AT_ONCE)
            self._vectors[part] = vectors[part]
            self._squares[part] = self._vectors[part].square().sum(1)
            tick()

    def __len__(self) -> int:
        return len(self._squares)

    @property
    def nbytes(self) -> int:
        return int(self._vectors.nbytes)

    def draw(self, features: Any, share: Any) -> Any:
        """Return features (frames, width) with this share of the nearest vectors.

        `share` is one number, or one for each frame (frames, 1). As in RVC, the weight of a vector is the
        square of the inverse of its squared distance.
        """
        exact = features.float()
        found = torch.cat([self._mean(part) for part in exact.split(_FRAMES_AT_ONCE)])
        return (found * share + exact * (1.0 - share)).to(features.dtype)

    def _mean(self, query: Any) -> Any:
        # Without the square of the query, which is the same for all vectors.
        distances = self._squares - 2.0 * (query @ self._vectors.T)
        places = distances.topk(min(NEAREST, len(self._squares)), dim=1, largest=False).indices
        near = self._vectors[places]
        # Exact distances, because the difference of large numbers above loses digits.
        squared = (near - query[:, None]).square().sum(2).clamp(min=_LEAST)
        weights = squared.reciprocal().square()
        self._tick()
        return (near * (weights / weights.sum(1, keepdim=True))[..., None]).sum(1)
