"""The audio cache: what an account was given before, kept on disk and given again without an engine."""

from proxy.speech.cache.cache import Cache, open_cache
from proxy.speech.cache.clips import Clip
from proxy.speech.cache.lookup import CacheLookup
from proxy.speech.cache.names import CacheQuestion

__all__ = ["Cache", "CacheLookup", "CacheQuestion", "Clip", "open_cache"]
