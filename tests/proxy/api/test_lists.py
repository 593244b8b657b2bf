"""Models and voices as clients list them, and who may."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.proxy.api.inside import TONE, Inside, envelope, inside
from tests.tables import each_row

VOICES = """
[voices.ana]
tone = "tone"
language = "pt-BR"
gender = "female"
[voices.bea]
tone = "tone"
language = "pt"
[voices.chai]
tone = "tone"
language = "th"
gender = "male"
"""


async def test_models_are_the_aliases_and_what_the_engines_have(server: Inside) -> None:
    body = (await server.ask("GET", "/v1/models")).json()
    assert body["object"] == "list"
    by_id = {model["id"]: model for model in body["data"]}
    assert by_id["tts-1"]["owned_by"] == "voxgate"
    assert by_id["tone/standard"]["owned_by"] == "tone"
    for model in body["data"]:
        assert (model["object"], model["shutdown_date"]) == ("model", None)
        assert 1_700_000_000 < model["created"] < 2_000_000_000


@pytest.mark.parametrize("path", ["tts-1", "tone/standard", "tone%2Fstandard"])
async def test_a_model_is_found_by_its_id_with_the_slash_in_either_form(server: Inside, path: str) -> None:
    answer = await server.ask("GET", f"/v1/models/{path}")
    assert answer.json()["id"] == path.replace("%2F", "/")


async def test_an_unknown_model_is_a_404(server: Inside) -> None:
    answer = await server.ask("GET", "/v1/models/gpt-9")
    error = envelope(answer)
    assert (answer.status_code, error["code"], error["param"]) == (404, "model_not_found", "model")


async def test_audio_models_are_the_same_list_under_two_keys(server: Inside) -> None:
    body = (await server.ask("GET", "/v1/audio/models")).json()
    plain = (await server.ask("GET", "/v1/models")).json()
    assert body["data"] == body["models"]
    assert [model["id"] for model in body["models"]] == [model["id"] for model in plain["data"]]
    assert all(model["name"] == model["id"] for model in body["models"])


@pytest.mark.parametrize("path", ["/v1/audio/voices", "/v1/voices"])
async def test_voices_are_one_list_under_every_key_a_client_reads(server: Inside, path: str) -> None:
    body = (await server.ask("GET", path)).json()
    assert body["data"] == body["voices"]
    assert (body["object"], body["has_more"]) == ("list", False)
    ids = [voice["id"] for voice in body["voices"]]
    assert "alloy" in ids
    assert "tone/slow" in ids
    assert len(ids) == len(set(ids))
    for voice in body["voices"]:
        assert voice["id"] == voice["voice_id"] == voice["value"]
        assert voice["name"] == voice["label"] != ""
        assert (voice["object"], voice["engines"]) == ("audio.voice", ["tone"])


async def test_every_listed_voice_can_be_asked_for(server: Inside) -> None:
    for voice in (await server.ask("GET", "/v1/voices")).json()["data"]:
        assert (await server.ask("GET", f"/v1/audio/voices/{voice['id']}")).json() == voice
    answer = await server.ask("GET", "/v1/voices/nobody")
    error = envelope(answer)
    assert (answer.status_code, error["code"], error["param"]) == (404, "voice_not_found", "voice")


async def test_names_only_for_clients_that_want_texts(server: Inside) -> None:
    whole = (await server.ask("GET", "/v1/voices")).json()
    names = (await server.ask("GET", "/v1/voices?format=names")).json()
    assert names["voices"] == names["data"] == [voice["id"] for voice in whole["data"]]
    answer = await server.ask("GET", "/v1/voices?format=xml")
    assert (answer.status_code, envelope(answer)["param"]) == (400, "format")


@each_row(
    ("query", "found"),
    [
        ("", {"ana", "bea", "chai", "alloy"}),
        ("language=pt", {"ana", "bea", "alloy"}),
        ("language=PT-br", {"ana", "alloy"}),
        ("language=th", {"chai", "alloy"}),
        ("language=th&gender=female", set()),
        ("gender=Male", {"chai"}),
        ("language=&gender=", {"ana", "bea", "chai", "alloy"}),
        ("language=xx", {"alloy"}),
    ],
)
async def test_voices_are_filtered_by_language_and_gender(
    tmp_path: Path, query: str, found: set[str]
) -> None:
    async with inside(tmp_path, TONE + VOICES) as server:
        body = (await server.ask("GET", f"/v1/voices?{query}")).json()
    own = {voice["id"] for voice in body["data"] if "/" not in voice["id"]}
    assert own == found


async def test_voices_of_the_language_come_before_those_of_any(tmp_path: Path) -> None:
    async with inside(tmp_path, TONE + VOICES) as server:
        listed = [
            voice["language"] for voice in (await server.ask("GET", "/v1/voices?language=pt")).json()["data"]
        ]
        pages, after = [], ""
        for _ in listed:
            page = (await server.ask("GET", f"/v1/voices?language=pt&limit=1{after}")).json()["data"]
            pages += [voice["language"] for voice in page]
            after = f"&after={page[0]['id']}"
    assert listed == pages == sorted(listed, key=lambda tag: tag is None)
    assert None in listed


@each_row("path", ["/v1/models", "/v1/audio/models", "/v1/voices", "/v1/audio/voices"])
async def test_a_public_catalogue_is_listed_without_a_key(tmp_path: Path, path: str) -> None:
    public = TONE.replace("[server]", "[server]\npublic_catalogue = true")
    async with inside(tmp_path, public) as server:
        listed = await server.ask("GET", path, key="")
        with_bad_key = await server.ask("GET", path, key="sk-wrong")
        spoken = await server.ask("POST", "/v1/audio/speech", key="", body={})
        written = await server.ask("POST", path, key="")
    assert listed.status_code == 200
    assert listed.json()["data"]
    assert [with_bad_key.status_code, spoken.status_code, written.status_code] == [401, 401, 401]


async def test_the_catalogue_is_private_as_shipped(server: Inside) -> None:
    assert (await server.ask("GET", "/v1/models", key="")).status_code == 401
