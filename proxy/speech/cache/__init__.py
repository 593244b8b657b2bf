"""The audio cache: what an account was given before, kept on disk and given again without an engine."""

from proxy.speech.cache.cache import Cache, Counts
from proxy.speech.cache.clips import Clip
from proxy.speech.cache.looked import CacheLookup
from proxy.speech.cache.names import CacheQuestion
from proxy.speech.cache.opening import open_cache

__all__ = ["Cache", "CacheLookup", "CacheQuestion", "Clip", "Counts", "open_cache"]
