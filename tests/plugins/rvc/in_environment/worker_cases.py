"""The engine as its host creates it: what it says of itself, and what it needs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from plugins.rvc.plugin import RvcSettings
from plugins.rvc.worker import RvcEngine
from speech_engine import Context, EngineConverts, Trained
from speech_engine.errors import EngineCannot
from speech_engine.host.log import HostLogger
from speech_engine.model_files import UnusableModel
from speech_engine.plugin import worker_plugin
from speech_engine.testing import ConversionContract
from tests.plugins.rvc.in_environment.rig import TENANT, recording, running
from tests.plugins.rvc.tiny import layout, voice_file


def test_it_only_converts_into_voices_of_its_own_format() -> None:
    async def run() -> None:
        async with running() as rig:
            (info,) = rig.engine.models()
            assert (info.id, info.converts, info.speaks, info.trained_format) == (
                "standard",
                True,
                False,
                "rvc",
            )
            assert isinstance(rig.engine, EngineConverts)
            voice = rig.bring(voice_file(layout()))
            with pytest.raises(EngineCannot):
                rig.engine.speak(rig.job(voice, recording(1.0)))
            assert "RvcEngine" in repr(rig.engine)

    asyncio.run(run())


def test_without_a_model_it_says_so() -> None:
    async def run() -> None:
        _, create = worker_plugin("plugins.rvc.worker")
        with pytest.raises(UnusableModel, match="names no model"):
            async with create("rvc", RvcSettings(), Context(HostLogger("rvc"))):
                pass

    asyncio.run(run())


class Contract(ConversionContract):
    """Into a voice of a rate that is not the model's."""

    voice = Trained("")
    tenant = TENANT

    @asynccontextmanager
    async def engine(self) -> AsyncIterator[RvcEngine]:
        async with running(slots=2) as rig:
            type(self).voice = rig.bring(voice_file(layout()))
            yield rig.engine


@pytest.mark.parametrize("rule", [name for name in dir(ConversionContract) if name.startswith("test_")])
def test_it_keeps_the_contract_of_engines_that_convert(rule: str) -> None:
    asyncio.run(getattr(Contract(), rule)())
