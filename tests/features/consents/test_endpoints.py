"""/v1/audio/voice_consents: kept, listed by pages, renamed, deleted while nobody needs them."""

from pathlib import Path

import pytest

from proxy.storage.store import Statement
from tests import speech_clips
from tests.proxy.api.inside import Inside, envelope, inside_fixture
from tests.proxy.api.owning import agree, clone, new_key, send
from tests.replies import json_of
from tests.tables import each_row

PATH = "/v1/audio/voice_consents"

server = inside_fixture()


async def test_a_statement_is_kept_with_who_brought_it(server: Inside) -> None:
    consent = await agree(server, providers=["tone"])
    assert consent["object"] == "audio.voice_consent"
    assert consent["id"].startswith("cons_")
    assert (consent["name"], consent["language"], consent["kind"]) == ("Ana", "pt-BR", "statement")
    assert (consent["statement"], consent["providers"]) == ("Ana agreed on paper.", ["tone"])
    assert consent["made_by"].startswith("key_")
    assert consent["words_checked"] is False
    assert (await server.ask("GET", f"{PATH}/{consent['id']}")).json() == consent


async def test_a_consent_has_the_usual_uses_unless_it_names_others(server: Inside) -> None:
    assert (await agree(server))["uses"] == ["speech", "conversion"]
    assert (await agree(server, uses=["training", "speech", "training"]))["uses"] == ["training", "speech"]
    fields = {"name": "Ana", "language": "en-US", "uses[]": ["training"]}
    assert (await send(server, fields, path=PATH, file="recording")).json()["uses"] == ["training"]


async def test_lists_of_a_form_may_be_json_as_the_pages_write_them(server: Inside) -> None:
    named = {"name": "Ana", "language": "en-US"}
    json = {**named, "uses": '["speech", "training"]', "providers": "[]"}
    answer = await send(server, json, path=PATH, file="recording")
    assert answer.status_code == 200, answer.text
    assert (answer.json()["uses"], answer.json()["providers"]) == (["speech", "training"], [])
    repeated = {**named, "uses": ["speech", "training"]}
    answer = await send(server, repeated, path=PATH, file="recording")
    assert answer.json()["uses"] == ["speech", "training"]


@each_row("uses", ["speech,training", '{"speech": 1}', '["speech", 1]', "[" * 60_000])
async def test_what_is_no_list_in_a_form_is_refused_by_its_field(server: Inside, uses: str) -> None:
    fields = {"name": "Ana", "language": "en-US", "uses": uses}
    answer = await send(server, fields, path=PATH, file="recording")
    assert (answer.status_code, envelope(answer)["param"]) == (400, "uses")


async def test_a_consent_of_before_has_the_usual_uses(server: Inside) -> None:
    id_ = (await agree(server))["id"]
    await server.worker.store.write(
        Statement(
            """
            INSERT INTO consents (id, account, kind, language, made_by, created, wrapped, sealed)
            SELECT 'cons_old', account, kind, language, made_by, created, wrapped, sealed FROM consents
            WHERE id = :id
            """,
            {"id": id_},
        )
    )
    assert (await server.ask("GET", f"{PATH}/cons_old")).json()["uses"] == ["speech", "conversion"]


async def test_a_voice_is_used_only_for_what_its_speaker_has_agreed_to(server: Inside) -> None:
    consent = await agree(server, uses=["training"])
    voice = await clone(server, consent=consent["id"])
    body = {"model": "tone/standard", "input": "Hello.", "voice": voice["id"]}
    answer = await server.ask("POST", "/v1/audio/speech", body=body)
    assert (answer.status_code, envelope(answer)["code"]) == (403, "consent_not_given")
    assert envelope(answer)["message"] == "The consent of the voice 'Ana' does not name speech."


async def test_a_recording_is_kept_by_its_digest(server: Inside) -> None:
    fields = {"name": "Ana", "language": "en-US", "providers[]": ["tone"]}
    answer = await send(server, fields, path=PATH, file="recording")
    consent = answer.json()
    assert answer.status_code == 200, answer.text
    assert (consent["kind"], consent["statement"], len(consent["digest"])) == ("recording", None, 64)
    assert consent["duration_seconds"] > 5
    assert consent["providers"] == ["tone"]


@each_row(
    ("change", "param"),
    [
        ({"name": None}, "name"),
        ({"language": None}, "language"),
        ({"language": "Klingon"}, "language"),
        ({"statement": None}, "recording"),
        ({"providers": ["nobody"]}, "providers"),
        ({"providers": "tone"}, "providers"),
        ({"uses": []}, "uses"),
        ({"uses": ["speech", "singing"]}, "uses"),
        ({"statement": "x" * 2001}, "statement"),
    ],
)
async def test_what_is_wrong_is_refused_by_its_field(
    server: Inside, change: dict[str, object], param: str
) -> None:
    body = {"name": "Ana", "language": "pt", "statement": "Yes.", **change}
    answer = await server.ask("POST", PATH, body=body)
    assert (answer.status_code, envelope(answer)["param"]) == (400, param)


async def test_an_operator_hears_the_recording_of_a_consent_and_the_audit_says_so(server: Inside) -> None:
    fields = {"name": "Ana", "language": "en-US"}
    recorded = json_of(await send(server, fields, path=PATH, file="recording"))["id"]
    heard = await server.administer("GET", f"consents/{recorded}/recording")
    assert (heard.headers["content-type"], heard.content[:4], len(heard.content) > 10_000) == (
        "audio/wav",
        b"RIFF",
        True,
    )
    stated = (await agree(server))["id"]
    assert (await server.administer("GET", f"consents/{stated}/recording")).status_code == 404
    assert (await server.ask("GET", f"/admin/consents/{recorded}/recording")).status_code == 403
    acts = json_of(await server.administer("GET", "audit"))["data"]
    assert [each["subject"] for each in acts if each["action"] == "consent.exported"] == [recorded]


async def test_a_recording_of_more_than_a_minute_is_no_consent(server: Inside) -> None:
    fields = {"name": "Ana", "language": "en"}
    answer = await send(server, fields, speech_clips.long_wav(), path=PATH, file="recording")
    assert (answer.status_code, envelope(answer)["param"]) == (400, "recording")
    assert "more than 60 seconds" in envelope(answer)["message"]
    assert (await server.ask("GET", PATH)).json()["data"] == []


async def test_an_account_at_its_limit_is_told_before_its_recording_is_read_and_others_go_on(
    server: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.features.consents.consent_store.MOST_CONSENTS", 1)
    await agree(server)
    fields = {"name": "Ana", "language": "en"}
    answer = await send(server, fields, b"no sound", path=PATH, file="recording")
    assert (answer.status_code, envelope(answer)["code"]) == (403, "too_many_consents")
    other = await new_key(server, "other")
    await agree(server, other)
    answer = await server.ask("POST", PATH, key=other, body={**fields, "statement": "Yes."})
    assert (answer.status_code, envelope(answer)["code"]) == (403, "too_many_consents")


async def test_consents_go_by_pages(server: Inside) -> None:
    made = [(await agree(server, name=f"c{number}"))["id"] for number in range(5)]
    first = (await server.ask("GET", f"{PATH}?limit=3")).json()
    assert [each["id"] for each in first["data"]] == made[:1:-1]
    assert (first["first_id"], first["last_id"], first["has_more"]) == (made[4], made[2], True)
    rest = (await server.ask("GET", f"{PATH}?limit=3&after={made[2]}")).json()
    assert ([each["id"] for each in rest["data"]], rest["has_more"]) == ([made[1], made[0]], False)
    for query, param in (
        ("after=cons_0", "after"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
    ):
        answer = await server.ask("GET", f"{PATH}?{query}")
        assert (answer.status_code, envelope(answer)["param"]) == (400, param)
    empty = (await server.ask("GET", PATH, key=await new_key(server, "eve"))).json()
    assert (empty["data"], empty["first_id"], empty["last_id"]) == ([], None, None)


async def test_a_consent_gets_another_name(server: Inside) -> None:
    consent = await agree(server)
    renamed = await server.ask("POST", f"{PATH}/{consent['id']}", body={"name": "Bea"})
    assert renamed.json() == {**consent, "name": "Bea"}
    assert (await server.ask("GET", f"{PATH}/{consent['id']}")).json() == renamed.json()
    missing = await server.ask("POST", f"{PATH}/cons_0", body={"name": "Bea"})
    assert (missing.status_code, envelope(missing)["code"]) == (404, "consent_not_found")


async def test_a_consent_is_deleted_when_no_voice_needs_it(server: Inside) -> None:
    voice = await clone(server)
    path = f"{PATH}/{voice['consent']}"
    needed = await server.ask("DELETE", path)
    assert (needed.status_code, needed.headers["x-should-retry"]) == (409, "false")
    assert voice["id"] in envelope(needed)["message"]
    await server.ask("DELETE", f"/v1/audio/voices/{voice['id']}")
    gone = await server.ask("DELETE", path)
    assert gone.json() == {"object": "audio.voice_consent", "id": voice["consent"], "deleted": True}
    for method in ("GET", "DELETE"):
        again = await server.ask(method, path)
        assert (again.status_code, envelope(again)["code"]) == (404, "consent_not_found")


async def test_the_phrase_is_told_in_a_language(server: Inside) -> None:
    told = (await server.ask("GET", f"{PATH}/phrases?language=en")).json()
    assert told["object"] == "audio.voice_consent.phrase"
    assert "consent" in told["phrase"]
    assert {"en", "pt", "th"} <= {*told["languages"]}
    missing = await server.ask("GET", f"{PATH}/phrases?language=tlh")
    assert (missing.status_code, envelope(missing)["param"]) == (404, "language")


async def test_what_was_said_is_in_no_column(server: Inside) -> None:
    await agree(server, name="Ana Maria", statement="I, Ana Maria, agree.")
    rows = await server.worker.store.read("SELECT * FROM consents")
    assert "Maria" not in str(rows)


async def test_what_an_administrator_does_with_consents_and_recordings_leaves_a_trace(server: Inside) -> None:
    account = server.account.id
    body = {"account": account, "name": "Ana", "language": "en", "statement": "On paper."}
    made = (await server.administer("POST", "consents", body)).json()["id"]
    voice = await clone(server)
    assert (await server.administer("GET", f"voices/{voice['id']}/export")).status_code == 200
    refused = await server.administer("DELETE", f"consents/{voice['consent']}")
    assert refused.status_code == 409
    assert (await server.administer("DELETE", f"consents/{made}")).status_code == 200
    acts = (await server.administer("GET", f"audit?account={account}")).json()["data"]
    assert [(act["action"], act["subject"], act["details"]) for act in acts] == [
        ("consent.deleted", made, {}),
        ("voice.exported", voice["id"], {}),
        ("consent.created", made, {}),
    ]


async def test_a_consent_that_could_not_be_written_leaves_no_recording(
    server: Inside, tmp_path: Path
) -> None:
    refuse = "CREATE TRIGGER no BEFORE INSERT ON consents BEGIN SELECT RAISE(ABORT, 'no'); END"
    await server.worker.store.write(Statement(refuse))
    answer = await send(server, {"name": "Ana", "language": "en"}, path=PATH, file="recording")
    assert answer.status_code == 503
    assert [path for path in (tmp_path / "data" / "voices").rglob("*") if path.is_file()] == []
