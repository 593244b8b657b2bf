"""POST /v1/me: a preferred voice, by session or key, and what a person sets for itself."""

from typing import Any, get_args

import msgspec

from proxy.features.mail.texts import all_texts
from proxy.features.users.own_account import MeChange
from proxy.storage.rows import new_id
from tests.features.users.people import PEOPLE, person
from tests.proxy.api.inside import TONE, Inside, envelope, inside_fixture
from tests.replies import json_of
from tests.tables import each_row

_CONFIG = f'{TONE}[engines.other]\nplugin = "tone"\nhosted = false\n[voices.bel]\ntone = "tone"\n' + (
    '[voices.far]\nother = "tone"\n[plans.narrow]\nengines = ["tone"]\n'
)


server = inside_fixture(_CONFIG + PEOPLE, plan="narrow")


async def test_a_key_sets_the_preferred_voice_and_the_next_request_has_it(server: Inside) -> None:
    made = json_of(
        await server.ask("POST", "/v1/audio/voices", body={"name": "stage", "cast": {"A": "alloy"}})
    )
    for name, stored in (("bel", "bel"), ("stage", made["id"]), (made["id"], made["id"]), ("tone/tone",) * 2):
        me = json_of(await server.ask("POST", "/v1/me", body={"preferred_voice": name}))
        assert me["preferred_voice"] == stored
        spoken = await server.ask("POST", "/v1/audio/speech", body={"model": "tts-1", "input": "Hi."})
        assert spoken.headers["x-voxgate-voice"] == stored
    assert me["voices_used"] == 1
    assert (
        json_of(await server.ask("POST", "/v1/me", body={"preferred_voice": None}))["preferred_voice"] is None
    )
    refused = await server.ask("POST", "/v1/audio/speech", body={"model": "tts-1", "input": "Hi."})
    assert (refused.status_code, envelope(refused)["param"]) == (400, "voice")
    (first, *_) = json_of(await server.administer("GET", f"audit?account={server.account.id}"))["data"]
    assert (first["action"], first["details"]) == ("account.preferred", {"preferred_voice": None})


async def test_an_account_has_favourite_voices_until_they_are_erased(server: Inside) -> None:
    made = json_of(
        await server.ask("POST", "/v1/audio/voices", body={"name": "stage", "cast": {"A": "alloy"}})
    )
    wanted = ["bel", "stage", "tone/tone", made["id"]]
    me = json_of(await server.ask("POST", "/v1/me", body={"favourite_voices": wanted}))
    assert me["favourite_voices"] == ["bel", made["id"], "tone/tone"]
    assert me["preferred_voice"] is None
    assert (await server.ask("DELETE", f"/v1/audio/voices/{made['id']}")).is_success
    assert json_of(await server.ask("GET", "/v1/me"))["favourite_voices"] == ["bel", "tone/tone"]
    me = json_of(await server.ask("POST", "/v1/me", body={"favourite_voices": []}))
    assert me["favourite_voices"] == []


async def test_a_person_sets_a_language_and_mails_and_no_key_does(
    server: Inside,
) -> None:
    ana, ben = await person(server, "ana"), await person(server, "ben")
    me = json_of(await ana.ask("POST", "/v1/me", {"language": "pt-BR"}))
    assert (me["user"]["language"], me["user"]["mails"]) == ("pt-BR", True)
    me = json_of(await ana.ask("POST", "/v1/me", {"mails": False}))
    assert (me["user"]["language"], me["user"]["mails"]) == ("pt-BR", False)
    assert json_of(await ben.ask("GET", "/v1/me"))["user"]["mails"] is True
    for body in ({"mails": True}, {"language": "es", "preferred_voice": "bel"}):
        refused = await server.ask("POST", "/v1/me", body=body, key=ana.key)
        assert (refused.status_code, envelope(refused)["code"]) == (403, "session_needed")
    me = json_of(await ana.ask("GET", "/v1/me"))
    assert (me["user"]["language"], me["preferred_voice"]) == ("pt-BR", None)


def test_the_languages_are_those_of_mails() -> None:
    (field,) = [each for each in msgspec.structs.fields(MeChange) if each.name == "language"]
    (choices,) = [get_args(each) for each in _literals(field.type)]
    assert sorted(choices) == sorted(all_texts())


def _literals(type_: Any) -> list[Any]:
    args = get_args(type_)
    inner = [found for each in args for found in _literals(each)]
    return [type_] if args and all(isinstance(each, str) for each in args) else inner


@each_row(
    "body, param, code",
    [
        ({}, "preferred_voice", "missing_required_parameter"),
        ({"preferred_voice": ""}, "preferred_voice", "invalid_value"),
        ({"preferred_voice": 5}, "preferred_voice", "invalid_value"),
        ({"preferred_voice": "nobody"}, "preferred_voice", "voice_not_found"),
        ({"preferred_voice": "a\x00b"}, "preferred_voice", "invalid_value"),
        ({"preferred_voice": "x" * 101}, "preferred_voice", "invalid_value"),
        ({"preferred_voice": "far"}, "preferred_voice", "voice_not_found"),
        ({"favourite_voices": ["bel", "nobody"]}, "favourite_voices", "voice_not_found"),
        ({"favourite_voices": ["far"]}, "favourite_voices", "voice_not_found"),
        ({"favourite_voices": ["bel"] * 101}, "favourite_voices", "invalid_value"),
        ({"favourite_voices": "bel"}, "favourite_voices", "invalid_value"),
        ({"mails": "yes"}, "mails", "invalid_value"),
        ({"language": "th"}, "language", "invalid_value"),
        ({"language": "x" * 100_000}, None, "request_too_large"),
    ],
)
async def test_a_bad_field_is_refused_by_its_name(
    server: Inside, body: dict[str, object], param: str | None, code: str
) -> None:
    ana = await person(server, new_id("ana"))
    refused = await ana.ask("POST", "/v1/me", body)
    failure = envelope(refused)
    assert (failure["param"], failure["code"]) == (param, code)
    assert json_of(await ana.ask("GET", "/v1/me"))["preferred_voice"] is None


async def test_a_voice_of_another_account_is_as_unknown_as_none(server: Inside) -> None:
    ana, ben = await person(server, "ana"), await person(server, "ben")
    made = json_of(await ana.ask("POST", "/v1/audio/voices", {"name": "stage", "cast": {"A": "alloy"}}))
    messages = []
    for name in (made["id"], made["id"][:-1] + "z"):
        refused = await ben.ask("POST", "/v1/me", {"preferred_voice": name})
        assert (refused.status_code, envelope(refused)["code"]) == (400, "voice_not_found")
        messages.append(envelope(refused)["message"].replace(name, ""))
    assert len({*messages}) == 1


@each_row("address", ["", "x@example.org", "a\r\nb@example.org", "a\x00@b.c", "x" * 100_000, 5, None])
async def test_a_wrong_address_closes_nothing(server: Inside, address: object) -> None:
    ana = await person(server, new_id("ana"))
    refused = await ana.ask("POST", "/v1/me/close", {"address": address})
    assert refused.status_code == (413 if len(str(address)) > 999 else 400), refused.text
    assert envelope(refused)["param"] == (None if len(str(address)) > 999 else "address")
    assert (await ana.ask("GET", "/v1/me")).status_code == 200
