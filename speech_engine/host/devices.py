"""The devices of this machine for a host: the choice of one, its memory, and its load at this moment.

It runs before the engine is created. torch is imported only for an engine that can use a card, and only in
its own process. A machine without torch has only a processor, which has no figures. Memory is torch's figure
for the whole card, all its processes together. The load comes from the driver's own library: a call takes
microseconds, and no engine needs one more package for it. Cards of AMD, and parts of a card, tell no load.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

from speech_engine.device import CPU, Device, DeviceKind

GB = 1024**3
_CGROUP = Path("/sys/fs/cgroup")
_MEMINFO = Path("/proc/meminfo")


class DeviceLacking(Exception):
    """The device is not there. The message is the reason."""


def choose_device(setting: str, able: tuple[DeviceKind, ...]) -> Device:
    """Return the device for an engine that can use the kinds in `able`. Raise DeviceLacking with the reason.

    `setting` is "auto", a kind, or a kind with a number, such as "cuda:1".
    """
    kind, _, number = setting.partition(":")
    torch = None if setting == "cpu" or able == ("cpu",) else _torch()
    if kind == "auto":
        found = _kind_of_cards(torch)
        return Device(found) if found in able else CPU
    return CPU if kind == "cpu" else _card(torch, kind, int(number or 0))


def find_memory(device: Device) -> tuple[int, int] | None:
    """Return the free bytes and all bytes of a device's memory, or None if the system does not tell them."""
    if device.kind == "cpu":
        return _main_memory()
    free, total = importlib.import_module("torch").cuda.mem_get_info(device.index)
    return int(free), int(total)


def peak_gb(device: Device) -> float:
    """Return the most memory that this process has used on its device so far."""
    if device.kind == "cpu":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GB
    return float(importlib.import_module("torch").cuda.max_memory_reserved(device.index)) / GB


def _torch() -> Any:
    return importlib.import_module("torch") if importlib.util.find_spec("torch") else None


def _kind_of_cards(torch: Any) -> str:
    """Return the kind of cards that torch can use here, or "" if there are none."""
    if torch is None or not torch.cuda.is_available():
        return ""
    return "rocm" if getattr(torch.version, "hip", None) else "cuda"


def _card(torch: Any, kind: str, number: int) -> Device:
    if torch is None:
        raise DeviceLacking(f"device: there is no torch here that could use {kind}")
    found = _kind_of_cards(torch)
    if found != kind:
        has = f"uses {found}" if found else "finds no card"
        raise DeviceLacking(f"device: the engine shall use {kind}, and torch {has} here")
    count = torch.cuda.device_count()
    if number >= count:
        raise DeviceLacking(f"device: there is no {kind}:{number}; this machine has {count}")
    return Device("rocm" if kind == "rocm" else "cuda", number)


def _main_memory() -> tuple[int, int] | None:
    """Return the free bytes and all bytes of memory: the system's, or the container's if these are fewer."""
    try:
        lines = dict(line.split(":", 1) for line in _MEMINFO.read_text().splitlines() if ":" in line)
        free, total = (int(lines[name].split()[0]) * 1024 for name in ("MemAvailable", "MemTotal"))
    except (OSError, KeyError, ValueError):
        return None
    try:
        limit = int((_CGROUP / "memory.max").read_text())
        used = int((_CGROUP / "memory.current").read_text())
    except (OSError, ValueError):
        return free, total  # no limit: "max", or a system without these files
    return max(0, min(free, limit - used)), min(total, limit)


LIBRARY = "libnvidia-ml.so.1"


class _Rates(ctypes.Structure):
    """nvmlUtilization_t: percents of the driver's last moment."""

    _fields_ = [("gpu", ctypes.c_uint), ("memory", ctypes.c_uint)]


class DeviceFigures:
    """The figures of a host's device. Open it before the host is confined; any thread may ask."""

    def __init__(self, device: Device, load: Callable[[str], Any] = ctypes.CDLL) -> None:
        self._device = device
        self._torch: Any = None if device.kind == "cpu" else importlib.import_module("torch")
        self._library: Any = None
        self._handle = ctypes.c_void_p()
        if device.kind == "cuda":
            self._open(load)

    @property
    def has_card(self) -> bool:
        return self._torch is not None

    def values(self) -> dict[str, float]:
        """Return the figures by name. The server's metrics page says what each means."""
        if self._torch is None:
            return {}
        free, total = self._torch.cuda.mem_get_info(self._device.index)
        found = {"device_memory_used_bytes": float(total - free), "device_memory_total_bytes": float(total)}
        rates = _Rates()
        if self._library is not None:
            failed = self._library.nvmlDeviceGetUtilizationRates(self._handle, ctypes.byref(rates))
            if not failed:
                found["device_utilisation"] = rates.gpu / 100
        return found

    def _open(self, load: Callable[[str], Any]) -> None:
        """Find the card in the driver's library. Its number there may be another than torch's."""
        try:
            library = load(LIBRARY)
        except OSError:
            return
        card = self._torch.cuda.get_device_properties(self._device.index)
        name = f"GPU-{getattr(card, 'uuid', '')}".encode()
        if not library.nvmlInit_v2() and not library.nvmlDeviceGetHandleByUUID(
            name, ctypes.byref(self._handle)
        ):
            self._library = library
