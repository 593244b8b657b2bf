"""Orders of clones: they come with their voice, and no owner can spend a fee twice."""

from pathlib import Path

import pytest

from proxy.storage.store import Statement
from tests.features.clones.test_served import clone_with, make_voice, provider
from tests.proxy.api.inside import inside
from tests.proxy.api.owning import agree, send


async def test_an_owner_can_spend_the_fee_of_a_clone_only_once(tmp_path: Path) -> None:
    async with provider() as minimax, inside(tmp_path, minimax.config(studio="")) as server:
        voice = await make_voice(server, **{"engines[]": "minimax"})
        made = await clone_with(server, voice, "ready")
        for language in ("pt", "en"):
            body = {"language": language, "engines": ["minimax"]}
            assert (await server.ask("POST", f"/v1/audio/voices/{voice}", body=body)).status_code == 200
            row = await clone_with(server, voice, "ready")
            assert (row["id"], row["engine_voice"]) == (made["id"], made["engine_voice"])
        await server.worker.store.write(Statement("UPDATE bindings SET state = 'expired'"))
        assert (await server.ask("POST", f"/v1/audio/voices/{voice}", body=body)).status_code == 200
        assert (await clone_with(server, voice, "expired"))["id"] == made["id"]
        assert minimax.fake.account.fees == 1
        again = await server.administer("POST", f"voices/{voice}/clones", {"engine": "minimax"})
        assert again.status_code == 201
        assert (await clone_with(server, voice, "ready"))["id"] != made["id"]
        assert minimax.fake.account.fees == 2


@pytest.mark.parametrize("once", [None, "the-same-key"])
async def test_a_voice_never_comes_without_the_clones_that_were_ordered(
    tmp_path: Path, once: str | None
) -> None:
    async with provider() as minimax, inside(tmp_path, minimax.config(studio="")) as server:
        store = server.worker.store
        consent = await agree(server)
        fields = {"name": "Ana", "consent": consent["id"], "engines[]": "minimax"}
        await store.write(Statement(_NO_MORE_CLONES))
        assert (await send(server, fields, once=once)).status_code >= 500
        await store.write(Statement("DROP TRIGGER no_more_clones"))
        made = await send(server, fields, once=once)
        assert made.status_code == 200, made.text
        assert [each["engine"] for each in made.json()["clones"]] == ["minimax"]
        await clone_with(server, made.json()["id"], "ready")


_NO_MORE_CLONES = """
CREATE TRIGGER no_more_clones BEFORE INSERT ON bindings BEGIN SELECT RAISE(ABORT, 'the disk is full'); END
"""
