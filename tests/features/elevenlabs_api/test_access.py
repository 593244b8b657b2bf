"""What an account sees through ElevenLabs' API: its own voices and the plan, and nothing of others."""

from typing import Any

import httpx2

from tests.features.elevenlabs_api.test_speech import detail, said
from tests.proxy.api.inside import TONE, Inside, inside_fixture
from tests.replies import json_of

server = inside_fixture(f"{TONE}\n[plans.local]\nengines = []\nallowance = 50\nvoices = 3\n")
_MIX = {"name": "blend", "mix": [{"id": "alloy"}, {"id": "tone/slow", "weight": 2}]}
_CAST = {"name": "stage", "cast": {"Ana": "alloy"}}


async def ask(server: Inside, method: str, path: str, key: str = "", **more: Any) -> httpx2.Response:
    headers = {"xi-api-key": key or server.key}
    return await server.ask(method, f"/elevenlabs/{path}", key="", **more, **headers)


async def other_key(server: Inside, plan: str = "unlimited") -> str:
    account = json_of(await server.administer("POST", "accounts", {"name": "bob", "plan": plan}), 201)
    key: str = json_of(await server.administer("POST", "keys", {"account": account["id"]}), 201)["key"]
    return key


async def test_an_own_voice_is_listed_and_speaks_for_its_account_alone(server: Inside) -> None:
    id_ = json_of(await server.ask("POST", "/v1/audio/voices", body=_MIX))["id"]
    await server.ask("POST", "/v1/audio/voices", body=_CAST)
    shown = json_of(await ask(server, "GET", f"v1/voices/{id_}"))
    assert (shown["name"], shown["category"]) == ("blend", "generated")
    names = [voice["name"] for voice in json_of(await ask(server, "GET", "v1/voices"))["voices"]]
    assert names[0] == "blend"
    assert "stage" not in names
    spoken = await ask(
        server, "POST", f"v1/text-to-speech/{id_}?output_format=pcm_24000", body={"text": "Hi."}
    )
    assert said(spoken, "pcm") == "Hi."
    key = await other_key(server)
    assert detail(await ask(server, "GET", f"v1/voices/{id_}", key))["code"] == "voice_not_found"
    refused = await ask(server, "POST", f"v1/text-to-speech/{id_}", key, body={"text": "Hi."})
    assert detail(refused)["code"] == "voice_not_found"
    mine = json_of(await ask(server, "GET", "v2/voices?page_size=1"))
    assert [voice["voice_id"] for voice in mine["voices"]] == [id_]
    theirs = json_of(await ask(server, "GET", "v2/voices?search=blend", key))
    assert theirs == {"voices": [], "has_more": False, "total_count": 0, "next_page_token": None}


async def test_models_and_the_subscription_are_those_of_the_plan(server: Inside) -> None:
    key = await other_key(server, "local")
    assert (await ask(server, "GET", "v1/models", key)).json() == []
    found = json_of(await ask(server, "GET", "v1/user/subscription", key))
    assert (found["tier"], found["character_limit"], found["voice_limit"]) == ("local", 50, 3)
    assert found["voice_slots_used"] == 0
    await server.administer("POST", "accounts/bob/grants", {"credits": 25})
    found = json_of(await ask(server, "GET", "v1/user/subscription", key))
    assert found["character_limit"] == 75


async def test_pages_of_voices_name_what_is_wrong(server: Inside) -> None:
    for query, param in (
        ("page_size=0", "page_size"),
        ("page_size=x", "page_size"),
        ("page_size=101", "page_size"),
    ):
        assert detail(await ask(server, "GET", f"v2/voices?{query}"))["param"] == param
    assert detail(await ask(server, "GET", "v2/voices?next_page_token=none"))["param"] == "next_page_token"


async def test_voices_are_found_by_category_and_words(server: Inside) -> None:
    json_of(await server.ask("POST", "/v1/audio/voices", body=_MIX))
    everything = json_of(await ask(server, "GET", "v2/voices?category=&search=&page_size="))["total_count"]
    for query, names in (
        ("category=generated", ["blend"]),
        ("search=BLEND", ["blend"]),
        ("search=no%00", []),
    ):
        found = json_of(await ask(server, "GET", f"v2/voices?{query}"))["voices"]
        assert [voice["name"] for voice in found] == names
    assert json_of(await ask(server, "GET", "v2/voices?category=premade"))["total_count"] == everything - 1


async def test_a_suspended_account_is_told_so(server: Inside) -> None:
    key = await other_key(server)
    json_of(await server.administer("POST", "accounts/bob/suspend", {"reason": "x"}))
    answer = await ask(server, "GET", "v1/voices", key)
    assert (answer.status_code, detail(answer)["code"]) == (403, "account_suspended")
