"""The detector of the server: one of those that are installed, opened by its name, and never in the way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import structlog

from proxy.config.sections import PluginSection
from proxy.engines.plugin_instances import PluginRequest, open_plugin
from proxy.engines.registry import Registry
from speech_engine import Detector

SHIPPED = "pycld2"

_log = structlog.get_logger()


class LanguageDetection:
    """Called with a text, it gives a tag or None: without a detector, and for a text that breaks it, None.

    It runs where it is called, in the event loop: a detector is fast by its promise, and handing a text to
    a thread would cost several times the work.
    """

    def __init__(self, name: str, detector: Detector | None) -> None:
        self._name = name
        self._detector = detector

    def __repr__(self) -> str:
        return f"<LanguageDetection {self._name if self._detector else 'nothing'}>"

    def __call__(self, text: str) -> str | None:
        if self._detector is None:
            return None
        try:
            found: object = self._detector.detect(text)
        except Exception as error:  # noqa: BLE001 - the seam around a plugin: its name only, it may quote the text
            _log.warning("detector.detect.failed", detector=self._name, error=type(error).__name__)
            return None
        # A tag of another type would break routing far from here, and nobody would know whose it was.
        return found if isinstance(found, str) and found.isascii() else None


@asynccontextmanager
async def open_detector(
    registry: Registry,
    name: str = SHIPPED,
    section: PluginSection = PluginSection(),  # noqa: B008 - frozen
) -> AsyncIterator[LanguageDetection]:
    """The detector `name`, with its section's settings. Only that one: others may be slow to load, and large.

    Where it is not installed or fails, that is logged, and nothing is detected: speech goes on without, as
    it does with "".
    """
    async with AsyncExitStack() as stack:
        detector = None
        if name:
            detector = await open_plugin(
                stack, registry, PluginRequest("detector", name, section, is_asked_for=True)
            )
        yield LanguageDetection(name, detector)
