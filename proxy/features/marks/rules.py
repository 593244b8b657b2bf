"""Marking: which answers get marks. This is decided before the first byte of an answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from policies.routing import Candidate, Model


class MarkUse(msgspec.Struct, frozen=True):
    """An inaudible mark: its plugin, a digest of the plugin's settings, and the id of its key."""

    plugin: str
    settings: str
    key: str


class Marking(msgspec.Struct, frozen=True):
    """The marks of an answer: an inaudible mark, and a signed manifest."""

    mark: MarkUse | None = None
    has_manifest: bool = False


class MarkingRules(msgspec.Struct, frozen=True):
    """The marks of an answer that must have them, and the operator's settings of single engines, by name."""

    marking: Marking | None = None
    engines: Mapping[str, bool] = {}

    @property
    def has_manifests(self) -> bool:
        return self.marking is not None and self.marking.has_manifest

    def decide(self, candidates: Iterable[Candidate], is_marked_by_plan: bool | None) -> Marking | None:
        """Return the marking of an answer that some of these candidates may speak. None: it is not marked.

        A plan decides for all engines, unless `is_marked_by_plan` is None. Else one candidate that must be
        marked is enough, because the speaker is known only at the first byte. See `spared`.
        """
        if self.marking is None or is_marked_by_plan is False:
            return None
        return self.marking if is_marked_by_plan or any(map(self._has_due, candidates)) else None

    def spared(self, candidates: Iterable[Candidate], is_marked_by_plan: bool | None) -> frozenset[str]:
        """Return the speakers whose speech is not marked if they speak the whole answer alone."""
        if self.marking is None or is_marked_by_plan is not None:
            return frozenset()
        return frozenset(each.speaker for each in candidates if not self._has_due(each))

    def _has_due(self, candidate: Candidate) -> bool:
        # The model that repeats a base voice makes the voice that is heard.
        return any(map(self.is_due, candidate.models[-1:] if candidate.base else candidate.models))

    def is_due(self, model: Model) -> bool:
        """Tell whether a model's speech is marked: the operator says so, or it is spoken here.

        A provider may mark its own speech, so it is left alone by default.
        """
        info = model.info
        return self.engines.get(model.engine, info.is_ours and info.is_speech)
