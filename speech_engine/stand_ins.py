"""Modules that look installed, for libraries that import more than they need. A worker's `boot` adds them."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType


def put(name: str, **values: object) -> None:
    """Let `name` be imported as a module with these values, unless it was imported before."""
    module = ModuleType(name)
    module.__spec__ = ModuleSpec(name, None)
    module.__dict__.update(values)
    sys.modules.setdefault(name, module)


def put_torchaudio() -> None:
    """Make torchaudio importable beside any torch: its native part is built for one torch on one device.

    Spectrograms and resampling are written in Python, and need none of it. torchcodec reads files.
    """
    put("torchcodec")
    # A decorator checks for the native part.
    put(
        "torchaudio._extension",
        _IS_TORCHAUDIO_EXT_AVAILABLE=False,
        fail_if_no_align=lambda function: function,
    )
