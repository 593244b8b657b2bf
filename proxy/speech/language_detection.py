"""The language detector of the server: an installed one, opened by its name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import lru_cache

import structlog

from proxy.config.sections import PluginSection
from proxy.engines.plugin_instances import PluginRequest, open_plugin
from proxy.engines.registry import Registry
from speech_engine import Detector, RankingDetector

SHIPPED = "pycld2"
_MOST_STORED = 256
_MOST_CACHED_CHARACTERS = 500
_log = structlog.get_logger()


class LanguageDetection:
    """A `Detect` of `policies.language`. If the detector fails, this is logged, and no tag is returned."""

    def __init__(self, name: str, detector: Detector | None) -> None:
        self._name = name
        self._detector = detector
        self._rank_text = detector.rank if isinstance(detector, RankingDetector) else self._detect_only
        self._rank_cached = lru_cache(_MOST_STORED)(self._rank)

    def __call__(self, text: str, usual_tag: str) -> tuple[str, ...]:
        if self._detector is None:
            return ()
        try:
            if len(text) <= _MOST_CACHED_CHARACTERS:
                return self._rank_cached(text, usual_tag)
            return self._rank(text, usual_tag)
        except Exception as error:  # noqa: BLE001 - of a plugin: its message may quote the text
            _log.warning("detector.detect.failed", detector=self._name, error=type(error).__name__)
            return ()

    def _rank(self, text: str, usual_tag: str) -> tuple[str, ...]:
        tags: list[str] = []
        for tag in self._rank_text(text, usual_tag):
            # A tag of another type would break routing far from here.
            if isinstance(tag, str) and tag.isascii() and tag:
                tags.append(tag)
        return tuple(tags)

    def _detect_only(self, text: str, _usual: str) -> tuple[object, ...]:
        return (self._detector.detect(text),) if self._detector else ()


@asynccontextmanager
async def open_detector(
    registry: Registry,
    name: str = SHIPPED,
    section: PluginSection = PluginSection(),  # noqa: B008 - frozen
) -> AsyncIterator[LanguageDetection]:
    """Open the detector `name` with its section's settings.

    If it is not installed or fails, this is logged, and no language is detected, as with "".
    """
    async with AsyncExitStack() as stack:
        detector = None
        if name:
            detector = await open_plugin(
                stack, registry, PluginRequest("detector", name, section, is_required=True)
            )
        yield LanguageDetection(name, detector)
