"""/admin/engines: the engines of the configuration with their state, and what could not be loaded."""

from __future__ import annotations

from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from proxy.api.health import Dependencies
from proxy.engines.engine_list import EngineStatus
from proxy.http.replies import reply
from proxy.http.resource import Resource, endpoint
from proxy.ledger.budgets import Spend


class FailedPlugin(msgspec.Struct, frozen=True):
    plugin: str
    stage: str
    reason: str


class SpokenLanguage(msgspec.Struct, frozen=True):
    """A language tag, `*` for any, and how well it is spoken."""

    tag: str
    quality: str


class PitchRange(msgspec.Struct, frozen=True):
    """By how many semitones a model can change the pitch."""

    lowest: float
    highest: float


class ShownEngine(EngineStatus, frozen=True, kw_only=True):
    """An engine with the languages and the licence of each model, and the ids of its voices.

    `unlisted_voices` are those that clients do not see; null if not all of them are known. `budgets` shows
    its cost in each period with a budget. From `shutdown_dates` on, the provider serves a model no more.
    `own_speech` are the models that the operator runs. Their speech gets a mark unless a setting says
    otherwise. `converting` are the models that repeat recordings.
    """

    languages: dict[str, list[SpokenLanguage]]
    licences: dict[str, str]
    shutdown_dates: dict[str, str]
    own_speech: list[str]
    converting: dict[str, PitchRange]
    voices: list[str]
    unlisted_voices: tuple[str, ...] | None
    budgets: tuple[Spend, ...]


class EngineStatuses(msgspec.Struct, frozen=True, kw_only=True):
    """The engines of the configuration, and the plugins that disabled themselves."""

    object: Literal["list"] = "list"
    data: tuple[ShownEngine, ...]
    faults: list[FailedPlugin]


class EngineList(Resource):
    def __init__(self, dependencies: Dependencies) -> None:
        self._engines = dependencies.engines
        self._registry = dependencies.registry
        self._budgets = dependencies.budgets

    @endpoint("GET", "/admin/engines", EngineStatuses)
    async def list_engines(self, _request: Request) -> Response:
        """Engines with their state, and plugins that failed"""
        faults = [FailedPlugin(fault.name, fault.stage, fault.reason) for fault in self._registry.faults]
        shown_engines = [await self._shown_engine(status) for status in await self._engines.statuses()]
        return reply(EngineStatuses(data=tuple(shown_engines), faults=faults))

    async def _shown_engine(self, status: EngineStatus) -> ShownEngine:
        reason_and_end = await self._budgets.find_used_up(status.name)
        if reason_and_end is not None and status.state == "ready":
            status = msgspec.structs.replace(status, state="budget", reason=reason_and_end[0])
        engine = self._engines[status.name]
        return ShownEngine(
            **msgspec.structs.asdict(status),
            languages={
                f"{status.name}/{info.id}": [
                    SpokenLanguage(each.tag, each.quality) for each in info.languages
                ]
                for info in engine.models()
            },
            licences={f"{status.name}/{info.id}": info.licence for info in engine.models()},
            shutdown_dates={
                f"{status.name}/{info.id}": info.shutdown_date
                for info in engine.models()
                if info.shutdown_date
            },
            own_speech=[
                f"{status.name}/{info.id}" for info in engine.models() if info.is_ours and info.is_speech
            ],
            converting={
                f"{status.name}/{info.id}": PitchRange(*info.pitch)
                for info in engine.models()
                if info.converts
            },
            voices=[voice.id for voice in engine.voices()],
            unlisted_voices=engine.unlisted_voices,
            budgets=await self._budgets.read_spends(status.name),
        )
