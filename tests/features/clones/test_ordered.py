"""Clones that an account orders and pays for, through a whole worker: refused before, and on record after."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from policies.cycles import cycle_at
from proxy.storage.store import Statement
from tests.features.clones.clone_rig import maker_of
from tests.features.clones.test_served import Provider, clone_with, clones_of, make_voice, provider
from tests.fixtures import opened
from tests.proxy.api.inside import Inside, envelope, inside
from tests.proxy.api.owning import agree, new_key, send

pytestmark = pytest.mark.slow

PLANS = """
[plans.pro]
allowance = 1000
streams = 1
clones = 2
[plans.pro.prices]
clone = { credits = 300, per = "job" }
[plans.poor]
allowance = 200
[plans.poor.prices]
clone = { credits = 300, per = "job" }
[plans.none]
clones = 0
"""


minimax = opened(provider)


@pytest.fixture
async def server(minimax: Provider, tmp_path: Path) -> AsyncIterator[Inside]:
    async with inside(tmp_path, minimax.config() + PLANS, plan="pro") as opened:
        yield opened


async def refused(server: Inside, key: str | None = None, name: str = "Ana") -> tuple[int, dict[str, Any]]:
    """Order a voice with a clone, and return why there is none."""
    consent = await agree(server, key)
    answer = await send(server, {"name": name, "consent": consent["id"], "engines[]": "minimax"}, key=key)
    return answer.status_code, envelope(answer)


async def test_what_the_plan_has_not_is_refused_before_the_voice_is_made(
    server: Inside, minimax: Provider
) -> None:
    status, error = await refused(server, await new_key(server, "none", "none"))
    assert (status, error["code"], error["param"]) == (403, "clones_not_allowed", "engines")
    status, error = await refused(server, await new_key(server, "poor", "poor"))
    assert (status, error["code"]) == (429, "insufficient_quota")
    assert "this needs about 300 credits, and your plan 'poor' has 200 left until" in error["message"]
    assert (await server.ask("GET", "/v1/audio/voices?mine=true")).json()["data"] == []
    assert all("files" not in seen.path for seen in minimax.fake.provider.seen)


async def test_the_list_of_models_says_whose_clones_can_be_ordered(minimax: Provider, tmp_path: Path) -> None:
    tone, plain = "[engines.tone]\nhosted = false\n", '[engines.plain]\nplugin = "tone"\nhosted = false\n'
    async with inside(tmp_path, minimax.config() + tone + plain + "speaks_samples = false\n") as server:
        models = (await server.ask("GET", "/v1/models")).json()["data"]
        able = {each["owned_by"] for each in models if each.get("clones")}
        assert able == {"minimax", "plain"} < {each["owned_by"] for each in models}
        voice = await make_voice(server)
        path = f"/v1/audio/voices/{voice}"
        answers = [await server.ask("POST", path, body={"engines": [name]}) for name in ("plain", "tone")]
        assert [answer.status_code for answer in answers] == [200, 400]
        assert "cannot clone voices" in envelope(answers[1])["message"]


async def test_a_deleted_clone_gives_nothing_back_and_the_refusal_says_until_when(
    server: Inside, minimax: Provider
) -> None:
    for name in ("Ana", "Ben"):
        voice = await make_voice(server, **{"name": name, "engines[]": "minimax"})
        await clone_with(server, voice, "ready")
        assert (await server.ask("DELETE", f"/v1/audio/voices/{voice}")).status_code == 200
    status, error = await refused(server, name="Eva")
    assert (status, error["code"], error["type"]) == (429, "insufficient_quota", "insufficient_quota")
    cycle = cycle_at(server.account.anchor, await server.worker.store.now())
    until_ = datetime.fromtimestamp(cycle.end / 1e6, UTC)
    assert "allows 2 clones a cycle, deleted ones included" in error["message"]
    assert f"until {until_:%Y-%m-%d}" in error["message"]
    assert minimax.fake.account.fees == 2
    me = (await server.ask("GET", "/v1/me")).json()
    assert (me["credits"]["used"], me["limits"]["clones"], me["clones_used"]) == (600, 2, 2)


async def test_a_clone_is_a_row_of_usage_and_no_stream(server: Inside, minimax: Provider) -> None:
    minimax.fake.provider.fail("truncated", path="files/upload")
    voice = await make_voice(server)
    asked = await server.ask(
        "POST", f"/v1/audio/voices/{voice}", body={"engines": ["minimax"]}, **{"x-voxgate-tag": "cast-of-9"}
    )
    assert asked.status_code == 200, asked.text
    await maker_of(server).look()
    await maker_of(server).finish()
    me = (await server.ask("GET", "/v1/me")).json()
    assert (me["streams"], me["credits"]["left"], me["credits"]["used"]) == (0, 700, 0)
    await server.worker.store.write(Statement("UPDATE bindings SET due = 0, lease = 0"))
    await clone_with(server, voice, "ready")
    (row,) = (await server.ask("GET", "/v1/usage")).json()["data"]
    (clone,) = await clones_of(server, voice)
    assert (row["operation"], row["id"], row["voice"]) == ("clone", clone["id"], voice)
    assert row["tag"] == "cast-of-9"
    assert (row["credits"], row["price"], row["price_per"], row["outcome"]) == (300, 300, "job", "finished")
    (sum_,) = (await server.administer("GET", "usage?by=operation")).json()["data"]
    assert (sum_["name"], sum_["requests"], sum_["cost_usd"]) == ("clone", 1, 1.5)
    csv = (await server.administer("GET", "usage?format=csv")).text
    assert "operation" in csv
    assert 'voxgate_clones_total{engine="minimax",result="made"} 1.0' in server.worker.metrics.page_text()


async def test_a_voice_that_is_changed_pays_only_for_what_it_has_not(server: Inside) -> None:
    voice = await make_voice(server, **{"engines[]": "minimax"})
    await clone_with(server, voice, "ready")
    body = {"engines": ["minimax"], "description": "again"}
    for _ in range(3):
        assert (await server.ask("POST", f"/v1/audio/voices/{voice}", body=body)).status_code == 200
    assert (await server.ask("GET", "/v1/me")).json()["clones_used"] == 1


async def test_what_the_operator_orders_is_free_for_the_account(server: Inside, minimax: Provider) -> None:
    voice = await make_voice(server)
    body = {"engine": "minimax"}
    assert (await server.administer("POST", f"voices/{voice}/clones", body)).status_code == 201
    await clone_with(server, voice, "ready")
    me = (await server.ask("GET", "/v1/me")).json()
    assert (me["credits"]["used"], me["clones_used"], minimax.fake.account.fees) == (0, 0, 1)
