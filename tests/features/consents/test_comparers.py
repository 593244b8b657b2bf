"""Comparers in processes of their own: started when asked, ended when idle, and never in anybody's way."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import msgspec
import psutil
import pytest

from proxy.config.sections import PluginSection
from proxy.engines.registry import Registry
from proxy.features.consents.comparison import (
    HOST_MODULE,
    ComparerFailed,
    HostedComparer,
    open_comparer,
)
from proxy.helpers.helper import Helper, HelperSpec
from speech_engine import Hosted, SpeakerScale
from speech_engine.comparer import COMPARED_RATE_HZ
from speech_engine.host.confinement import has_call_filter
from speech_engine.host.plugin_messages import BeginPlugin, unpack
from tests.faults.processes import own_children
from tests.proxy.engines import pitch_comparer
from tests.proxy.engines.pitch_comparer import DEADLY, ENDLESS, HARMFUL, NO_NUMBER, OUTWARD, PitchSettings
from tests.sound import tone
from tests.tables import each_row
from tests.waiting import soon

pytestmark = pytest.mark.slow

MODULE = pitch_comparer.__name__
LOW, HIGH = tone(200, 1.0, COMPARED_RATE_HZ), tone(400, 1.0, COMPARED_RATE_HZ)
ROOT = Path(__file__).parents[3]
ENVIRON: Mapping[str, str] = {**os.environ, "PYTHONPATH": str(ROOT)}


def comparer_of(settings: PitchSettings | None = None) -> HostedComparer:
    begin = BeginPlugin("pitch", MODULE, msgspec.json.encode(settings or PitchSettings()))
    return HostedComparer(
        Helper(HelperSpec(module=HOST_MODULE, name="pitch", begin=begin, unpack=unpack, environ=ENVIRON))
    )


@pytest.fixture
async def comparer() -> AsyncIterator[HostedComparer]:
    made = comparer_of()
    try:
        async with asyncio.timeout(60.0):
            yield made
    finally:
        await made.close()
        assert not processes()


def processes() -> list[psutil.Process]:
    return own_children(HOST_MODULE)


async def test_speakers_are_compared_and_the_scale_comes_along(comparer: HostedComparer) -> None:
    assert not processes(), "nobody has asked yet"
    assert (await comparer.score(LOW, LOW))[0] == 1.0
    score, scale = await comparer.score(LOW, HIGH)
    assert score == pytest.approx(0.5, abs=0.01)
    assert scale == SpeakerScale(same=0.9, other=0.5)
    assert len(processes()) == 1


async def test_two_who_ask_at_once_each_get_their_own_answer(comparer: HostedComparer) -> None:
    found = await asyncio.gather(comparer.score(LOW, LOW), comparer.score(LOW, HIGH))
    assert [score for score, _ in found] == [1.0, pytest.approx(0.5, abs=0.01)]


@pytest.mark.parametrize(
    ("sound", "said"),
    [
        (HARMFUL, "pitch failed: ValueError$"),
        (NO_NUMBER, "it is no number"),
        (DEADLY, "ended while it compared"),
    ],
)
async def test_a_failure_is_one_answer_s_only_and_quotes_nothing(
    comparer: HostedComparer, sound: bytes, said: str
) -> None:
    with pytest.raises(ComparerFailed, match=said):
        await comparer.score(sound, LOW)
    assert (await comparer.score(LOW, LOW))[0] == 1.0


@pytest.mark.skipif(not has_call_filter(), reason="the kernel has no seccomp")
async def test_it_reaches_no_network(comparer: HostedComparer) -> None:
    with pytest.raises(ComparerFailed, match="PermissionError"):
        await comparer.score(OUTWARD, LOW)


async def test_one_that_never_answers_is_ended(comparer: HostedComparer) -> None:
    await comparer.score(LOW, LOW)
    (process,) = processes()
    comparer._within_s = 0.2
    with pytest.raises(ComparerFailed, match=r"no answer within 0\.2 s"):
        await comparer.score(ENDLESS, LOW)
    await soon(lambda: not process.is_running())
    comparer._within_s = 30.0
    assert (await comparer.score(LOW, LOW))[0] == 1.0


async def test_one_that_does_not_load_says_why() -> None:
    comparer = comparer_of(PitchSettings(is_broken=True))
    with pytest.raises(ComparerFailed, match="it does not load"):
        await comparer.score(LOW, LOW)
    await comparer.close()
    assert not processes()


def registry_of(create: object) -> Registry:
    (plugin,) = pitch_comparer.voxgate_register()
    plugin = msgspec.structs.replace(plugin, create=create or plugin.create)
    return Registry({("comparer", "pitch"): plugin}, ())


async def test_it_runs_where_its_plugin_says() -> None:
    for create, kind in ((None, "_LocalComparer"), (Hosted(MODULE), "HostedComparer")):
        async with open_comparer(registry_of(create), "pitch", PluginSection(), ENVIRON) as comparer:
            assert type(comparer).__name__ == kind
            assert comparer is not None
            assert (await comparer.score(LOW, HIGH))[0] == pytest.approx(0.5, abs=0.01)
            with pytest.raises(ComparerFailed, match="pitch failed: ValueError"):
                await comparer.score(HARMFUL, LOW)
    assert not processes()


@each_row(
    ("create", "name", "settings"),
    [
        (Hosted(MODULE, packages=("v_nowhere>=1",)), "pitch", {}),
        (Hosted(MODULE), "pitch", {"wrong": 1}),
        (None, "pitch", {"is_broken": True}),
        (None, "another", {}),
    ],
    ids=["no environment", "wrong settings", "broken", "unknown"],
)
async def test_one_that_cannot_be_used_is_none(
    create: object, name: str, settings: dict[str, object]
) -> None:
    section = PluginSection(settings=settings)
    async with open_comparer(registry_of(create), name, section, ENVIRON) as comparer:
        assert comparer is None
