"""The recordings of a voice: added with their emotions, listed, exported, and deleted one by one."""

import asyncio
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import httpx2
import pytest

from policies.text_tags import EMOTIONS
from proxy.features.own_voices import clips
from proxy.features.own_voices.clips import MOST_RECORDINGS
from proxy.file_store.objects import is_recording
from proxy.file_store.vault import Vault, VaultFailed
from tests import speech_clips
from tests.features.erasure.erasing import erasure_of
from tests.proxy.api.inside import TONE, Inside, envelope, inside_fixture
from tests.proxy.api.owning import agree, clone, new_key, send
from tests.replies import json_of

CONFIG = f"""{TONE}
[plans.open]
consent = "waived"
"""

server = inside_fixture(CONFIG)


async def add(
    server: Inside, voice: str, sample: bytes | None = None, *, once: str | None = None, **fields: Any
) -> httpx2.Response:
    key = fields.pop("key", None)
    fields = {"emotion": "neutral"} | fields
    path = f"/v1/audio/voices/{voice}/samples"
    return await send(server, fields, sample, key, path=path, file="file", once=once)


async def added(server: Inside, voice: str, number: int = 0, **fields: Any) -> dict[str, Any]:
    return json_of(await add(server, voice, other_wav(number), **fields), 201)


def other_wav(number: int = 0) -> bytes:
    """Another recording of the same speaker: a little longer, by as many samples."""
    wav = speech_clips.wav()
    more = bytes(2 * (100 + number))
    size = len(wav) + len(more)
    at = wav.index(b"data") + 4
    data = int.from_bytes(wav[at : at + 4], "little") + len(more)
    riff = wav[:4] + (size - 8).to_bytes(4, "little") + wav[8:at] + data.to_bytes(4, "little")
    return riff + wav[at + 4 :] + more


async def listed(server: Inside, voice: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json_of(await server.ask("GET", f"/v1/audio/voices/{voice}/samples"))["data"]
    return rows


def recordings(folder: Path) -> list[Path]:
    files = [path for path in (folder / "data" / "voices").rglob("*") if path.is_file()]
    return [path for path in files if is_recording(f"{path.parent.name}/{path.name}")]


async def test_a_voice_has_more_recordings(server: Inside) -> None:
    voice = await clone(server, ref_text="Good morning.")
    sad = await added(server, voice["id"], 1, emotion="sad", ref_text="Oh no.")
    plain = await added(server, "Ana", 2, emotion="neutral")
    assert (sad["object"], sad["emotion"], sad["ref_text"]) == ("audio.voice.sample", "sad", "Oh no.")
    assert sad["id"].startswith("clip_")
    assert sad["quality"]["rating"] in ("high", "medium", "low")
    first, *rest = await listed(server, voice["id"])
    assert rest == [sad, plain]
    assert (first["emotion"], first["ref_text"], plain["emotion"]) == (None, "Good morning.", None)
    entry = (await server.ask("GET", f"/v1/audio/voices/{voice['id']}")).json()
    assert entry == {**voice, "emotions": ["sad"]}
    assert "emotions" not in voice
    context = server.worker.open_features.context
    (saved,) = await context.own_voices.of_account(server.account.id)
    assert [(each.tag, each.text) for each in saved.voice.samples] == [
        ("", "Good morning."),
        ("sad", "Oh no."),
        ("", ""),
    ]
    assert [id_ for id_, _ in saved.voice.clips] == [sad["id"], plain["id"]]
    assert saved.row.revision == 3


async def test_what_names_a_person_is_in_no_column_of_a_clip(server: Inside) -> None:
    voice = await clone(server)
    await added(server, voice["id"], ref_text="My name is Ana.")
    rows = await server.worker.store.read("SELECT * FROM samples")
    assert "Ana" not in str(rows)


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"emotion": ""}, "missing_required_parameter", "emotion"),
        ({"emotion": "furious"}, "invalid_value", "emotion"),
        ({"emotion": "x" * 200}, "invalid_value", "emotion"),
        ({"ref_text": "x" * 1001}, "invalid_value", "ref_text"),
    ],
)
async def test_what_is_wrong_is_refused_by_its_field(
    server: Inside, fields: dict[str, Any], code: str, param: str
) -> None:
    voice = await clone(server)
    answer = await add(server, voice["id"], **fields)
    assert (answer.status_code, envelope(answer)["code"]) == (400, code)
    assert envelope(answer)["param"] == param
    if code == "invalid_value" and param == "emotion":
        assert all(emotion in envelope(answer)["message"] for emotion in EMOTIONS)
    assert len(await listed(server, voice["id"])) == 1


async def test_bytes_that_are_no_recording_are_refused(server: Inside, tmp_path: Path) -> None:
    voice = await clone(server)
    answer = await add(server, voice["id"], b"RIFF, but no sound")
    assert (answer.status_code, envelope(answer)["code"]) == (400, "invalid_audio")
    assert envelope(answer)["param"] == "file"
    async with server.client() as client:
        path = f"/v1/audio/voices/{voice['id']}/samples"
        bare = await client.post(path, files={"emotion": (None, b"Sad")})
        mute = await client.post(path, files={"file": speech_clips.wav()})
    assert (bare.status_code, envelope(bare)["param"]) == (400, "file")
    assert (mute.status_code, envelope(mute)["param"]) == (400, "emotion")
    assert len(recordings(tmp_path)) == 1


async def test_only_a_voice_of_the_account_that_was_made_of_a_recording_has_some(server: Inside) -> None:
    body = {"name": "talk", "cast": {"A": "alloy"}}
    cast = (await server.ask("POST", "/v1/audio/voices", body=body)).json()["id"]
    other = (await clone(server, key=await new_key(server, "eve")))["id"]
    for voice, status, code in (
        (cast, 400, "invalid_value"),
        (other, 404, "voice_not_found"),
        ("alloy", 404, "voice_not_found"),
        ("nobody", 404, "voice_not_found"),
    ):
        path = f"/v1/audio/voices/{voice}/samples"
        for answer in (
            await add(server, voice),
            await server.ask("GET", path),
            await server.ask("DELETE", f"{path}/clip_0"),
        ):
            assert (answer.status_code, envelope(answer)["code"]) == (status, code), voice
            assert envelope(answer)["param"] == "voice"


async def test_a_clip_is_deleted_alone_and_has_a_receipt(server: Inside, tmp_path: Path) -> None:
    voice = await clone(server)
    one, two = [await added(server, voice["id"], number, emotion="happy") for number in (1, 2)]
    path = f"/v1/audio/voices/{voice['id']}/samples"
    assert len(recordings(tmp_path)) == 3
    gone = await server.ask("DELETE", f"{path}/{one['id']}")
    assert gone.json() == {"object": "audio.voice.sample.deleted", "id": one["id"], "deleted": True}
    assert [row["id"] for row in await listed(server, voice["id"])][1:] == [two["id"]]
    assert len(recordings(tmp_path)) == 2
    receipt = await server.ask("GET", f"/v1/audio/voices/erasures/{one['id']}")
    assert (receipt.status_code, receipt.json()["pending"]) == (200, [])
    again = await server.ask("DELETE", f"{path}/{one['id']}")
    assert (again.status_code, envelope(again)["code"]) == (404, "sample_not_found")
    spoken = await server.speech(voice=voice["id"])
    assert spoken.status_code == 200
    entry = (await server.ask("GET", f"/v1/audio/voices/{voice['id']}")).json()
    assert entry["emotions"] == ["happy"]


async def test_the_first_recording_goes_only_with_its_voice(server: Inside, tmp_path: Path) -> None:
    voice = await clone(server)
    clip = await added(server, voice["id"])
    first, _ = await listed(server, voice["id"])
    path = f"/v1/audio/voices/{voice['id']}/samples"
    refused = await server.ask("DELETE", f"{path}/{first['id']}")
    assert (refused.status_code, envelope(refused)["param"]) == (409, "sample")
    assert "only with the voice" in envelope(refused)["message"]
    assert (await server.ask("DELETE", f"/v1/audio/voices/{voice['id']}")).status_code == 200
    assert recordings(tmp_path) == []
    assert await server.worker.store.read("SELECT * FROM samples") == []
    unknown = await server.ask("GET", f"/v1/audio/voices/erasures/{clip['id']}")
    assert unknown.status_code == 404, "it went with its voice"


async def test_a_clip_of_another_voice_is_not_deleted_by_this_one(server: Inside) -> None:
    one, other = await clone(server), await clone(server, "Ben")
    clip = await added(server, other["id"])
    answer = await server.ask("DELETE", f"/v1/audio/voices/{one['id']}/samples/{clip['id']}")
    assert (answer.status_code, envelope(answer)["code"]) == (404, "sample_not_found")
    assert len(await listed(server, other["id"])) == 2


async def test_the_same_recording_stays_as_long_as_a_row_names_it(server: Inside, tmp_path: Path) -> None:
    voice = await clone(server)
    answer = await add(server, voice["id"], emotion="sad")
    assert answer.status_code == 201
    assert len(recordings(tmp_path)) == 1
    path = f"/v1/audio/voices/{voice['id']}/samples/{answer.json()['id']}"
    assert (await server.ask("DELETE", path)).status_code == 200
    assert len(recordings(tmp_path)) == 1
    assert (await server.speech(voice=voice["id"])).status_code == 200


async def test_two_at_once_are_both_added(server: Inside) -> None:
    voice = await clone(server)
    made = await asyncio.gather(*(added(server, voice["id"], number) for number in range(2)))
    assert {each["id"] for each in made} == {row["id"] for row in (await listed(server, voice["id"]))[1:]}


async def test_a_voice_has_room_for_no_more(server: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST_RECORDINGS == 25
    monkeypatch.setattr(clips, "MOST_RECORDINGS", 2)
    voice = await clone(server)
    await added(server, voice["id"])
    refused = await add(server, voice["id"], other_wav(3))
    assert (refused.status_code, envelope(refused)["code"]) == (403, "too_many_samples")


async def test_an_export_has_all_with_their_emotions(server: Inside) -> None:
    voice = await clone(server, ref_text="Good morning.")
    clip = await added(server, voice["id"], emotion="shout", ref_text="Hey!")
    answer = await server.ask("GET", f"/v1/audio/voices/{voice['id']}/export")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        first, shout = json.loads(archive.read("samples.json"))
        assert (first["text"], first["emotion"]) == ("Good morning.", "")
        assert (shout["text"], shout["emotion"], shout["id"]) == ("Hey!", "shout", clip["id"])
        assert archive.read(shout["file"])[:4] == b"RIFF"


async def test_a_key_of_a_try_adds_one_clip(server: Inside) -> None:
    voice = await clone(server)
    first = await add(server, voice["id"], emotion="sad", once="try-1")
    again = await add(server, voice["id"], emotion="sad", once="try-1")
    assert (again.content, again.headers["x-voxgate-replayed"]) == (first.content, "true")
    other = await clone(server, "Ben")
    for answer in (
        await add(server, voice["id"], emotion="happy", once="try-1"),
        await add(server, other["id"], emotion="sad", once="try-1"),
    ):
        assert (answer.status_code, envelope(answer)["code"]) == (422, "idempotency_key_reused")
    await server.ask("DELETE", f"/v1/audio/voices/{voice['id']}/samples/{first.json()['id']}")
    late = await add(server, voice["id"], emotion="sad", once="try-1")
    assert (late.status_code, envelope(late)["param"]) == (409, "Idempotency-Key")
    assert len(await listed(server, voice["id"])) == 1


async def test_an_equal_request_under_way_is_told(server: Inside) -> None:
    voice = await clone(server)
    answers = await asyncio.gather(*(add(server, voice["id"], once="try-1") for _ in range(2)))
    assert sorted(each.status_code for each in answers) in ([201, 201], [201, 409])
    assert len(await listed(server, voice["id"])) == 2


async def test_a_plan_that_requires_a_consent_by_now_wants_one(server: Inside) -> None:
    key = await new_key(server, "eve", "open")
    voice = (await send(server, {"name": "Eve"}, key=key)).json()["id"]
    assert (await add(server, voice, key=key)).status_code == 201
    await server.administer("POST", "accounts/eve", {"plan": "unlimited"})
    # What a key was allowed is known for some seconds.
    newer = (await server.administer("POST", "keys", {"account": "eve"})).json()["key"]
    refused = await add(server, voice, key=newer)
    assert (refused.status_code, envelope(refused)["code"]) == (400, "consent_required")


async def test_a_vault_that_is_full_leaves_no_row(
    server: Inside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    voice = await clone(server)

    async def refuse(account: str, plain: bytes) -> str:
        raise VaultFailed("no space left")

    monkeypatch.setattr(server.worker.open_features.context.find(Vault), "put", refuse)
    answer = await add(server, voice["id"])
    assert answer.status_code == 503
    assert len(await listed(server, voice["id"])) == 1
    assert len(recordings(tmp_path)) == 1


async def test_a_recording_whose_row_is_not_written_is_dropped(
    server: Inside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    voice = await clone(server)
    vault = server.worker.open_features.context.find(Vault)
    put = vault.put

    async def put_while_the_voice_goes(account: str, plain: bytes) -> str:
        digest = await put(account, plain)
        await erasure_of(server.worker).erase_voice(_Owned(voice["id"], account))
        return digest

    monkeypatch.setattr(vault, "put", put_while_the_voice_goes)
    answer = await add(server, voice["id"], other_wav())
    assert (answer.status_code, envelope(answer)["code"]) == (404, "voice_not_found")
    assert recordings(tmp_path) == []


class _Owned:
    def __init__(self, id_: str, account: str) -> None:
        self.id = id_
        self.account: str | None = account


async def test_an_operator_adds_lists_and_deletes(server: Inside) -> None:
    voice = await clone(server)
    path = f"/admin/voices/{voice['id']}/samples"
    fields = {"emotion": "sad", "ref_text": "Oh no, says Ana."}
    made = await send(server, fields, other_wav(), server.admin_key, path=path, file="file")
    assert made.status_code == 201, made.text
    by_name = await server.administer("GET", f"voices/Ana/samples?account={server.account.id}")
    assert by_name.json()["data"][1] == made.json()
    gone = await server.administer("DELETE", f"voices/{voice['id']}/samples/{made.json()['id']}")
    assert gone.status_code == 200
    acts = (await server.administer("GET", "audit")).json()["data"]
    about = [(act["action"], act["subject"]) for act in acts if act["action"].startswith("sample.")]
    assert about == [("sample.deleted", made.json()["id"]), ("sample.created", made.json()["id"])]
    assert "Ana" not in str(acts)
    body = {"name": "all", "cast": {"A": "alloy"}}
    await server.administer("POST", "voices", body)
    refused = await send(
        server, {"emotion": "sad"}, key=server.admin_key, path="/admin/voices/all/samples", file="file"
    )
    assert (refused.status_code, envelope(refused)["param"]) == (400, "voice")


async def test_a_consent_that_the_voice_needs_is_still_there(server: Inside) -> None:
    consent = (await agree(server))["id"]
    voice = (await send(server, {"name": "Ana", "consent": consent})).json()["id"]
    await added(server, voice)
    refused = await server.ask("DELETE", f"/v1/audio/voice_consents/{consent}")
    assert refused.status_code == 409
