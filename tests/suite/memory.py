"""Where temporary files go: into memory where the machine has a folder for that, with room."""

import os
import shutil
import tempfile
from pathlib import Path

FOLDER = Path("/dev/shm")
ROOM = 4 * 1024**3


def choose(folder: Path = FOLDER, room: int = ROOM) -> Path | None:
    """The folder in memory; none where it is absent, closed, small, or lets no program run."""
    try:
        mounted = os.statvfs(folder)
        free = shutil.disk_usage(folder).free
    except OSError:
        return None
    # Tests make programs in temporary folders, and start them.
    usable = os.access(folder, os.W_OK) and not mounted.f_flag & os.ST_NOEXEC
    return folder if usable and free >= room else None


def use(folder: Path | None) -> None:
    """Make it the folder of temporary files, for pytest and for every process that tests start."""
    if folder is None or "TMPDIR" in os.environ:
        return
    os.environ["TMPDIR"] = str(folder)
    tempfile.tempdir = None
