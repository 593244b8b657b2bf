"""A cached request that comes again is not planned again, and never gets what it may not have any more."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.engines.cloud_engine import CloudEngine
from proxy.speech.planning import Planner
from tests.proxy.api.inside import Inside, envelope
from tests.proxy.api.scripted import Scripted, spoken
from tests.proxy.speech.cache.keeping import BODY, CONFIG, ask, found, speaking

PLANS = """
[plans.cached]
cache = true
[plans.other]
engines = ["two"]
cache = true
"""


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that were planned."""
    texts: list[str] = []
    plan_in_thread = Planner.plan_in_thread

    async def noted(self: Planner, request: object, *others: object) -> object:
        texts.append(request.text)  # type: ignore[attr-defined]
        return await plan_in_thread(self, request, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(Planner, "plan_in_thread", noted)
    return texts


async def set_plan(server: Inside, plan: str) -> None:
    answer = await server.administer("POST", "accounts/ada", {"plan": plan})
    assert answer.status_code == 200, answer.text


async def test_a_hit_is_planned_once(tmp_path: Path, planned: list[str]) -> None:
    async with speaking(tmp_path, Scripted(*spoken(0.5))) as server:
        answers = [await ask(server) for _ in range(4)]
    assert [found(answer) for answer in answers] == ["miss", "hit", "hit", "hit"]
    assert planned == [BODY["input"]]


async def test_another_request_has_a_plan_of_its_own(tmp_path: Path, planned: list[str]) -> None:
    async with speaking(tmp_path, Scripted(*spoken(0.5))) as server:
        for more in ({}, {"speed": 1.5}, {"voice": "ben"}, {"input": "Good bye."}, {}):
            await ask(server, **more)
    assert len(planned) == 4


async def test_a_request_without_the_cache_is_planned_each_time(tmp_path: Path, planned: list[str]) -> None:
    async with speaking(tmp_path, Scripted(*spoken(0.5))) as server:
        for _ in range(3):
            await ask(server, cache=False)
    assert len(planned) == 3


async def test_a_request_with_its_own_words_is_planned_each_time(tmp_path: Path, planned: list[str]) -> None:
    async with speaking(tmp_path, Scripted(*spoken(0.5))) as server:
        answers = [await ask(server, lexicon={"Hello": "Good day"}) for _ in range(2)]
    assert [found(answer) for answer in answers] == ["miss", "hit"]
    assert len(planned) == 2


async def test_an_account_that_lost_an_engine_gets_no_hit_of_it(tmp_path: Path) -> None:
    engine = Scripted(*spoken(0.5))
    async with speaking(tmp_path, engine, text=CONFIG + PLANS, plan="cached") as server:
        assert [found(await ask(server, voice="ben")) for _ in range(2)] == ["miss", "hit"]
        await set_plan(server, "other")
        body = {**BODY, "voice": "ben", "cache": True}
        refused = await server.ask("POST", "/v1/audio/speech", body=body)
        await set_plan(server, "cached")
        assert found(await ask(server, voice="ben")) == "hit"
    assert envelope(refused)["code"] != "internal_error"
    assert refused.status_code in (400, 403)


async def test_an_account_whose_plan_has_no_cache_any_more_gets_no_hit(tmp_path: Path) -> None:
    async with speaking(tmp_path, Scripted(*spoken(0.5)), text=CONFIG + PLANS, plan="cached") as server:
        body = dict(BODY)
        answers = [await server.ask("POST", "/v1/audio/speech", body=body) for _ in range(2)]
        await set_plan(server, "unlimited")
        answers.append(await server.ask("POST", "/v1/audio/speech", body=body))
    assert [found(answer) for answer in answers] == ["miss", "hit", "off"]


async def test_an_engine_that_brings_other_models_is_planned_for_again(
    tmp_path: Path, planned: list[str]
) -> None:
    engine = Scripted(*spoken(0.5))
    async with speaking(tmp_path, engine) as server:
        await ask(server)
        known = server.worker.engines["one"]
        assert isinstance(known, CloudEngine)
        # As a refresh of the provider does it.
        known.keys[0].introduce()
        assert found(await ask(server)) == "hit"
    assert len(planned) == 2


async def test_a_purged_clip_is_no_hit_though_its_plan_is_known(tmp_path: Path, planned: list[str]) -> None:
    async with speaking(tmp_path, Scripted(*spoken(0.5))) as server:
        assert [found(await ask(server)) for _ in range(2)] == ["miss", "hit"]
        await server.worker.cache.purge_voice(server.account.id, "ana")
        assert found(await ask(server)) == "miss"
    assert len(planned) == 1
