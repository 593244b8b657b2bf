"""The former place of what `speech_engine.cloud` has now, for plugins that import it from here."""

from speech_engine.cloud import Call, joined

__all__ = ["Call", "joined"]
