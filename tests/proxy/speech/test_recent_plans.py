"""A request with another text is not planned again, and never gets what it may not have any more."""

import gc
from pathlib import Path
from typing import Any, TypeVar
from weakref import ref

import pytest

from proxy.catalogue.library import Library
from proxy.engines.providers.cloud_engine import CloudEngine
from proxy.speech import recent_plans
from proxy.speech.planning import Planner, SpeechPlan
from proxy.speech.recent_plans import RecentPlans
from proxy.speech.speech_request import SpeechRequest
from tests.features.cache.keeping import BODY, CONFIG, ask, cache_of, found, speaking
from tests.features.erasure.erasing import erasure_of
from tests.proxy.api.inside import Inside, envelope
from tests.proxy.api.scripted import Scripted, spoken

PLANS = """
[plans.cached]
cache = true
[plans.other]
engines = ["two"]
cache = true
"""

M = TypeVar("M")


def memory_of(server: Inside, kind: type[M]) -> M:
    """Return the worker's memory of this kind, of those that an erasure reaches."""
    return next(each for each in erasure_of(server.worker).derived_data.memories if isinstance(each, kind))


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
        for more in ({}, {"speed": 1.5}, {"voice": "ben"}, {"language": "en-GB"}, {}):
            await ask(server, **more)
    assert len(planned) == 4


@pytest.mark.parametrize("is_cached", [True, False])
async def test_another_text_is_planned_for_its_language_alone(
    tmp_path: Path, planned: list[str], is_cached: bool
) -> None:
    texts = ["Hello.", "Good bye, and thanks for all.", "Hello.", "สวัสดีครับ", "ขอบคุณครับ"]
    engine = Scripted(*spoken(0.5))
    async with speaking(tmp_path, engine) as server:
        for text in texts:
            await ask(server, input=text, cache=is_cached)
        rows = await server.usage()
    assert planned == ["Hello.", "สวัสดีครับ"]
    spoken_texts = list(dict.fromkeys(texts)) if is_cached else texts
    assert [job.segments[0].spoken for job in engine.jobs] == spoken_texts
    assert [row.characters for row in reversed(rows)] == [len(text) for text in texts]


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
        known.keys[0].read_hello()
        assert found(await ask(server)) == "hit"
    assert len(planned) == 2


async def test_models_that_change_while_a_request_is_planned_are_not_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts: list[str] = []
    plan_in_thread = Planner.plan_in_thread
    async with speaking(tmp_path, Scripted(*spoken(0.5))) as server:
        known = server.worker.engines["one"]
        assert isinstance(known, CloudEngine)

        async def refreshed(self: Planner, request: SpeechRequest, *others: Any) -> SpeechPlan:
            plan = await plan_in_thread(self, request, *others)
            if not texts:
                known.keys[0].read_hello()
            texts.append(request.text)
            return plan

        monkeypatch.setattr(Planner, "plan_in_thread", refreshed)
        for _ in range(3):
            await ask(server)
    assert len(texts) == 2


async def test_a_purged_clip_is_no_hit_though_its_plan_is_known(tmp_path: Path, planned: list[str]) -> None:
    async with speaking(tmp_path, Scripted(*spoken(0.5))) as server:
        assert [found(await ask(server)) for _ in range(2)] == ["miss", "hit"]
        await cache_of(server).purge_voice(server.account.id, "ana")
        assert found(await ask(server)) == "miss"
    assert len(planned) == 1


async def test_a_known_request_is_refused_if_its_text_is_too_long(tmp_path: Path) -> None:
    short = CONFIG + PLANS.replace("[plans.other]", "max_characters = 20\n[plans.other]")
    async with speaking(tmp_path, Scripted(*spoken(0.5)), text=short, plan="cached") as server:
        assert found(await ask(server)) == "miss"
        body = {**BODY, "input": "Hello there. " * 2, "cache": True}
        refused = await server.ask("POST", "/v1/audio/speech", body=body)
    assert envelope(refused)["code"] == "text_too_long"


async def test_a_voice_that_is_forgotten_leaves_no_plan(tmp_path: Path, planned: list[str]) -> None:
    async with speaking(tmp_path, Scripted(*spoken(0.5))) as server:
        for voice in ("ana", "ben"):
            await ask(server, voice=voice)
        for memory in erasure_of(server.worker).derived_data.memories:
            if isinstance(memory, RecentPlans):
                memory.forget_voice("ana", ())
        for voice in ("ana", "ben"):
            await ask(server, voice=voice)
    assert len(planned) == 3


async def test_only_so_many_plans_are_kept_and_the_oldest_goes(
    tmp_path: Path, planned: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recent_plans, "_MOST_STORED", 2)
    async with speaking(tmp_path, Scripted(*spoken(0.5))) as server:
        for seed in (1, 2, 3, 3, 2, 1):
            await ask(server, cache=False, seed=seed)
        assert len(memory_of(server, RecentPlans)._recent) == 2
    assert len(planned) == 4


async def test_a_plan_does_not_keep_the_library_that_it_was_made_for(tmp_path: Path) -> None:
    """It may be large, and has the names of voices that were erased since."""
    async with speaking(tmp_path, Scripted(*spoken(0.5))) as server:
        library, plans = memory_of(server, Library), memory_of(server, RecentPlans)
        for number in range(3):
            await ask(server, cache=False, seed=number)
        own = ref(await library.get(server.account.id))
        assert len(plans._recent) == 3
        library.forget(server.account.id)
        gc.collect()
        assert own() is None
        assert len(plans._recent) == 0
        await ask(server, cache=False)
        assert len(plans._recent) == 1


async def test_a_request_with_large_fields_of_others_leaves_nothing(tmp_path: Path) -> None:
    names = [f"field{number}" for number in range(3)]
    engine = Scripted(*spoken(0.5), client_fields=tuple(names))
    async with speaking(tmp_path, engine) as server:
        await ask(server, **dict.fromkeys(names, "x" * 3000))
        assert len(memory_of(server, RecentPlans)._recent) == 0
        await ask(server, **dict.fromkeys(names, "x" * 300))
        assert len(memory_of(server, RecentPlans)._recent) == 1
