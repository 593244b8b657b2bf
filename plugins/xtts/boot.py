"""Make XTTS's code importable beside any torch. Import this module before `TTS`."""

from __future__ import annotations

import logging
import os

from speech_engine.stand_ins import put_torchaudio

put_torchaudio()
# A warning of TTS quotes the text. Those of transformers are about unused numbers.
logging.getLogger("TTS").setLevel(logging.ERROR)
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
