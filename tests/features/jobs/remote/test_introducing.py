"""How an engine elsewhere is asked what it has."""

from proxy.config.sections import EngineSection
from proxy.engines.local_samples import LocalSamples
from proxy.engines.remote_engine import RemoteEngine
from proxy.engines.sample_source import NO_SOURCE
from proxy.features.jobs.remote.introducing import LONGEST_RETRY_S, Introducing
from proxy.storage.store import Store
from tests.features.jobs.remote.test_runs import rig


async def test_an_image_that_stays_broken_is_asked_less_and_less(store: Store) -> None:
    async with rig(store) as at:
        at.machines.submits = ["refused"] * 9
        engine = RemoteEngine("far", EngineSection(plugin="tone", runner="rented"), LocalSamples(NO_SOURCE))
        introducing = Introducing(store, engine, at.runs)
        pauses = [await introducing.introduce_engine() for _ in range(9)]
        assert pauses == [60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, *[LONGEST_RETRY_S] * 3]
        assert engine.state == "starting"
        await introducing.introduce_engine()
        assert engine.state == "ready"
