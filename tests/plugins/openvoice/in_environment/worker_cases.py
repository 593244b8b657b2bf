"""The engine as its host creates it: what it says of itself, and what it needs."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from plugins.openvoice.plugin import OpenVoiceSettings
from plugins.openvoice.worker import OpenVoiceEngine
from speech_engine import ANY_LANGUAGE, Context, EngineConverts, Samples
from speech_engine.errors import EngineCannot
from speech_engine.host.log import HostLogger
from speech_engine.host.onnx_network import GraphNetwork
from speech_engine.model_files import UnusableModel
from speech_engine.plugin import worker_plugin
from speech_engine.testing import ConversionContract
from tests.plugins.openvoice.in_environment.rig import TENANT, model_folder, recording, running


def test_it_only_converts_into_voices_of_recordings() -> None:
    async def run() -> None:
        async with running() as rig:
            (info,) = rig.engine.models()
            assert (info.id, info.converts, info.speaks, info.speaks_samples) == (
                "standard",
                True,
                False,
                True,
            )
            assert (info.sample_s, info.sample_hz, info.client_fields) == ((3.0, 30.0), 22_050, ("tau",))
            assert [each.tag for each in info.languages] == [ANY_LANGUAGE]
            assert isinstance(rig.engine, EngineConverts)
            with pytest.raises(EngineCannot):
                rig.engine.speak(rig.job(rig.voice(), recording(1.0)))

    asyncio.run(run())


def test_without_a_model_or_with_another_it_says_so() -> None:
    async def run() -> None:
        _, create = worker_plugin("plugins.openvoice.worker")
        # The tiny one is none that was published.
        for path, says in (("", "names no model"), (str(model_folder()), "has the shape")):
            with pytest.raises(UnusableModel, match=says):
                async with create("openvoice", OpenVoiceSettings(model_path=path), Context(HostLogger("o"))):
                    pass

    asyncio.run(run())


def test_a_run_that_takes_long_gives_signs_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy processor, a step takes longer than a host may be silent."""
    ticked = threading.Event()
    run = GraphNetwork.run

    def slow(self: GraphNetwork, *run_of: Any) -> Any:
        assert ticked.wait(20.0)
        return run(self, *run_of)

    async def hear() -> None:
        async with running() as rig:
            networks, voice = rig.engine._model.networks, rig.voice()
            monkeypatch.setattr(networks, "_tick", ticked.set)
            monkeypatch.setattr(GraphNetwork, "run", slow)
            assert await rig.convert(voice, recording(1.0))

    asyncio.run(hear())


class Contract(ConversionContract):
    voice = Samples(())
    tenant = TENANT

    @asynccontextmanager
    async def engine(self) -> AsyncIterator[OpenVoiceEngine]:
        async with running(slots=2) as rig:
            type(self).voice = rig.voice()
            yield rig.engine


@pytest.mark.parametrize("rule", [name for name in dir(ConversionContract) if name.startswith("test_")])
def test_it_keeps_the_contract_of_engines_that_convert(rule: str) -> None:
    asyncio.run(getattr(Contract(), rule)())
