"""Files in memory only, for processes that get personal data as open files."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import BinaryIO


def memory_file(name: str) -> BinaryIO:
    """Return a new file without a path."""
    return os.fdopen(os.memfd_create(name), "w+b", buffering=0)


@asynccontextmanager
async def open_memory_file(name: str) -> AsyncIterator[BinaryIO]:
    """Open a new file without a path. It is closed in a thread: to free hundreds of MiB takes long."""
    file = memory_file(name)
    try:
        yield file
    finally:
        await asyncio.to_thread(file.close)
