"""Makes XTTS's code importable beside any torch. Import this module before `TTS`.

torchaudio's native part is built for one torch on one device. What XTTS needs of torchaudio, spectrograms and
resampling, is written in Python, so the native part is left out. torchcodec reads files, and here are none.
"""

from __future__ import annotations

import logging
import os
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType


class _Stub(ModuleType):
    """A module that looks installed. Nothing of it is ever called."""

    def __init__(self, name: str, **values: object) -> None:
        super().__init__(name)
        self.__spec__ = ModuleSpec(name, None)
        self.__dict__.update(values)


def _as_it_is(function: object) -> object:
    """Stands for a decorator that checks for the native part."""
    return function


sys.modules.setdefault("torchcodec", _Stub("torchcodec"))
sys.modules.setdefault(
    "torchaudio._extension",
    _Stub("torchaudio._extension", _IS_TORCHAUDIO_EXT_AVAILABLE=False, fail_if_no_align=_as_it_is),
)
# A warning of TTS quotes the text; those of transformers are about numbers that are not used.
logging.getLogger("TTS").setLevel(logging.ERROR)
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
