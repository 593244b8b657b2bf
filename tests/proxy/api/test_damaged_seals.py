"""What cannot be opened any more: it is listed without its texts, it can be deleted, and it hides nothing."""

import pytest

from proxy.storage.store import Statement
from tests.features.erasure.erasing import erasure_of
from tests.proxy.api.inside import Inside, envelope, inside_fixture
from tests.proxy.api.owning import agree, clone

VOICES, CONSENTS = "/v1/audio/voices", "/v1/audio/voice_consents"

server = inside_fixture()


async def damage(server: Inside, table: str, id_: str) -> None:
    """Damage a row, as another server or a broken disk would."""
    await server.worker.store.write(
        Statement(f"UPDATE {table} SET sealed = 'AAAA' WHERE id = :id", {"id": id_})
    )
    erasure_of(server.worker).derived_data.memories[0].forget_voice("", ())


async def test_a_damaged_voice_is_listed_without_its_texts(server: Inside) -> None:
    damaged, other = await clone(server), await clone(server, "Bea")
    await damage(server, "voices", damaged["id"])
    listed = (await server.ask("GET", f"{VOICES}?mine=true")).json()["data"]
    assert {each["id"]: each["name"] for each in listed} == {damaged["id"]: damaged["id"], other["id"]: "Bea"}
    saved = (await server.administer("GET", "voices")).json()["data"]
    assert {each["id"]: each["name"] for each in saved} == {damaged["id"]: damaged["id"], other["id"]: "Bea"}


@pytest.mark.parametrize("by", ["owner", "admin"])
async def test_a_damaged_voice_can_be_deleted(server: Inside, by: str) -> None:
    voice = await clone(server)
    await damage(server, "voices", voice["id"])
    if by == "owner":
        answer = await server.ask("DELETE", f"{VOICES}/{voice['id']}")
    else:
        answer = await server.administer("DELETE", f"voices/{voice['id']}")
    assert (answer.status_code, answer.json()["deleted"]) == (200, True)
    receipt = (await server.ask("GET", f"{VOICES}/erasures/{voice['id']}")).json()
    assert receipt["pending"] == []


@pytest.mark.parametrize("by", ["owner", "admin"])
async def test_a_damaged_consent_hides_no_other_and_can_be_deleted(server: Inside, by: str) -> None:
    damaged, other = await agree(server), await agree(server, name="Bea")
    await damage(server, "consents", damaged["id"])

    async def ask(method: str, path: str = "") -> dict[str, object]:
        if by == "owner":
            answer = await server.ask(method, CONSENTS + path)
        else:
            answer = await server.administer(method, f"consents{path}")
        assert answer.status_code == 200, answer.text
        found: dict[str, object] = answer.json()
        return found

    listed = await ask("GET")
    assert isinstance(listed["data"], list)
    assert {each["id"]: each["name"] for each in listed["data"]} == {damaged["id"]: "", other["id"]: "Bea"}
    assert (await ask("GET", f"/{damaged['id']}"))["statement"] is None
    assert (await ask("DELETE", f"/{damaged['id']}"))["deleted"] is True


@pytest.mark.parametrize("table", ["voices", "consents"])
async def test_what_cannot_be_opened_is_not_written_over(server: Inside, table: str) -> None:
    owned = await clone(server) if table == "voices" else await agree(server)
    await damage(server, table, owned["id"])
    path = VOICES if table == "voices" else CONSENTS
    answer = await server.ask("POST", f"{path}/{owned['id']}", body={"name": "Bea"})
    assert (answer.status_code, envelope(answer)["code"]) == (503, "vault_unavailable")
    assert "database" not in envelope(answer)["message"]
    (row,) = await server.worker.store.read(f"SELECT sealed FROM {table} WHERE sealed = 'AAAA'")
    assert row["sealed"] == "AAAA"
