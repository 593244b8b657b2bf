"""Routes as clients and operators meet them: who speaks, who is listed, and what is told of it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from proxy.storage import accounts
from speech_engine import (
    ContentRefused,
    EngineError,
    EngineLimited,
    EngineUnauthorized,
    EngineUnavailable,
    Language,
    UnsupportedLanguage,
    UnsupportedText,
    UnusableSample,
    VoiceNotFound,
)
from tests.proxy.api.inside import Inside, envelope, inside
from tests.proxy.api.scripted import Scripted, spoken
from tests.proxy.storage.changes import to_plan
from tests.replies import json_of
from tests.tables import each_row

pytestmark = pytest.mark.slow

CONFIG = """
[server]
detector = ""
[engines.house]
[engines.thai]
[engines.closed]
[models]
tts-1 = ["house/m"]
only-closed = ["closed/m"]
[[routes]]
language = "th"
candidates = ["gone/m", "thai/m", "house/m"]
[[routes]]
language = "pt"
front_end = "gone"
[voices.alloy]
house = "v"
thai = "v"
closed = "v"
[voices.malee]
thai = "v"
language = "th"
[plans.small]
engines = ["house"]
[plans.sold]
price = "$9"
[plans.private]
local_only = true
"""
THAI = "สวัสดีครับ"
LICENCE = "its licence, 'CPML', is not accepted: engines.closed.accept_licence"


def engines() -> dict[str, Scripted]:
    return {
        "house": Scripted(*spoken(0.2)),
        "thai": Scripted(*spoken(0.2), languages=(Language("th"),), is_local=False, paid_use=False),
        "closed": Scripted(*spoken(0.2), must_accept_licence=True, licence="CPML"),
    }


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Inside]:
    async with inside(tmp_path, CONFIG, engines()) as opened:
        yield opened


async def explained(server: Inside, text: str, **more: object) -> dict[str, Any]:
    return json_of(await server.administer("POST", "route/explain", {"input": text, **more}))


async def models(server: Inside, path: str = "/v1/models") -> set[str]:
    return {model["id"] for model in (await server.ask("GET", path)).json()["data"]}


async def test_a_route_falls_back_to_its_next_candidate(tmp_path: Path) -> None:
    down = engines() | {"thai": Scripted(EngineUnavailable("down"))}
    async with inside(tmp_path, CONFIG, down) as server:
        answer = await server.speech(THAI)
        refused = await server.speech(THAI, voice="malee")
    assert (answer.status_code, answer.headers["x-voxgate-engine"]) == (200, "house/m")
    assert (refused.status_code, envelope(refused)["code"]) == (503, "engine_unavailable")


async def test_a_decision_for_an_account_asks_its_plan_and_charges_nothing(server: Inside) -> None:
    await server.administer("POST", "accounts", {"name": "bob", "plan": "small"})
    body = await explained(server, THAI, account="bob", voice="malee")
    (part,) = body["parts"]
    assert body["plan"] == "small"
    assert [(model["model"], model["refused_by"]) for model in part["models"]] == [
        ("thai/m", "plan"),
        ("house/m", "voice"),
    ]
    assert part["error"]["status"] == 403
    assert (part["error"]["code"], part["error"]["param"]) == ("model_not_allowed", "model")
    assert await server.usage() == []


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"input": "Hi.", "account": ""}, 400, "account"),
        ({"input": "Hi.", "language": "Thai!"}, 400, "language"),
        ({"input": "Hi.", "account": "away"}, 409, "account"),
    ],
)
async def test_a_question_that_has_no_answer_names_the_field(
    server: Inside, body: dict[str, Any], status: int, param: str
) -> None:
    store = server.worker.store
    away = await accounts.create(store, name="away", plan="small")
    await accounts.change(store, away.id, to_plan("gone"))
    answer = await server.administer("POST", "route/explain", body)
    assert (answer.status_code, envelope(answer)["param"]) == (status, param)


@each_row(
    ("plan", "listed"),
    [
        ("unlimited", {"tts-1", "tts-1-1106", "house/m", "thai/m"}),
        ("small", {"tts-1", "tts-1-1106", "house/m"}),
        ("sold", {"tts-1", "tts-1-1106", "house/m"}),
        ("private", {"tts-1", "tts-1-1106", "house/m"}),
    ],
)
@each_row("path", ["/v1/models", "/v1/audio/models"])
async def test_everybody_is_listed_what_their_plan_may_use(
    tmp_path: Path, plan: str, listed: set[str], path: str
) -> None:
    only_house = CONFIG.replace('candidates = ["gone/m", "thai/m", "house/m"]', 'candidates = ["gone/m"]')
    async with inside(tmp_path, only_house, engines(), plan) as server:
        assert await models(server, path) == listed
        for name in ("thai/m", "closed/m"):
            answer = await server.ask("GET", f"/v1/models/{name}")
            assert (answer.status_code == 200) == (name in listed)


async def test_a_public_catalogue_shows_what_some_plan_may_use(tmp_path: Path) -> None:
    public = CONFIG.replace("[server]", "[server]\npublic_catalogue = true")
    async with inside(tmp_path, public, engines()) as server:
        answer = await server.ask("GET", "/v1/models", key="")
    assert {each["id"] for each in answer.json()["data"]} >= {"house/m", "thai/m"}
    assert "closed/m" not in answer.text


async def test_each_model_tells_what_it_speaks(server: Inside) -> None:
    shown = json_of(await server.ask("GET", "/v1/models"))["data"]
    told = {model["id"]: model.get("spoken_languages") for model in shown}
    assert (told["tts-1"], told["thai/m"]) == (None, ["th"])


@each_row("default", ["tts-1", "tts-1-1106", "house/m"])
async def test_the_default_model_is_the_first_of_the_list(tmp_path: Path, default: str) -> None:
    config = CONFIG.replace("[server]", f'[server]\ndefault_model = "{default}"')
    async with inside(tmp_path, config, engines()) as server:
        [first, *_] = json_of(await server.ask("GET", "/v1/models"))["data"]
    assert first["id"] == default


async def test_an_account_without_a_plan_in_force_is_told_so_by_the_list(server: Inside) -> None:
    await accounts.change(server.worker.store, server.account.id, to_plan("gone"))
    answer = await server.ask("GET", "/v1/models")
    assert (answer.status_code, envelope(answer)["code"]) == (403, "plan_not_found")


@each_row(
    ("more", "plan", "code"),
    [
        ("", "unlimited", "licence_not_accepted"),
        ('accept_licence = "MIT"', "unlimited", "licence_not_accepted"),
        ('accept_licence = "CPML"', "unlimited", None),
        ('accept_licence = "CPML"', "sold", None),
        ('accept_licence = "CPML"', "small", "model_not_allowed"),
    ],
)
async def test_a_licence_is_accepted_before_anybody_is_served(
    tmp_path: Path, more: str, plan: str, code: str | None
) -> None:
    text = CONFIG.replace("[engines.closed]", f"[engines.closed]\n{more}")
    async with inside(tmp_path, text, engines(), plan) as server:
        answer = await server.speech("Hello.", model="closed/m")
        ready = (await server.ask("GET", "/readyz")).json()
        assert ("closed/m" in await models(server)) == (code is None)
    if code is None:
        assert answer.status_code == 200
    else:
        assert (answer.status_code, envelope(answer)["code"], envelope(answer)["param"]) == (
            403,
            code,
            "model",
        )
    told = [each["reason"] for each in ready["degraded"] if each.get("model") == "closed/m"]
    assert told == ([] if "CPML" in more else [LICENCE])


@each_row(
    ("line", "section", "status"),
    [
        ("", "server", 403),
        ("commercial = false", "server", 200),
        ('paid_use_basis = "an agreement of 2026"', "engines.thai", 200),
    ],
)
async def test_a_plan_with_a_price_needs_a_licence_for_paid_use(
    tmp_path: Path, line: str, section: str, status: int
) -> None:
    text = CONFIG.replace(f"[{section}]", f"[{section}]\n{line}")
    async with inside(tmp_path, text, engines(), "sold") as server:
        answer = await server.speech(THAI, model="thai/m")
        assert ("thai/m" in await models(server)) == (status == 200)
    assert answer.status_code == status
    if status == 403:
        assert envelope(answer)["code"] == "paid_use_forbidden"


async def test_a_voice_that_the_operator_saved_for_everybody_is_explained_without_an_account(
    server: Inside,
) -> None:
    saved = await server.administer("POST", "voices", {"name": "talk", "cast": {"Ana": "alloy"}})
    assert saved.status_code == 201, saved.text
    answer = await server.administer("POST", "route/explain", {"input": "[Ana] Hi.", "voice": "talk"})
    assert [part["voice"] for part in answer.json()["parts"]] == ["alloy"]


@pytest.mark.parametrize("auto", ["auto", "Auto", "AUTO"])
async def test_a_long_text_of_any_languages_is_planned_as_a_short_one_is(server: Inside, auto: str) -> None:
    answer = await server.speech("Hello there, my friends. " * 100, language=auto)
    assert answer.status_code == 200
    assert answer.headers["x-voxgate-engine"] == "house/m"


LACKING = """
[server]
default_voice = "narrator"
[engines.house]
[engines.thai]
[models]
tts-1 = ["house/m", "thai/m"]
[voices.alloy]
house = "v"
[voices.narrator]
house = "gone-1"
thai = "gone-2"
gender = "female"
[voices.duo]
cast = { Ana = "narrator" }
[voices.half]
house = "gone-3"
thai = "v"
gender = "female"
"""


class ListsSome(Scripted):
    unlisted_voices = None


def lacking(context: type[Scripted]) -> dict[str, Scripted]:
    return {"house": context(*spoken(0.2)), "thai": Scripted(*spoken(0.2))}


async def test_a_voice_that_no_engine_has_is_promised_nowhere(tmp_path: Path) -> None:
    async with inside(tmp_path, LACKING, lacking(Scripted)) as server:
        listed = (await server.ask("GET", "/v1/voices?format=names")).json()["data"]
        described = (await server.ask("GET", "/v1/voices?describe=female&format=names")).json()["data"]
        one = await server.ask("GET", "/v1/audio/voices/narrator")
        part = (await explained(server, "Hello.", voice="narrator"))["parts"][0]
        spoken_ = await server.speech("Hello.", voice="narrator")
        ready = await server.ask("GET", "/readyz")
    assert ({"narrator", "duo"} & {*listed}, {"alloy", "half"} <= {*listed}) == (set(), True)
    assert described == ["half"]
    assert one.status_code == 404
    assert part["candidates"] == []
    assert part["notes"][:2] == [
        "the voice narrator is not offered: house has no voice 'gone-1'",
        "the voice narrator is not offered: thai has no voice 'gone-2'",
    ]
    assert (spoken_.status_code, envelope(spoken_)["code"]) == (400, "voice_not_available")
    assert (ready.status_code, ready.json()["reasons"]) == (
        503,
        ["default_voice narrator: no engine has it: see voxgate check"],
    )
    assert "gone-" not in ready.text + spoken_.text


async def test_a_voice_speaks_only_where_its_engine_has_it(tmp_path: Path) -> None:
    async with inside(tmp_path, LACKING, lacking(Scripted)) as server:
        part = (await explained(server, "Hello.", voice="half"))["parts"][0]
        spoken_ = await server.speech("Hello.", voice="half")
        entry = (await server.ask("GET", "/v1/audio/voices/half")).json()
    assert [each["model"] for each in part["candidates"]] == ["thai/m"]
    assert spoken_.headers["x-voxgate-engine"] == "thai/m"
    assert entry["engines"] == ["thai"]


class Unlisted(Scripted):
    unlisted_voices = ("gone-1",)


async def test_a_voice_that_clients_do_not_see_is_there_for_a_binding(tmp_path: Path) -> None:
    async with inside(tmp_path, LACKING, lacking(Unlisted)) as server:
        assert (await server.speech("Hello.", voice="narrator")).headers["x-voxgate-engine"] == "house/m"
        assert "gone-1" not in (await server.ask("GET", "/v1/voices")).text


class Learns(Scripted):
    tries_unknown_voices = True


async def test_a_provider_that_learns_a_voice_by_its_use_is_tried_but_not_promised(tmp_path: Path) -> None:
    async with inside(tmp_path, LACKING, lacking(Learns)) as server:
        assert (await server.speech("Hello.", voice="narrator")).headers["x-voxgate-engine"] == "house/m"
        listed = (await server.ask("GET", "/v1/voices?format=names")).json()["data"]
        part = (await explained(server, "Hello.", voice="narrator"))["parts"][0]
        ready = (await server.ask("GET", "/readyz")).json()
    assert "narrator" not in listed
    assert part["notes"][0] == "the voice narrator is not offered: house has no voice 'gone-1'"
    assert [each["model"] for each in part["candidates"]] == ["house/m"]
    assert ready["reasons"] == []
    assert {each["voice"] for each in ready["degraded"]} == {"narrator", "half"}


async def test_an_engine_that_lists_only_some_voices_may_have_it(tmp_path: Path) -> None:
    async with inside(tmp_path, LACKING, lacking(ListsSome)) as server:
        part = (await explained(server, "Hello.", voice="narrator"))["parts"][0]
        ready = (await server.ask("GET", "/readyz")).json()
    assert [each["voice"] for each in part["candidates"]] == ["gone-1"]
    assert ready["reasons"] == []
    assert {each["reason"] for each in ready["degraded"]} == {"thai does not have it: see voxgate check"}


@each_row("stream_format", ["audio", "sse"])
@each_row("is_late", [False, True], ids=["at once", "after audio"])
@each_row(
    "kind",
    [
        *(VoiceNotFound, UnsupportedText, UnsupportedLanguage, ContentRefused, UnusableSample),
        *(EngineLimited, EngineUnauthorized),
    ],
)
async def test_a_providers_code_never_reaches_a_client(
    tmp_path: Path, kind: type[EngineError], is_late: bool, stream_format: str
) -> None:
    error = kind("The provider says no.", detail="HTTP 418, their_own_code")
    script = [*spoken(0.2)[:-1], error] if is_late else [error]
    async with inside(tmp_path, CONFIG, {**engines(), "house": Scripted(*script)}) as server:
        body = {"model": "tts-1", "voice": "alloy", "input": "Hello.", "stream_format": stream_format}
        shown = repr(await server.raw_speech({**body, "response_format": "pcm"}))
        usage = await server.ask("GET", "/v1/usage")
        ready = await server.ask("GET", "/readyz")
    assert "their_own_code" not in shown + usage.text + ready.text
    assert "HTTP 418" not in shown
