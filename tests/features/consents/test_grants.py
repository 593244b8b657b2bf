"""Consents as the makers of voices find them: each account its own."""

from pathlib import Path

import pytest

from proxy.errors import NotFound
from tests.features.consents.granted import granted
from tests.proxy.api.inside import inside


async def test_a_consent_of_another_account_is_none(tmp_path: Path) -> None:
    body = {"name": "Ana", "language": "en", "statement": "She agreed."}
    async with inside(tmp_path) as server:
        made = await server.ask("POST", "/v1/audio/voice_consents", body=body)
        id_, grants = made.json()["id"], granted(server.worker.store)
        own, other = server.account.id, "acc_other"
        found = await grants.get(own, id_)
        assert found is not None
        assert (found.id, list(await grants.of_account(own))) == (id_, [id_])
        assert (await grants.get(other, id_), await grants.of_account(other)) == (None, {})
        with pytest.raises(NotFound):
            await grants.find_grant(other, id_, "consent")
