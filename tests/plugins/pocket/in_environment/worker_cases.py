"""The engine as its host creates it: the contract of engines. Short runs hold XTTS alone to it."""

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from plugins.pocket.plugin import PocketSettings
from speech_engine import Context
from speech_engine.host.log import HostLogger
from speech_engine.plugin import worker_plugin
from speech_engine.testing.contract import EngineContract
from speech_engine.testing.verdicts import RuleVerdict, verdicts
from tests.plugins.pocket.tiny import write_model


@pytest.mark.soak
@pytest.mark.parametrize("is_fresh", [False, True])
def test_it_keeps_the_contract_of_engines(tmp_path: Path, is_fresh: bool) -> None:
    found = asyncio.run(_verdicts(write_model(tmp_path / "tiny"), is_fresh=is_fresh))
    assert len(found) > 15
    assert [verdict for verdict in found if verdict.broken] == []


async def _verdicts(model: Path, *, is_fresh: bool) -> list[RuleVerdict]:
    """Of an engine that all rules share, or of one for each rule."""
    _, create = worker_plugin("plugins.pocket.worker")
    # Fewer rows are warmed up sooner.
    settings = PocketSettings(model_paths=(str(model),), slots=4, rows=4, width=4)
    context = Context(HostLogger("pocket"), samples=EngineContract.recordings)
    async with create("pocket", settings, context) as shared:

        def opened() -> AbstractAsyncContextManager[Any]:
            return create("pocket", settings, context) if is_fresh else nullcontext(shared)

        return [verdict async for verdict in verdicts(opened)]
