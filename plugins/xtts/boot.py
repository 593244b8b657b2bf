"""Makes XTTS's code importable beside any torch. Import this module before `TTS`."""

from __future__ import annotations

import logging
import os

from speech_engine.stand_ins import put_torchaudio

put_torchaudio()
# A warning of TTS quotes the text; those of transformers are about numbers that are not used.
logging.getLogger("TTS").setLevel(logging.ERROR)
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
