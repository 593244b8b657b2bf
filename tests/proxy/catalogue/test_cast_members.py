"""What the names in a cast stand for: never another cast, and what the operator says for everybody."""

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.features.own_voices.saving import add_cast
from tests.proxy.api.inside import Inside, envelope, inside
from tests.proxy.api.scripted import Scripted, spoken
from tests.tables import each_row

CONFIG = """
[engines.one]
[engines.two]
[models]
tts-1 = ["one/m", "two/m"]
[[routes]]
language = "ja"
candidates = ["two/m"]
sentences = true
voice = "ben"
[voices.ana]
one = "v"
[voices.ben]
two = "v"
[voices.talk]
cast = { Ana = "ana", Ben = "ben" }
"""
MEMBERS = {"Ana": "ana", "Ben": "ben"}
ENGLISH = "This is a sentence in English which is long enough to be most of the text, and more of it. "
JAPANESE = "今日はとても天気がいいので、公園を散歩しましょう。"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Inside]:
    engines = {name: Scripted(*spoken(0.1)) for name in ("one", "two")}
    async with inside(tmp_path, CONFIG, engines) as opened:
        yield opened


async def save(server: Inside, name: str, cast: dict[str, str]) -> str:
    answer = await server.ask("POST", "/v1/voices", body={"name": name, "cast": cast})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


async def saved_before(server: Inside, name: str, cast: dict[str, str]) -> str:
    """A cast whose name the operator gave to a voice only later: now it could not be saved any more."""
    made = await add_cast(server.worker.store, server.account.id, name, cast)
    assert made is not None
    return made.id


async def test_a_cast_may_be_named_like_one_of_its_members(server: Inside) -> None:
    id_ = await saved_before(server, "ana", MEMBERS)
    # And another one still means the voice by that name.
    other = await save(server, "second", MEMBERS)
    for voice, used in (("ana", id_), ("second", other), ({"cast": MEMBERS}, "ana+ben")):
        answer = await server.speech("[Ana] Hello. [Ben] Hi.", voice=voice)
        assert answer.status_code == 200, answer.text
        assert answer.headers["x-voxgate-voice"] == used
        assert answer.headers["x-voxgate-engine"] == "one/m, two/m"


async def test_the_operators_casts_mean_the_same_for_every_account(server: Inside) -> None:
    made = await server.administer("POST", "voices", {"name": "stage", "cast": MEMBERS})
    assert made.status_code == 201
    await saved_before(server, "ana", {"Ben": "ben"})
    for voice in ("talk", "stage"):
        answer = await server.speech("[Ana] Hello. [Ben] Hi.", voice=voice)
        assert answer.status_code == 200, answer.text
        assert answer.headers["x-voxgate-engine"] == "one/m, two/m"


async def test_so_does_the_voice_of_a_route(server: Inside) -> None:
    await saved_before(server, "ben", {"Ana": "ana"})
    answer = await server.speech(f"{ENGLISH}{JAPANESE}", voice="ana", language="auto")
    assert answer.headers["x-voxgate-engine"] == "one/m, two/m"


async def test_a_cast_is_still_no_member(server: Inside) -> None:
    await save(server, "mine", MEMBERS)
    for voice in ("mine", "talk"):
        answer = await server.ask("POST", "/v1/voices", body={"name": "x", "cast": {"Ana": voice}})
        speech = await server.speech("[Ana] Hi.", voice={"cast": {"Ana": voice}})
        for refused, field in ((answer, "cast.Ana"), (speech, "voice.cast.Ana")):
            assert (refused.status_code, envelope(refused)["param"]) == (400, field)
            assert "is a cast itself" in envelope(refused)["message"]


async def test_the_engines_of_a_cast_are_those_of_its_members_by_whatever_name(tmp_path: Path) -> None:
    config = CONFIG.replace("[engines.two]\n", "").replace('["one/m", "two/m"]', '["one/m"]')
    config = config[: config.index("[[routes]]")]
    async with inside(tmp_path, config, {"one": Scripted(*spoken(0.1))}) as server:
        # `V` is the name that the engine gives its voice `one/v`.
        id_ = await save(server, "talk", {"Vera": "V"})
        assert (await server.speech("[Vera] Hi.", voice=id_)).status_code == 200
        for path in (f"/v1/voices/{id_}", "/v1/voices"):
            found = (await server.ask("GET", path)).json()
            voice = next(each for each in found.get("data", [found]) if each["id"] == id_)
            assert voice["engines"] == ["one"]


@each_row("letter", ["v", "ö", "声", "😀"])
async def test_the_names_of_a_long_cast_do_not_burst_a_header(tmp_path: Path, letter: str) -> None:
    names = [f"{letter * 200}{number}" for number in range(16)]
    sections = "\n".join(f'[voices."{name}"]\none = "v"' for name in names)
    config = f'[engines.one]\n[models]\ntts-1 = ["one/m"]\n{sections}'
    cast = {f"N{number}": name for number, name in enumerate(names)}
    async with inside(tmp_path, config, {"one": Scripted(*spoken(0.1))}) as server:
        text = " ".join(f"[{name}] Hi." for name in cast)
        answer = await server.speech(text, voice={"cast": cast})
        whole = await server.speech(text, voice={"cast": cast}, response_format="json")
    assert answer.status_code == 200, answer.text
    shown = answer.headers["x-voxgate-voice"]
    assert 980 < len(shown) <= 1000
    assert "+".join(names).startswith(unquote(shown, errors="strict"))
    assert whole.json()["voice_used"] == "+".join(names)
