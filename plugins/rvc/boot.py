"""Makes RVC's networks and HuBERT importable, without a hub and without what only their programs need.

Import this module before `rvc` and `transformers`.
"""

from __future__ import annotations

import os

from speech_engine.stand_ins import put, put_torchaudio

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
# transformers imports it wherever it is installed.
put_torchaudio()
# RMVPE's module asks for them beside its network. Its filters for pitch are made here.
put("librosa")
put("librosa.filters", mel=None)
put("librosa.util", normalize=None, pad_center=None, tiny=None)
put("rvc.lib.jit")
