"""What stays the same in a run, and is read once: each test would read it again."""

import importlib
import sys
from array import array
from collections.abc import Callable
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import plugins
from proxy.features.models.entries import GalleryEntry

_OURS = tuple(Path(folder) for folder in plugins.__path__)


_OF_WORKERS = (
    ("starlette.routing", "compile_path"),
    ("proxy.storage.schema", "known_migrations"),
)
"""What each worker makes of the same files and paths, and nobody changes: 3 ms for each of 2,000 tests."""


def share() -> None:
    """Share the machine's authorities (30 ms and 0.7 MB for each client) and our galleries (20 ms a worker).

    No client changes its context, and entries are frozen.
    """
    for module, name in _OF_WORKERS:
        holder: Any = importlib.import_module(module)
        setattr(holder, name, cache(getattr(holder, name)))
    clients: Any = importlib.import_module("httpx2._transports.default")
    clients.create_ssl_context = cache(clients.create_ssl_context)
    listing: Any = importlib.import_module("proxy.features.models.listing")
    read: Callable[[Path], dict[str, GalleryEntry]]
    read, read_once = listing.read_gallery, cache(listing.read_gallery)

    def read_gallery(path: Path) -> dict[str, GalleryEntry]:
        return read_once(path) if any(path.is_relative_to(folder) for folder in _OURS) else read(path)

    listing.read_gallery = read_gallery
    _share_plugins()
    _share_timbres()


def _share_plugins() -> None:
    """To look for the plugins of each worker takes 10 ms: all that is installed is read again."""
    registry: Any = importlib.import_module("proxy.engines.registry")
    entry_points = registry.entry_points

    @cache
    def found(group: str, _path: tuple[str, ...]) -> Any:
        return entry_points(group=group)

    registry.entry_points = lambda *, group: found(group, tuple(sys.path))


def _share_timbres() -> None:
    """Most tests of cloned voices have the same few recordings, and to measure one takes 70 ms."""
    timbre: Any = importlib.import_module("plugins.tone.timbre")
    measure = timbre._measure

    @lru_cache(maxsize=64)
    def measured(pcm: bytes, sample_rate_hz: int) -> Any:
        return measure(array("h", pcm), sample_rate_hz)

    timbre._measure = lambda samples, sample_rate_hz: measured(samples.tobytes(), sample_rate_hz)
