"""The memory of the server's processes, and the room on its disk, for the metrics page."""

from __future__ import annotations

import os
import shutil
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily, Metric

_PROC = Path("/proc")


def machine_metrics(data: Path) -> Iterator[Metric]:
    """Return the memory of this process and its descendants, and the room on the disk of the data folder.

    Without /proc, there is no figure for the memory.
    """
    memory = GaugeMetricFamily(
        "voxgate_memory_bytes", "Memory of all processes of the server, without what they share."
    )
    if _PROC.is_dir():
        memory.add_metric([], _private_bytes(os.getpid()))
    free, total = disk_room(data)
    yield memory
    yield GaugeMetricFamily("voxgate_disk_free_bytes", "Room on the disk of the data folder.", free)
    yield GaugeMetricFamily("voxgate_disk_bytes", "Size of that disk.", total)


def disk_room(data: Path) -> tuple[int, int]:
    """Return the free bytes on the disk of the data folder, and all bytes."""
    disk = shutil.disk_usage(data)
    return disk.free, disk.total


def _private_bytes(root_pid: int) -> int:
    children: defaultdict[int, list[int]] = defaultdict(list)
    pages: dict[int, int] = {}
    for folder in _PROC.glob("[0-9]*"):
        try:
            # The program's name, in brackets, may have any signs. The state and the parent follow it.
            parent = int((folder / "stat").read_text().rpartition(") ")[2].split()[1])
            _size, resident, shared, *_ = map(int, (folder / "statm").read_text().split())
        except OSError:
            continue  # it has ended meanwhile
        children[parent].append(int(folder.name))
        pages[int(folder.name)] = resident - shared
    total_pages, unread_pids = 0, [root_pid]
    while unread_pids:
        process = unread_pids.pop()
        total_pages += pages.get(process, 0)
        unread_pids += children[process]
    return total_pages * os.sysconf("SC_PAGE_SIZE")
