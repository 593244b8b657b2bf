"""Files that are in memory alone, for processes that get what people own as open files."""

from __future__ import annotations

import os
from typing import BinaryIO


def memory_file(name: str) -> BinaryIO:
    """Return a new file without a path."""
    return os.fdopen(os.memfd_create(name), "w+b", buffering=0)
