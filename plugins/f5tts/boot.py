"""Make the networks of F5-TTS and Vocos importable with any torch, without the modules for training.

Import this module before `f5_tts` and `vocos`.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from speech_engine.stand_ins import put, put_torchaudio


def _folder(package: str, *parts: str) -> list[str]:
    spec = find_spec(package)
    if spec is None or spec.submodule_search_locations is None:
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)
    return [str(Path(folder, *parts)) for folder in spec.submodule_search_locations]


put_torchaudio()
put("librosa")
# For another vocoder than Vocos.
put("librosa.filters", mel=None)
put("f5_tts.model", __path__=_folder("f5_tts", "model"))
put("vocos", __path__=_folder("vocos"))
