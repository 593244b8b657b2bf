"""What `route explain` says of the post-steps of a route: who repeats, for how much, or why nobody does."""

from pathlib import Path
from typing import Any

import pytest

from proxy.cli.route import _explanation
from proxy.commands.tables import Line
from tests.proxy.api.inside import Inside, inside
from tests.proxy.api.scripted import Scripted
from tests.proxy.speech_steps.repeating import Repeating
from tests.replies import json_of
from tests.tables import each_row

pytestmark = pytest.mark.slow

CONFIG = """
[engines.one]
[engines.rvc]
[models]
tts-1 = ["one/m"]
[voices.alloy]
one = "v"
[[routes]]
language = "en"
candidates = ["one/m"]
post = [
    { engine = "rvc", voice = "v", when = "emotion:happy", pitch = 0 },
    { engine = "rvc", voice = "gone", when = "emotion:sad" },
    { engine = "rvc/m", voice = "v" },
]
[[routes]]
language = "pt"
candidates = ["one/m"]
[plans.small]
prices.speech = { credits = 120, per = "minute" }
prices.conversion = { credits = 60, per = "minute" }
[plans.local]
engines = ["one"]
"""


async def explained(server: Inside, **more: object) -> dict[str, Any]:
    question = {"input": "Hello.", "language": "en", **more}
    body = json_of(await server.administer("POST", "route/explain", question))
    (part,) = body["parts"]
    return dict(part)


def engines() -> dict[str, Any]:
    return {"one": Scripted(), "rvc": Repeating()}


HAPPY, SAD, ALWAYS = range(3)
OTHER = "another step is used"


@each_row(
    ("asked", "used", "reasons"),
    [
        ({}, ALWAYS, ["it is for emotion:happy", "it is for emotion:sad", ""]),
        ({"emotion": "happy"}, HAPPY, ["", "it is for emotion:sad", OTHER]),
        ({"model": "one/m"}, None, ["the request names its model itself"] * 3),
        (
            {"emotion": "sad"},
            None,
            [
                "it is for emotion:happy",
                "The post-step of this language's route cannot be done: there is no voice 'gone' for rvc/m.",
                OTHER,
            ],
        ),
    ],
)
async def test_each_step_is_used_or_says_why_not(
    tmp_path: Path, asked: dict[str, str], used: int | None, reasons: list[str]
) -> None:
    async with inside(tmp_path, CONFIG, engines()) as server:
        part = await explained(server, **asked)
    steps = part["route"]["post"]
    assert [step["is_used"] for step in steps] == [number == used for number in range(3)]
    assert [step["reason"] for step in steps] == reasons
    if used is not None:
        assert (steps[used]["model"], steps[used]["voice"]) == ("rvc/m", "v")
    assert bool(part["candidates"]) is ("emotion" not in asked or used is not None)


async def test_the_price_is_what_the_plan_of_the_account_adds(tmp_path: Path) -> None:
    async with inside(tmp_path, CONFIG, engines(), plan="small") as server:
        part = await explained(server, account="ada")
    assert [step["price"] for step in part["route"]["post"]] == [
        None,
        None,
        {"credits": 60, "per": "minute"},
    ]
    lines = [line.text for line in _explanation({"parts": [part]}) if isinstance(line, Line)]
    assert "post-step rvc/m as v: used, 60 credits a minute more" in lines
    assert "post-step rvc as gone when emotion:sad: not used, it is for emotion:sad" in lines


async def test_a_plan_without_the_engine_is_the_reason_of_each_candidate(tmp_path: Path) -> None:
    async with inside(tmp_path, CONFIG, engines(), plan="local") as server:
        part = await explained(server, account="ada")
        answer = await server.speech(language="en")
    (model,) = part["models"]
    assert model["refused_by"] == "post"
    assert "Your plan 'local' does not have rvc/m." in model["reason"]
    assert part["error"]["status"] == answer.status_code == 403
    assert part["error"]["code"] == answer.json()["error"]["code"] == "model_not_allowed"
    assert not any(step["is_used"] for step in part["route"]["post"])


async def test_a_route_without_steps_has_none(tmp_path: Path) -> None:
    async with inside(tmp_path, CONFIG, engines()) as server:
        part = await explained(server, input="Olá.", language="pt")
        told = await server.ask(
            "POST",
            "/v1/audio/speech",
            key=server.admin_key,
            body={"model": "tts-1", "voice": "alloy", "input": "Hi.", "language": "en"},
        )
    assert part["route"]["post"] == []
    assert told.headers["x-voxgate-route"] == "en (request), route en: one/m, post rvc/m"
