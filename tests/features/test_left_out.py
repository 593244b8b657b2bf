"""A server that leaves a feature out: the others work, and what it has kept is still erased."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.features.all import FEATURES
from tests.proxy.api.inside import Inside, inside


@pytest.mark.parametrize("name", [feature.name for feature in FEATURES])
async def test_the_others_work(tmp_path: Path, name: str) -> None:
    async with inside(tmp_path, left_out=name) as server:
        assert (await server.speech()).status_code == 200
        assert (await server.ask("GET", "/v1/audio/voices")).status_code == 200
        assert (await server.ask("GET", "/healthz", key="")).status_code == 200
        served = await operations(server)
    async with inside(tmp_path, name="bob") as server:
        assert served <= await operations(server)


async def operations(server: Inside) -> set[str]:
    """What OpenAPI says that the server can do."""
    document = (await server.ask("GET", "/openapi.json", key=server.admin_key)).json()
    return {
        operation["operationId"] for methods in document["paths"].values() for operation in methods.values()
    }
