"""Voices made of recordings: created, shown, changed, listed by pages, exported, deleted; and saved mixes."""

import asyncio
import io
import json
import zipfile

import pytest

from proxy.file_store.vault import Vault
from tests import speech_clips
from tests.proxy.api.inside import TONE, Inside, envelope, inside_fixture
from tests.proxy.api.owning import agree, clone, new_key, send
from tests.replies import json_of
from tests.tables import each_row

pytestmark = pytest.mark.slow

CONFIG = f"""{TONE}
[plans.small]
voices = 2
[plans.open]
consent = "waived"
voices_unused_days = 30
"""

server = inside_fixture(CONFIG)


async def test_a_recording_becomes_a_voice(server: Inside) -> None:
    consent = await agree(server)
    fields = {
        "name": "Ana",
        "consent": consent["id"],
        "type": "audio_sample",
        "language": "pt-BR",
        "gender": "female",
        "speaker_description": "A calm voice.",
        "tags[]": ["warm", "low"],
        "labels[accent]": "Bahian",
        "ref_text": speech_clips.TEXT,
    }
    answer = await send(server, fields)
    voice = answer.json()
    assert answer.status_code == 200, answer.text
    assert voice["id"].startswith("voice_")
    assert (voice["object"], voice["type"], voice["name"]) == ("audio.voice", "audio_sample", "Ana")
    assert (voice["language"], voice["gender"]) == ("pt-BR", "female")
    assert (voice["description"], voice["tags"]) == ("A calm voice.", ["warm", "low"])
    assert (voice["labels"], voice["consent"]) == ({"accent": "Bahian"}, consent["id"])
    assert voice["quality"]["rating"] in ("high", "medium", "low")
    for name in (voice["id"], "Ana"):
        assert (await server.ask("GET", f"/v1/audio/voices/{name}")).json() == voice
    listed = (await server.ask("GET", "/v1/audio/voices?mine=true")).json()
    assert listed["data"] == listed["voices"] == [voice]


async def test_a_voice_speaks_by_its_id_its_object_and_its_name(server: Inside) -> None:
    voice = await clone(server)
    for reference in (voice["id"], {"id": voice["id"]}, "Ana"):
        spoken = await server.speech(voice=reference, response_format="wav")
        assert spoken.status_code == 200, spoken.text
        assert spoken.headers["x-voxgate-voice"] == voice["id"]


@pytest.mark.parametrize(
    ("fields", "status", "code", "param"),
    [
        ({"consent": "cons_0"}, 404, "consent_not_found", "consent"),
        ({"consent": ""}, 400, "consent_required", "consent"),
        ({"type": "prompt"}, 400, "unsupported_value", "type"),
        ({"type": "song"}, 400, "invalid_value", "type"),
        ({"prompt": "A warm voice."}, 400, "unsupported_value", "prompt"),
        ({"script_hint": "Hello."}, 400, "unsupported_value", "script_hint"),
        ({"name": ""}, 400, "missing_required_parameter", "name"),
        ({"name": "a/b"}, 400, "invalid_value", "name"),
        ({"name": "alloy"}, 409, "conflict", "name"),
        ({"name": "taken"}, 409, "conflict", "name"),
        ({"language": "Portuguese"}, 400, "invalid_value", "language"),
        ({"labels": "no json"}, 400, "invalid_value", "labels"),
        ({"name": ["one", "two"]}, 400, "invalid_value", "name"),
    ],
)
async def test_what_is_wrong_is_refused_by_its_field(
    server: Inside, fields: dict[str, object], status: int, code: str, param: str
) -> None:
    consent = await agree(server)
    await server.ask("POST", "/v1/audio/voices", body={"name": "taken", "cast": {"A": "alloy"}})
    answer = await send(server, {"name": "Ana", "consent": consent["id"], **fields})
    error = envelope(answer)
    assert (answer.status_code, error["code"], error["param"]) == (status, code, param)
    if status == 409:
        assert answer.headers["x-should-retry"] == "false"
    assert len((await server.ask("GET", "/v1/voices?mine=true")).json()["data"]) == 1


async def test_bytes_that_are_no_recording_are_refused(server: Inside) -> None:
    consent = await agree(server)
    answer = await send(server, {"name": "Ana", "consent": consent["id"]}, b"RIFF, but no sound")
    error = envelope(answer)
    assert (answer.status_code, error["code"], error["param"]) == (400, "invalid_audio", "audio_sample")


async def test_ten_mebibytes_pass_and_one_byte_more_does_not(server: Inside) -> None:
    consent = await agree(server)
    sample = speech_clips.wav()
    rest = 10 * 1024 * 1024 - len(sample) - 8
    whole = sample + b"junk" + rest.to_bytes(4, "little") + bytes(rest)
    for extra, status in ((b"\0", 400), (b"", 200)):
        answer = await send(server, {"name": "Ana", "consent": consent["id"]}, whole + extra)
        assert answer.status_code == status, answer.text
        if status == 400:
            error = envelope(answer)
            assert (error["code"], error["param"]) == ("file_too_large", "audio_sample")


async def test_the_plan_may_waive_the_consent(server: Inside) -> None:
    key = await new_key(server, "eve", "open")
    voice = json_of(await send(server, {"name": "Eve"}, key=key))
    assert voice["consent"] is None
    # The plan erases it 30 days after it was made or last spoke.
    assert voice["expires_at"] - voice["created_at"] == 30 * 86_400


async def test_the_plan_has_room_for_no_more(server: Inside) -> None:
    key = await new_key(server, "eve", "small")
    consent = (await agree(server, key))["id"]
    answers = await asyncio.gather(
        *(send(server, {"name": f"v{number}", "consent": consent}, key=key) for number in range(3))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 200, 403]
    cast = {"name": "talk", "cast": {"A": "alloy"}}
    refused = await server.ask("POST", "/v1/audio/voices", key=key, body=cast)
    assert (refused.status_code, envelope(refused)["code"]) == (403, "too_many_voices")


async def test_a_voice_is_changed_where_it_was_asked(server: Inside) -> None:
    voice = await clone(server, language="pt")
    change = {"name": "Ana Two", "tags": ["dark"], "labels": {"a": "b"}, "language": "", "gender": "female"}
    changed = await server.ask("POST", f"/v1/audio/voices/{voice['id']}", body=change)
    assert changed.status_code == 200, changed.text
    expected = {**voice, **change, "label": "Ana Two", "title": "Ana Two", "language": None}
    assert changed.json() == expected
    assert (await server.ask("GET", "/v1/audio/voices/Ana")).status_code == 404
    assert (await server.ask("GET", "/v1/audio/voices/Ana%20Two")).json() == expected


@each_row("body", [{"voices": ["alloy"]}, "alloy+nova", {"name": "x"}, None])
async def test_the_combine_of_another_server_is_an_unknown_url(server: Inside, body: object) -> None:
    for root in ("/v1/audio/voices", "/v1/voices"):
        answer = await server.ask("POST", f"{root}/combine", body=body)
        assert (answer.status_code, envelope(answer)["code"]) == (404, "unknown_url")


async def test_a_change_is_refused_by_its_field(server: Inside) -> None:
    voice = await clone(server)
    await clone(server, "Ben")
    for change, status, param in (
        ({"name": "Ben"}, 409, "name"),
        ({"name": "alloy"}, 409, "name"),
        ({"cast": {"A": "alloy"}}, 400, "cast"),
        ({"mix": [{"id": "alloy"}, {"id": "tone/slow"}]}, 400, "mix"),
        ({"language": "?"}, 400, "language"),
    ):
        answer = await server.ask("POST", f"/v1/audio/voices/{voice['id']}", body=change)
        assert (answer.status_code, envelope(answer)["param"]) == (status, param), answer.text
    assert (await server.ask("GET", f"/v1/audio/voices/{voice['id']}")).json() == voice
    for wanted in ("alloy", "voice_nobody"):
        answer = await server.ask("POST", f"/v1/audio/voices/{wanted}", body={"name": "x"})
        assert (answer.status_code, envelope(answer)["code"]) == (404, "voice_not_found")


async def test_a_deleted_voice_is_gone_for_its_owner_too(server: Inside) -> None:
    voice = await clone(server)
    gone = await server.ask("DELETE", f"/v1/audio/voices/{voice['id']}")
    assert gone.json() == {"object": "audio.voice.deleted", "id": voice["id"], "deleted": True}
    for method, path in (("DELETE", ""), ("GET", ""), ("GET", "/preview"), ("GET", "/export"), ("POST", "")):
        body = {"name": "x"} if method == "POST" else None
        answer = await server.ask(method, f"/v1/audio/voices/{voice['id']}{path}", body=body)
        assert (answer.status_code, envelope(answer)["code"]) == (404, "voice_not_found"), path
    spoken = await server.speech(voice=voice["id"])
    assert (spoken.status_code, envelope(spoken)["code"]) == (400, "voice_not_found")
    assert (await clone(server))["id"] != voice["id"]


async def test_an_export_has_the_recording_as_it_was_sent(server: Inside) -> None:
    voice = await clone(server, ref_text=speech_clips.TEXT)
    answer = await server.ask("GET", f"/v1/audio/voices/{voice['id']}/export")
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert json.loads(archive.read("voice.json")) == voice
        (facts,) = json.loads(archive.read("samples.json"))
        assert facts["text"] == speech_clips.TEXT
        assert archive.read(facts["file"])[:4] == b"RIFF"


async def test_a_preview_speaks_in_the_voices_language(server: Inside) -> None:
    voice = await clone(server, language="pt-BR")
    heard = await server.ask("GET", f"/v1/audio/voices/{voice['id']}/preview?response_format=wav")
    assert (heard.status_code, heard.content[:4]) == (200, b"RIFF")
    assert heard.headers["x-voxgate-voice"] == voice["id"]
    assert heard.headers["x-voxgate-language"] == "pt-BR"
    assert [row.voice for row in await server.usage()] == [voice["id"]]
    listed = await server.ask("GET", "/v1/voices/tone/slow/preview")
    assert listed.status_code == 200


async def test_a_key_of_a_try_makes_one_voice(server: Inside) -> None:
    consent = (await agree(server))["id"]
    fields = {"name": "Ana", "consent": consent}
    first = await send(server, fields, once="try-1")
    again = await send(server, fields, once="try-1")
    assert (again.content, again.headers["x-voxgate-replayed"]) == (first.content, "true")
    other = await send(server, {**fields, "name": "Eve"}, once="try-1")
    assert (other.status_code, envelope(other)["code"]) == (422, "idempotency_key_reused")
    await server.ask("DELETE", f"/v1/audio/voices/{again.json()['id']}")
    late = await send(server, fields, once="try-1")
    assert (late.status_code, envelope(late)["param"]) == (409, "Idempotency-Key")


@pytest.mark.parametrize("field", ["prompt", "script_hint"])
async def test_an_operator_can_design_no_voice_either(server: Inside, field: str) -> None:
    fields = {"name": "Ana", "account": server.account.id, "consent": (await agree(server))["id"], field: "x"}
    answer = await send(server, fields, key=server.admin_key, path="/admin/voices")
    assert (answer.status_code, envelope(answer)["param"]) == (400, field)
    assert envelope(answer)["code"] == "unsupported_value"


async def test_a_key_that_made_a_cast_makes_nothing_else(server: Inside) -> None:
    once = {"idempotency-key": "try-1"}
    body = {"name": "two", "cast": {"A": "alloy"}}
    made = await server.ask("POST", "/v1/audio/voices", body=body, **once)
    again = await server.ask("POST", "/v1/audio/voices", body=body, **once)
    assert (again.content, again.headers["x-voxgate-replayed"]) == (made.content, "true")
    await server.ask("POST", f"/v1/audio/voices/{made.json()['id']}", body={"name": "new"})
    renamed = await server.ask("POST", "/v1/audio/voices", body=body, **once)
    assert (renamed.status_code, renamed.json()["name"]) == (200, "new")
    other = await server.ask("POST", "/v1/audio/voices", body={"name": "b", "cast": {"B": "alloy"}}, **once)
    recorded = await send(server, {"name": "Ana", "consent": (await agree(server))["id"]}, once="try-1")
    for answer in (other, recorded):
        assert (answer.status_code, envelope(answer)["code"]) == (422, "idempotency_key_reused")


async def test_a_mix_is_saved_as_a_voice(server: Inside) -> None:
    mix = [{"id": "alloy", "weight": 3}, {"id": "tone/slow", "weight": 1}]
    body = {"name": "blend", "mix": mix, "language": "pt", "labels": {"a": "b"}}
    answer = await server.ask("POST", "/v1/audio/voices", body=body)
    voice = answer.json()
    assert answer.status_code == 200, answer.text
    assert (voice["type"], voice["language"], voice["labels"]) == ("mix", "pt", {"a": "b"})
    assert voice["mix"] == [{"id": "alloy", "weight": 0.75}, {"id": "tone/slow", "weight": 0.25}]
    changed = await server.ask(
        "POST", f"/v1/voices/{voice['id']}", body={"mix": [{"id": "alloy"}, {"id": "tone/slow"}]}
    )
    assert [part["weight"] for part in changed.json()["mix"]] == [0.5, 0.5]


@pytest.mark.parametrize(
    ("mix", "param"),
    [
        ([{"id": "alloy"}], "mix"),
        ([{"id": "alloy"}, {"id": "nobody"}], "mix"),
        ([{"id": "alloy", "weight": 0}, {"id": "tone/slow"}], "mix"),
        ([{"id": "alloy", "weight": 1001}, {"id": "tone/slow"}], "mix"),
        ([{"id": "alloy"}, {"id": "tone/slow"}, {"id": "alloy"}], "mix"),
        ([{"id": "alloy"}] * 9, "mix"),
    ],
)
async def test_a_mix_that_is_none_is_refused(server: Inside, mix: list[object], param: str) -> None:
    answer = await server.ask("POST", "/v1/audio/voices", body={"name": "blend", "mix": mix})
    assert (answer.status_code, envelope(answer)["param"]) == (400, param)


async def test_the_list_goes_by_pages(server: Inside) -> None:
    for number in range(5):
        body = {"name": f"c{number}", "cast": {"A": "alloy"}}
        await server.ask("POST", "/v1/audio/voices", body=body)
    whole = (await server.ask("GET", "/v1/audio/voices")).json()
    assert whole["has_more"] is False
    seen: list[str] = []
    after = ""
    while True:
        page = (await server.ask("GET", f"/v1/audio/voices?limit=3&after={after}")).json()
        seen += [voice["id"] for voice in page["data"]]
        after = seen[-1]
        if not page["has_more"]:
            break
    assert seen == [voice["id"] for voice in whole["data"]]
    unknown = await server.ask("GET", "/v1/audio/voices?after=voice_nobody")
    assert (unknown.status_code, envelope(unknown)["param"]) == (400, "after")


async def test_the_list_is_filtered_by_engine_and_by_owner(server: Inside) -> None:
    await server.ask("POST", "/v1/audio/voices", body={"name": "own", "cast": {"A": "alloy"}})
    await server.administer("POST", "voices", {"name": "everybodys", "cast": {"A": "alloy"}})
    mine = (await server.ask("GET", "/v1/audio/voices?mine=true")).json()["data"]
    assert [voice["name"] for voice in mine] == ["own"]
    assert (await server.ask("GET", "/v1/audio/voices?engine=nobody")).json()["data"] == []
    spoken = (await server.ask("GET", "/v1/audio/voices?engine=tone")).json()["data"]
    assert "own" in [voice["name"] for voice in spoken]
    wrong = await server.ask("GET", "/v1/audio/voices?mine=perhaps")
    assert (wrong.status_code, envelope(wrong)["param"]) == (400, "mine")


async def test_a_recording_whose_consent_goes_meanwhile_is_not_kept(
    server: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    consent = (await agree(server))["id"]
    vault = server.worker.open_features.context.find(Vault)
    put = vault.put

    async def put_and_disagree(account: str, plain: bytes) -> str:
        digest = await put(account, plain)
        assert (await server.ask("DELETE", f"/v1/audio/voice_consents/{consent}")).status_code == 200
        return digest

    monkeypatch.setattr(vault, "put", put_and_disagree)
    answer = await send(server, {"name": "Ana", "consent": consent})
    assert (answer.status_code, envelope(answer)["code"]) == (404, "consent_not_found")
    assert await server.worker.store.read("SELECT digest FROM blobs") == []
