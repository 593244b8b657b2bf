"""Marking: which answers tell that a machine spoke them. It is decided before the first byte of an answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from policies.routing import Model


class MarkUse(msgspec.Struct, frozen=True):
    """An inaudible mark: its plugin, a digest of the plugin's settings, and the id of its key."""

    plugin: str
    settings: str
    key: str


class Marking(msgspec.Struct, frozen=True):
    """What an answer gets that is due for marks: an inaudible mark, and a signed manifest."""

    mark: MarkUse | None = None
    has_manifest: bool = False


class MarkingRules(msgspec.Struct, frozen=True):
    """What an answer gets if it is due, and what the operator said of single engines, by name."""

    marking: Marking | None = None
    engines: Mapping[str, bool] = {}

    @property
    def has_manifests(self) -> bool:
        return self.marking is not None and self.marking.has_manifest

    def decide(self, models: Iterable[Model], of_plan: bool | None) -> Marking | None:
        """Return the marking of an answer that some of these models may speak. None: it is not marked.

        A plan decides for all engines. Else one model that must be marked is enough: only the first
        byte shows which of them speaks. See `spared`.
        """
        if self.marking is None or of_plan is False:
            return None
        return self.marking if of_plan or any(map(self.is_due, models)) else None

    def spared(self, models: Iterable[Model], of_plan: bool | None) -> frozenset[str]:
        """Return the names of those models whose own speech gets nothing, if only one of them all speaks."""
        if self.marking is None or of_plan is not None:
            return frozenset()
        return frozenset(model.name for model in models if not self.is_due(model))

    def is_due(self, model: Model) -> bool:
        """Tell whether a model's speech is marked: by the operator's word, or because it is spoken here.

        A provider may mark its own speech, so it is left alone without that word.
        """
        info = model.info
        return self.engines.get(model.engine, info.is_ours and info.is_speech)
