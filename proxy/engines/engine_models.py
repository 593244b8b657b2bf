"""The models that an engine speaks with, as its specification has them. `proxy/hosts` stores them."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from proxy.config.sections import EngineSection
from speech_engine.licences import terms_of
from speech_engine.model_declarations import ModelFormat, UnusableModel
from speech_engine.model_manifest import ModelManifest

MODEL_PATH, MODEL_PATHS = "model_path", "model_paths"
"""The keys of settings that a plugin gets instead of a model's name, for one folder or several."""


class ModelAbsent(UnusableModel):
    """No model of this name has been imported."""


class StoredModel(NamedTuple):
    """One version of an imported model. `is_current`: an engine that names it gets this one."""

    manifest: ModelManifest
    folder: Path
    is_current: bool


def strictest_licence(models: Iterable[StoredModel]) -> str:
    """Return the licence that an engine with these models keeps to, or "" without any. Raise UnusableModel.

    An operator can accept one licence an engine, so two licences that must be accepted cannot be combined.
    """
    by_name = {model.manifest.bound_by.casefold(): model.manifest.bound_by for model in models}
    binding = [licence for licence in by_name.values() if terms_of(licence).must_accept]
    if len(binding) > 1:
        raise UnusableModel(
            f"its models are under {binding[0]} and {binding[1]}; give each licence an engine of its own"
        )
    return next(iter([*binding, *by_name.values()]), "")


def with_models(
    section: EngineSection, format_: ModelFormat | None, data: str
) -> tuple[EngineSection, tuple[StoredModel, ...]]:
    """Return a section whose settings have the folders of its models, and those models. Raise UnusableModel.

    A server whose engines have no imported models does without the store.
    """
    if format_ is None and not section.model:
        return section, ()
    found: tuple[EngineSection, tuple[StoredModel, ...]] = import_module(
        "proxy.hosts.stored_models"
    ).with_models(section, format_, data)
    return found
