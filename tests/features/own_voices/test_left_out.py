"""Own voices that a server leaves out: nobody makes or hears one, and those that there are can still go."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.storage import accounts
from tests import speech_clips
from tests.features.erasure.erasing import erasure_of
from tests.proxy.api.inside import Inside, envelope, inside
from tests.proxy.api.owning import clone, send


async def kept(server: Inside, table: str) -> int:
    (row,) = await server.worker.store.read(f"SELECT count(*) AS kept FROM {table}")
    return int(row["kept"])


async def test_a_voice_is_not_heard_and_is_erased_with_its_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.kept.vault.LEFT_OVER_S", -1.0)
    async with inside(tmp_path) as server:
        voice, account, key = (await clone(server))["id"], server.account.id, server.key
    async with inside(tmp_path, left_out="own_voices", name="bob") as server:
        spoken = await server.ask("POST", "/v1/audio/speech", key=key, body={"input": "Hi.", "voice": voice})
        assert spoken.is_error
        listed = await server.ask("GET", "/v1/audio/voices", key=key)
        assert voice not in listed.text
        # Its recording is not taken for left over.
        await server.worker.kernel.vault.tidy()
        assert await kept(server, "blobs") == 1
        await accounts.close(server.worker.store, account)
        await erasure_of(server.worker).erase_account(account)
        assert [await kept(server, table) for table in ("voices", "samples", "blobs")] == [0] * 3


async def test_casts_go_with_their_account(tmp_path: Path) -> None:
    async with inside(tmp_path) as server:
        cast = {"name": "talk", "cast": {"A": "alloy"}}
        assert (await server.ask("POST", "/v1/audio/voices", body=cast)).status_code == 200
        account = server.account.id
    async with inside(tmp_path, left_out="own_voices", name="bob") as server:
        await accounts.close(server.worker.store, account)
        assert await kept(server, "voices") == 0


async def test_nothing_is_made_of_a_recording(tmp_path: Path) -> None:
    async with inside(tmp_path, left_out="own_voices") as server:
        made = await send(server, {"name": "Ana"})
        assert (made.status_code, envelope(made)["code"]) == (405, "method_not_allowed")
        spoken = await send(
            server, {"input": "Hi."}, speech_clips.wav(), path="/v1/audio/speech", file="reference_audio"
        )
        assert spoken.status_code == 415
