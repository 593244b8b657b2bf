"""Orders of clones: they come with their voice, and no owner can spend a fee twice."""

from __future__ import annotations

from pathlib import Path

from proxy.storage.store import Statement
from tests.proxy.api.inside import inside
from tests.proxy.voices.test_clones_served import make_voice, provider, until


async def test_an_owner_can_spend_the_fee_of_a_clone_only_once(tmp_path: Path) -> None:
    async with provider() as minimax, inside(tmp_path, minimax.config(studio="")) as server:
        voice = await make_voice(server, **{"engines[]": "minimax"})
        made = await until(server, voice, "ready")
        for language in ("pt", "en"):
            body = {"language": language, "engines": ["minimax"]}
            assert (await server.ask("POST", f"/v1/audio/voices/{voice}", body=body)).status_code == 200
            row = await until(server, voice, "ready")
            assert (row["id"], row["engine_voice"]) == (made["id"], made["engine_voice"])
        await server.worker.store.write(Statement("UPDATE bindings SET state = 'expired'"))
        assert (await server.ask("POST", f"/v1/audio/voices/{voice}", body=body)).status_code == 200
        assert (await until(server, voice, "expired"))["id"] == made["id"]
        assert minimax.fake.account.fees == 1
        again = await server.administer("POST", f"voices/{voice}/clones", {"engine": "minimax"})
        assert again.status_code == 201
        assert (await until(server, voice, "ready"))["id"] != made["id"]
        assert minimax.fake.account.fees == 2
