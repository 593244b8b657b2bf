"""The audio cache: what an account was given before, kept on disk and given again without an engine."""

from proxy.cache.cache import Cache, Counts
from proxy.cache.clips import Clip
from proxy.cache.looked import Looked
from proxy.cache.names import Sought
from proxy.cache.opening import open_cache

__all__ = ["Cache", "Clip", "Counts", "Looked", "Sought", "open_cache"]
