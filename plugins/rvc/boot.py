"""Make RVC's networks and HuBERT importable, without a hub and without modules that only their programs need.

Import this module before `rvc` and `transformers`.
"""

from __future__ import annotations

import os

from speech_engine.stand_ins import put, put_torchaudio

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
# transformers imports torchaudio if it is installed.
put_torchaudio()
# RMVPE's module imports these. This plugin makes RMVPE's filters itself.
put("librosa")
put("librosa.filters", mel=None)
put("librosa.util", normalize=None, pad_center=None, tiny=None)
put("rvc.lib.jit")
