"""GET /v1/me: a key learns what it and its account may do, and nothing of anybody else."""

import asyncio

from proxy.storage import accounts
from tests.proxy.api.inside import Inside, envelope
from tests.proxy.storage.changes import to_plan


async def test_the_answer_says_whose_key_it_is_and_what_is_left(priced: Inside) -> None:
    caps = {"rpm": 30, "streams": None, "max_characters": 50, "pace": None}
    made = (await priced.administer("POST", "keys", {"account": "ada", "name": "bot", "caps": caps})).json()
    await priced.administer("POST", "accounts/ada", {"agreed": {"voices": 3, "engines": ["tone"]}})
    await priced.administer("POST", "accounts/ada/grants", {"credits": 0.25})
    await priced.speech()
    me = (await priced.ask("GET", "/v1/me", key=made["key"])).json()
    cycle = me.pop("cycle")
    assert me == {
        "account": {"id": priced.account.id, "name": "ada", "title": "ada"},
        "key": {"id": made["id"], "name": "bot", "role": "speech", "hint": made["hint"], "caps": caps},
        "plan": {"name": "free", "price": "", "consent": "required", "minutes": None},
        "limits": {
            "rpm": 1000,
            "streams": None,
            "voices": 3,
            "clones": None,
            "keys": 50,
            "max_characters": 50,
            "job_characters": None,
            "engines": ["tone"],
        },
        "credits": {"allowance": 100, "used": 2.5, "left": 97.5, "granted": 0.25, "available": 97.75},
        "streams": 0,
        "clones_used": 0,
        "voices_used": 0,
        "preferred_voice": None,
        "favourite_voices": [],
        "paid_until": None,
        "next_plan": None,
        "minutes": None,
        "user": None,
        "prices": {
            "speech": {"credits": 2.5, "per": "job"},
            "cached": {"credits": 0, "per": "job"},
            "clone": {"credits": 0, "per": "job"},
            "conversion": {"credits": 2.5, "per": "job"},
            "transcription": {"credits": 2.5, "per": "job"},
            "training": None,
            "models": {},
        },
    }
    assert cycle == (await priced.administer("GET", "accounts/ada")).json()["cycle"]


async def test_a_request_under_way_counts_as_a_stream_and_holds_its_credits(priced: Inside) -> None:
    leaves, begun = asyncio.Event(), asyncio.Event()

    async def on_sent(message: object) -> None:
        begun.set()

    body = {"model": "tts-1", "voice": "tone/slow", "input": "Hello there. " * 20}
    speaking = asyncio.create_task(priced.raw_speech(body, leaves, on_sent))
    async with asyncio.timeout(20):
        await begun.wait()
        me = (await priced.ask("GET", "/v1/me")).json()
        leaves.set()
        await speaking
    assert me["streams"] == 1
    assert (me["credits"]["used"], me["credits"]["left"]) == (0, 97.5)


async def test_a_plan_that_is_gone_is_said_to_be(priced: Inside) -> None:
    await accounts.change(priced.worker.store, priced.account.id, to_plan("gone"))
    answer = await priced.ask("GET", "/v1/me")
    assert (answer.status_code, envelope(answer)["code"]) == (403, "plan_not_found")
