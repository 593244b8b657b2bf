"""Install what the worker of one engine needs: `python install.py ENGINE`, while the image is built."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

from speech_engine import Hosted


def commands(engine: str) -> list[list[str]]:
    """Return pip's arguments. What is `bare` comes without what it asks for."""
    module = importlib.import_module(f"plugins.{engine}.plugin")
    (hosted,) = [each.create for each in module.voxgate_register() if isinstance(each.create, Hosted)]
    folder = Path(str(module.__file__)).parent
    pinned = ["-c", str(folder / hosted.constraints)] if hosted.constraints else []
    found = []
    if hosted.packages:
        found.append(["install", "--no-cache-dir", *pinned, *hosted.packages])
    if hosted.bare:
        found.append(["install", "--no-cache-dir", "--no-deps", *hosted.bare])
    return found


if __name__ == "__main__":
    for arguments in commands(sys.argv[1]):
        subprocess.run([sys.executable, "-m", "pip", *arguments], check=True)
