"""The large libraries of sound: libav, numpy and soxr, 26 MiB in memory.

A worker that only passes on encoded sound never loads them, so modules that need them are imported inside
functions. The import takes a tenth of a second, which would block the event loop for too long.
"""

from __future__ import annotations

import asyncio
import importlib

_MODULES = ("compressed", "loudness", "fitting")
_loaded: set[str] = set()


def load_libraries() -> None:
    """Load them. A worker whose engines give PCM calls this before it serves."""
    for module in _MODULES:
        importlib.import_module(f"proxy.audio.{module}")
        _loaded.add(module)


async def ensure_loaded() -> None:
    """Load them in a thread, unless they are loaded. It is called before an engine makes PCM."""
    if len(_loaded) < len(_MODULES):
        await asyncio.to_thread(load_libraries)
