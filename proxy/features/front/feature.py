"""The entry of the feature front in the list of feature_list.py."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from proxy.config.config_toml import Config
from proxy.config.finding import Finding, ProbeResults, ok, wrong
from proxy.engines.registry import Registry
from proxy.feature import Additions, AppContext, Feature, FeatureInstance, RevisionContext
from proxy.features.front.section import SECTION


@asynccontextmanager
async def _open(context: AppContext) -> AsyncIterator[FeatureInstance]:
    from proxy.features.front.endpoints import LookFiles
    from proxy.features.front.visits import VisitorFront
    from proxy.features.voice_list.voices import VoiceTools

    front = VisitorFront()

    def additions_for(revision: RevisionContext) -> Additions:
        voices = VoiceTools.of(revision)
        if voices is None:
            return Additions()
        front.use_revision(revision.admin_tools, voices)
        return Additions(LookFiles(front.look).endpoints)

    front.name = SECTION.of(context.config_at_start).name
    yield FeatureInstance(context.with_shared(front), additions_for)


def _check(config: Config, _registry: Registry, _results: ProbeResults) -> Iterator[Finding]:
    from proxy.features.front.look import read_look

    section = SECTION.of(config)
    look = read_look(section)
    for fault in look.faults:
        yield wrong("front", f"{fault.key}: {fault.found}", fault.do, name=fault.key)
    if not look.faults and (section.logo or section.colour or section.colour_dark):
        yield ok("front", "its logo and its colours can be read")


FEATURE = Feature("front", _open, paths=("/front",), checks=(_check,))
