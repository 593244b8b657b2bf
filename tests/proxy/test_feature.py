"""What all features of a house come to."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from proxy.catalogue.erasing import DerivedData
from proxy.feature import AppContext, Feature, FeatureInstance, OpenFeatures, open_features
from tests.proxy.api.inside import inside
from tests.proxy.queue.chores import Chores
from tests.tables import each_row


async def _is_gone(_voice: str) -> bool:
    return True


async def _is_left(_voice: str) -> bool:
    return False


@each_row(
    ("left", "is_gone"), [([_is_gone, _is_gone], True), ([_is_gone, _is_left], False), ([_is_left], False)]
)
async def test_a_voice_is_gone_when_no_feature_has_anything_of_it(
    tmp_path: Path, left: list[Callable[[str], Awaitable[bool]]], is_gone: bool
) -> None:
    seen: list[DerivedData] = []
    async with inside(tmp_path) as server:
        context = server.worker.open_features.context
        features = tuple(
            FeatureInstance(context, is_gone_remotely=each, set_derived_things=seen.append) for each in left
        )
        OpenFeatures(context, features).set_derived_things(DerivedData())
    assert [await things.wait_for_providers("voice_1") for things in seen] == [is_gone] * len(left)


async def test_what_is_under_way_ends_before_its_feature(tmp_path: Path) -> None:
    ended: list[str] = []

    class Noted(Chores):
        async def close(self) -> None:
            ended.append("its wishes")

    @asynccontextmanager
    async def open_(context: AppContext) -> AsyncIterator[FeatureInstance]:
        yield FeatureInstance(context, task_kinds=(Noted(context.store),))
        ended.append("the feature")

    async with inside(tmp_path) as server:
        async with open_features(server.worker.kernel.context(), [Feature("chores", open_)], ()):
            assert ended == []
        assert ended == ["its wishes", "the feature"]
