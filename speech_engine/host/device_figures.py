"""What a card does at this moment: its memory, and how busy it is. A processor has no such figures.

Memory is what torch says of the whole card, all its processes together. How busy it is, the driver's own
library says: a call takes microseconds, and no engine needs one more package for it. Cards of AMD, and
parts of a card, do not say it.
"""

from __future__ import annotations

import ctypes
import importlib
from collections.abc import Callable
from typing import Any

from speech_engine.device import Device

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

    def __repr__(self) -> str:
        return f"<DeviceFigures of {self._device}>"

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
