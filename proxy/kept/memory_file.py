"""Files that are in memory alone, for processes that get what people own as open files."""

from __future__ import annotations

import os
import sys
import tempfile
from typing import BinaryIO, cast


def memory_file(name: str) -> BinaryIO:
    """Return a new file without a path. Where the system has none in memory, it has lost its name."""
    if sys.platform == "linux":
        return os.fdopen(os.memfd_create(name), "w+b", buffering=0)
    return cast(BinaryIO, tempfile.TemporaryFile(buffering=0))
