"""The former place of `ModelCache`, for plugins that import it from here."""

from speech_engine.host.model_cache import ModelCache as ModelShelf

__all__ = ["ModelShelf"]
