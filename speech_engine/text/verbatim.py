"""The former place of what `speech_engine.text.draft` has now, for plugins that import it from here."""

from speech_engine.text.draft import keep_addresses

__all__ = ["keep_addresses"]
