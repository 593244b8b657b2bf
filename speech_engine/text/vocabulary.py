"""The former place of what `speech_engine.text.cleaning` has now, for plugins that import it from here."""

from speech_engine.text.cleaning import without_unknown

__all__ = ["without_unknown"]
