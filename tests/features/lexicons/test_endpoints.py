"""/v1/lexicons, and what is heard of them: an account's words before the operator's, a request's first."""

from datetime import UTC, datetime

import httpx2
import pytest

from plugins.tone.decode import decode
from proxy.storage import accounts
from tests.proxy.api.inside import TONE, Inside, envelope, inside_fixture
from tests.proxy.api.owning import new_key
from tests.replies import json_of
from tests.sound import decoded

pytestmark = pytest.mark.slow

SHARED = """
[lexicons.pt]
Sampaio = "sam pie o"
[lexicons.pt-BR]
Sampaio = "sampaiu"
[lexicons.brands]
nginx = "engine x"
"""
TEXT = "Ana Sampaio, nginx."

server = inside_fixture(TONE + SHARED)


async def heard(server: Inside, text: str = TEXT, **more: object) -> str:
    answer = await server.speech(text, response_format="wav", **more)
    assert answer.status_code == 200, answer.text
    return " ".join(decode(*decoded(answer.content, "wav")))


async def put(server: Inside, name: str, words: object, key: str | None = None) -> httpx2.Response:
    return await server.ask("PUT", f"/v1/lexicons/{name}", key=key, body={"words": words})


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, "Ana Sampaio, nginx."),
        ({"language": "pt"}, "Ana sam pie o, nginx."),
        ({"language": "pt-br"}, "Ana sampaiu, nginx."),
        ({"language": "pt", "lexicon": "brands"}, "Ana sam pie o, engine x."),
        ({"lexicon": "PT-br"}, "Ana sampaiu, nginx."),
        ({"language": "pt", "lexicon": "None"}, "Ana Sampaio, nginx."),
        ({"language": "pt", "lexicon": {"ana": "Aninha", "nginx": "x"}}, "Aninha sam pie o, x."),
        ({"language": "pt", "lexicon": {"sampaio": "S"}}, "Ana S, nginx."),
        ({"language": "pt", "lexicon": {}}, "Ana sam pie o, nginx."),
        ({"language": "pt", "lexicon": ""}, "Ana sam pie o, nginx."),
        ({"language": "pt", "lexicon": None}, "Ana sam pie o, nginx."),
        ({"lexicon": {"Ana": "/ˈænə/"}}, "Ana Sampaio, nginx."),
    ],
)
async def test_a_word_is_said_as_the_lexicons_say(
    server: Inside, asked: dict[str, object], said: str
) -> None:
    assert await heard(server, TEXT, **asked) == said


async def test_an_accounts_own_words_are_said_at_once_and_by_nobody_else(server: Inside) -> None:
    entry = json_of(await put(server, "PT", {"Sampaio": "own", "Ana": " Â\u0303na "}))
    assert datetime.fromisoformat(entry.pop("changed_at")).tzinfo is UTC
    assert entry == {"object": "lexicon", "name": "pt", "owner": "account", "size": 2, "revision": 1}
    assert await heard(server, language="pt-BR") == "Ẫna own, nginx."
    stranger = await server.ask(
        "POST",
        "/v1/audio/speech",
        key=await new_key(server, "bob"),
        body={"model": "tts-1", "voice": "alloy", "input": TEXT, "language": "pt", "response_format": "wav"},
    )
    assert decode(*decoded(stranger.content, "wav")) == ("Ana sam pie o, nginx.",)
    assert (await put(server, "pt", {"Ana": "again"})).json()["revision"] == 2
    assert await heard(server, language="pt") == "again sam pie o, nginx."
    assert (await server.ask("DELETE", "/v1/lexicons/pt")).json() == {
        "object": "lexicon.deleted",
        "name": "pt",
        "deleted": True,
    }
    assert await heard(server, language="pt") == "Ana sam pie o, nginx."


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("name", ["nobody", "none", "a%20b", "x" * 200])
async def test_a_lexicon_that_is_not_there_is_a_404(server: Inside, method: str, name: str) -> None:
    answer = await server.ask(method, f"/v1/lexicons/{name}")
    error = envelope(answer)
    assert (answer.status_code, error["code"], error["param"]) == (404, "lexicon_not_found", "lexicon")
    assert len(error["message"]) < 200


@pytest.mark.parametrize(
    ("name", "words", "param"),
    [
        ("none", {"a": "b"}, "name"),
        ("a%20b", {"a": "b"}, "name"),
        ("pt", {"a": "canary\n"}, "words"),
        ("pt", {"canary" * 20: "b"}, "words"),
        ("pt", {"canary": ""}, "words"),
        ("pt", {"canary": "/<>/"}, "words"),
        ("pt", {str(number): "b" for number in range(1001)}, "words"),
        ("pt", {"a": 1}, "words"),
        ("pt", ["canary"], "words"),
        ("pt", None, "words"),
    ],
)
async def test_a_lexicon_that_cannot_be_kept_is_refused_without_showing_it(
    server: Inside, name: str, words: object, param: str
) -> None:
    answer = await put(server, name, words)
    error = envelope(answer)
    assert (answer.status_code, error["param"]) == (400, param)
    assert "canary" not in error["message"]
    assert all(each["owner"] == "server" for each in (await server.ask("GET", "/v1/lexicons")).json()["data"])


async def test_a_lexicon_may_be_as_large_as_it_says(server: Inside) -> None:
    words = {f"{number:04}{'ก' * 96}": "ข" * 200 for number in range(1000)}
    assert (await put(server, "large", words)).json()["size"] == 1000
    too_large = await put(server, "large", {"a": "b" * 3_000_000})
    assert (too_large.status_code, envelope(too_large)["code"]) == (413, "request_too_large")


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ("nobody", "lexicon_not_found"),
        ("x" * 999, "lexicon_not_found"),
        ({"": "x"}, "invalid_value"),
        ({"canary": "a\x07"}, "invalid_value"),
        ({str(number): "x" for number in range(101)}, "invalid_value"),
        ({"a": 1}, "invalid_value"),
        (["canary"], "invalid_value"),
        (True, "invalid_value"),
    ],
)
async def test_a_request_that_asks_for_a_lexicon_wrongly_is_told_so(
    server: Inside, wanted: object, code: str
) -> None:
    answer = await server.speech(lexicon=wanted)
    error = envelope(answer)
    assert (answer.status_code, error["param"], error["code"]) == (400, "lexicon", code)
    assert "canary" not in error["message"]
    assert len(error["message"]) < 250


async def test_a_closed_account_gets_no_lexicon(server: Inside) -> None:
    await accounts.create(server.worker.store, name="bob", plan="unlimited")
    await server.administer("DELETE", "accounts/bob")
    answer = await server.administer("PUT", "lexicons/pt", {"account": "bob", "words": {"a": "b"}})
    assert (answer.status_code, envelope(answer)["param"]) == (409, "account")
