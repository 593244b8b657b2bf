"""A voice of a recording that nothing here can speak: told when voices are listed, made, and spoken with."""

from pathlib import Path

from speech_engine import Language
from tests.proxy.api.inside import TONE, Inside, envelope, inside, inside_fixture
from tests.proxy.api.owning import clone
from tests.proxy.api.scripted import Scripted, spoken

_DEAF = TONE.replace("hosted = false", "hosted = false\nspeaks_samples = false\nclones = false", 1)
_TWO = """
[server]
default_model = "all"
[engines.english]
[engines.rules]
[models]
all = ["rules/m", "english/m"]
[voices.alloy]
rules = "v"
"""
_PULL = "The operator of this server can add it with: voxgate voices own "

server = inside_fixture(_DEAF)


able = inside_fixture(TONE)


async def test_the_list_tells_it_before_there_is_a_voice(server: Inside) -> None:
    told = (await server.ask("GET", "/v1/audio/voices?mine=true")).json()
    assert told["data"] == []
    assert told["hint"].startswith("Nothing on this server can speak a voice of a recording.")
    assert _PULL in told["hint"]
    of_language = (await server.ask("GET", "/v1/audio/voices?mine=true&language=pt")).json()["hint"]
    assert "in the language 'pt'" in of_language


async def test_the_answer_to_a_new_voice_tells_it(server: Inside) -> None:
    made = await clone(server, language="en")
    assert made["engines"] == []
    assert _PULL in made["hint"]
    assert (await server.ask("GET", f"/v1/audio/voices/{made['id']}")).json() == made


async def test_speech_with_it_names_the_voice_and_what_to_pull(server: Inside) -> None:
    made = await clone(server, language="en")
    answer = await server.speech(voice=made["id"])
    failure = envelope(answer)
    assert (answer.status_code, failure["code"], failure["param"]) == (400, "voice_not_available", "voice")
    assert "cannot speak with 'Ana', which is a voice of recordings" in failure["message"]
    assert _PULL in failure["message"]
    assert made["id"] not in failure["message"]


async def test_a_language_that_no_model_speaks_is_told_with_what_to_pull(tmp_path: Path) -> None:
    english = Scripted(*spoken(0.2), languages=(Language("en"),), speaks_samples=True)
    rules = Scripted(*spoken(0.2))
    async with inside(tmp_path, _TWO, {"english": english, "rules": rules}) as server:
        made = await clone(server, language="pt")
        told = (await server.ask("GET", "/v1/audio/voices?mine=true&language=pt")).json()["hint"]
        answer = await server.speech("Bom dia.", voice=made["id"], model="all", language="pt")
        failure = envelope(answer)
        assert (answer.status_code, failure["code"]) == (400, "unsupported_language")
        assert failure["message"].endswith(told)
        assert _PULL in told
        # Another model of this server is the nearest help.
        other = envelope(await server.speech("Good day.", voice=made["id"], model="rules/m", language="en"))
        assert other["message"].endswith("which is a voice of recordings. english/m can.")
        assert (await server.speech("Good day.", voice=made["id"], model="all", language="en")).is_success


async def test_where_a_recording_can_be_spoken_nothing_is_told(able: Inside) -> None:
    made = await clone(able, language="en")
    assert made["engines"] == ["tone"]
    assert "hint" not in made
    assert "hint" not in (await able.ask("GET", "/v1/audio/voices")).json()
