"""Several parts of a text, each by its own engine and voice, spoken as one stream."""

from __future__ import annotations

from proxy.speech.levels import Levels
from proxy.speech.relay import begin_speech

__all__ = ["Levels", "begin_speech"]
