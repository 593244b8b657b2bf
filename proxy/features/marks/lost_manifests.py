"""Manifests that providers had put into their sound, and that are not in ours."""

from __future__ import annotations

import structlog
from prometheus_client import CollectorRegistry, Counter

from proxy.speech.call import SpeechCall

_log = structlog.get_logger()


class LostManifests:
    """Counts them. What keeps its provider's file as the parent of our manifest has lost nothing."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._lost = Counter(
            "voxgate_manifests_lost",
            "Answers without the manifest that their provider had put into the sound.",
            ["engine"],
            registry=registry,
        )
        self._kept: set[str] = set()
        self._known: set[str] = set()

    def keep(self, call: SpeechCall) -> None:
        """Say that the answer of this call keeps its provider's manifest."""
        self._kept.add(call.id)

    def note(self, call: SpeechCall) -> None:
        """Note how an answer has ended."""
        if call.id in self._kept:
            self._kept.remove(call.id)
            return
        signed: set[str] = set()
        for attempt in call.tally.attempts:
            if attempt.output.has_manifest:
                signed.add(attempt.model.engine)
        for engine in signed:
            self._lost.labels(engine).inc()
            if engine not in self._known:
                self._known.add(engine)
                _log.warning("manifest.provider.lost", engine=engine)
