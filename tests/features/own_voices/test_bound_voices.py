"""A name that the operator gives to an engine's voice: tried against its list, heard by everybody."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from proxy.storage.store import Statement
from speech_engine import EngineVoice, ModelInfo, VoiceInfo
from tests.proxy.api.inside import TONE, Inside, envelope, inside
from tests.proxy.api.owning import new_key
from tests.proxy.api.scripted import Scripted, spoken
from tests.replies import json_of
from tests.tables import each_row


class Listing(Scripted):
    """It knows some of its voices, as a provider that shows only a part of its library."""

    unlisted_voices = None


class Starting(Scripted):
    def models(self) -> tuple[ModelInfo, ...]:
        return ()

    def voices(self) -> tuple[VoiceInfo, ...]:
        return ()


ENGINES = "\n[engines.listing]\n[engines.starting]\n"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Inside]:
    engines = {"listing": Listing(*spoken(0.5)), "starting": Starting()}
    async with inside(tmp_path, TONE + ENGINES, engines) as opened:
        yield opened


async def bind(server: Inside, bindings: object, **more: object) -> Any:
    return await server.administer("POST", "voices", {"name": "Narrator", "bindings": bindings, **more})


async def test_everybody_speaks_with_it_by_its_name(server: Inside) -> None:
    row = json_of(await bind(server, {"tone": "tone"}, language="en", gender="female", tags=["calm"]), 201)
    assert (row["type"], row["account"], row["bindings"], row["reasons"]) == (
        "catalogue",
        None,
        {"tone": "tone"},
        [],
    )
    key = await new_key(server, "bob")
    for name in ("Narrator", row["id"]):
        body = {"model": "tone", "voice": name, "input": "Hello."}
        assert (await server.ask("POST", "/v1/audio/speech", body=body, key=key)).status_code == 200
    listed = (await server.ask("GET", "/v1/audio/voices", key=key)).json()["data"]
    (entry,) = [each for each in listed if each["name"] == "Narrator"]
    assert (entry["type"], entry["engines"], entry["language"]) == ("catalogue", ["tone"], "en")
    audited, *_ = (await server.administer("GET", "audit")).json()["data"]
    assert audited["subject"] == row["id"]
    assert audited["details"] == {"bindings": {"tone": "tone"}, "name": "Narrator"}
    assert (await server.administer("DELETE", "voices/Narrator")).status_code == 200
    body = {"model": "tone", "voice": "Narrator", "input": "Hello."}
    assert (await server.ask("POST", "/v1/audio/speech", body=body, key=key)).status_code == 400


@each_row(
    ("body", "status", "param", "says"),
    [
        (
            {"bindings": {"tone": "tnoe"}},
            400,
            "bindings.tone",
            "'tone' has no voice 'tnoe'. Did you mean tone",
        ),
        ({"bindings": {"nobody": "tone"}}, 400, "bindings", "There is no engine 'nobody'"),
        ({"bindings": {"starting": "v"}}, 503, None, "The engine 'starting' is not available right now."),
        ({"bindings": {}}, 400, "bindings", ""),
        ({"bindings": {"tone": ""}}, 400, "bindings", ""),
        ({"bindings": {"tone": "tone"}, "cast": {"Ana": "alloy"}}, 400, "bindings", "one of them"),
        ({"bindings": {"tone": "tone"}, "account": "ada"}, 400, "account", "for everybody"),
        ({"bindings": {"tone": "tone"}, "name": "alloy"}, 409, "name", "is a voice of the server"),
    ],
)
async def test_what_is_not_there_is_refused_by_its_field(
    server: Inside, body: dict[str, Any], status: int, param: str | None, says: str
) -> None:
    answer = await server.administer("POST", "voices", {"name": "Narrator", **body})
    error = envelope(answer)
    assert (answer.status_code, error["param"]) == (status, param), error
    assert says in error["message"]
    assert (await server.administer("GET", "voices")).json()["data"] == []


async def test_a_voice_that_no_list_shows_is_taken_with_a_word(server: Inside) -> None:
    made = await bind(server, {"listing": "hidden"})
    assert made.status_code == 201
    assert made.json()["reasons"] == [
        "'listing' does not list all its voices, and 'hidden' is not in its list."
    ]
    body = {"model": "listing/m", "voice": "Narrator", "input": "Hello."}
    assert (await server.ask("POST", "/v1/audio/speech", body=body)).status_code == 200


async def test_a_persons_clone_gets_no_name_for_everybody(server: Inside) -> None:
    await server.worker.store.write(
        Statement(
            "INSERT INTO bindings (id, voice, account, revision, engine, credential, engine_voice, state) "
            "VALUES ('bind_1', 'voice_1', 'acc_1', 1, 'tone', 'default', 'tone', 'ready')"
        )
    )
    error = envelope(await bind(server, {"tone": "tone"}))
    assert (error["param"], error["code"]) == ("bindings.tone", "invalid_value")


class NewVoices(Scripted):
    """It lists a new voice after its first use, as MiniMax does."""

    tries_unknown_voices = True


async def test_a_name_of_the_documentation_is_there_once_it_is_bound(tmp_path: Path) -> None:
    config = f'{TONE}[engines.minimax]\n[models]\nnew = ["minimax/m"]\n'.replace("[models]\ntone", "#")
    engine, name = NewVoices(*spoken(0.5)), "nigerian-male"
    speech = {"model": "minimax/m", "voice": name, "input": "Hello."}
    async with inside(tmp_path, config, {"minimax": engine}) as server:
        path = f"/v1/audio/voices/{name}"
        for unbound in (
            await server.ask("POST", "/v1/audio/speech", body=speech),
            await server.ask("GET", path),
        ):
            error = envelope(unbound)
            assert (error["param"], error["code"]) == ("voice", "voice_not_found")
            assert "voxgate voices add nigerian-male --bind minimax=ID" in error["message"]
        assert name not in (await server.ask("GET", "/v1/audio/voices?format=names")).json()["data"]
        assert name not in str((await server.administer("GET", "voices")).json())
        row = json_of(await bind(server, {"minimax": "lagos-1"}, name=name), 201)
        assert (row["language"], row["gender"], len(row["reasons"])) == ("en-NG", "male", 1)
        assert (await server.ask("POST", "/v1/audio/speech", body=speech)).status_code == 200
        assert [job.voice for job in engine.jobs] == [EngineVoice("lagos-1")]
        listed = (await server.ask("GET", "/v1/audio/voices")).json()["data"]
        assert [each["engines"] for each in listed if each["name"] == name] == [["minimax"]]
    # What the operator writes into the file comes first.
    config += f'[voices.{name}]\nminimax = "v"\n'
    async with inside(tmp_path, config, {"minimax": engine}, name="ben") as server:
        assert (await server.ask("POST", "/v1/audio/speech", body=speech)).status_code == 200
        assert engine.jobs[-1].voice == EngineVoice("v")
        listed = (await server.ask("GET", "/v1/audio/voices")).json()["data"]
        assert [each["id"] for each in listed if each["name"] == name] == [name]
        assert (await server.administer("DELETE", f"voices/{name}")).status_code == 200
