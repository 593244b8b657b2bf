"""What others do without, as /readyz tells everybody: of engines their states, never a provider's words."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from proxy.catalogue.catalogue import Catalogue
from proxy.engines.engine_list import Engines
from proxy.engines.registry import Registry
from proxy.ledger.budgets import Budgets
from proxy.storage.store import StorageFailed

_BUDGETS_S = 2.0


class DegradedPart(msgspec.Struct, frozen=True, kw_only=True):
    """What others do without: an engine (with its state), a plugin (with the stage it failed at), a model
    or voice of the configuration that its engine does not know, or a worker that is given up."""

    engine: str | UnsetType = UNSET
    state: str | UnsetType = UNSET
    plugin: str | UnsetType = UNSET
    stage: str | UnsetType = UNSET
    model: str | UnsetType = UNSET
    voice: str | UnsetType = UNSET
    worker: int | UnsetType = UNSET
    reason: str


class Dependencies(NamedTuple):
    """What of a worker may be missing while the rest serves."""

    catalogue: Catalogue
    engines: Engines
    registry: Registry
    budgets: Budgets

    async def degraded(self) -> list[DegradedPart]:
        plugins = [DegradedPart(plugin=f.name, stage=f.stage, reason=f.reason) for f in self.registry.faults]
        models = [
            DegradedPart(model=name, reason=reason) for name, reason in self.catalogue.unusable_models()
        ]
        voices = [
            DegradedPart(voice=name, reason=reason) for name, reason in self.catalogue.unusable_voices()
        ]
        return [*await self._engines(), *plugins, *models, *voices]

    async def _engines(self) -> list[DegradedPart]:
        spent = await self._spent()
        states = {
            name: "budget" if engine.state == "ready" and name in spent else engine.state
            for name, engine in self.engines.items()
        }
        return [
            DegradedPart(engine=name, state=state, reason=f"{state}: see voxgate engines")
            for name, state in states.items()
            if state != "ready"
        ]

    async def _spent(self) -> set[str]:
        """The engines whose budget is used up; none while the database, which would know, is away."""
        try:
            async with asyncio.timeout(_BUDGETS_S):
                return {name for name, _ in self.engines.items() if await self.budgets.used_up(name)}
        except (StorageFailed, TimeoutError):
            return set()
