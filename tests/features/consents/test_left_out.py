"""Consents that a server leaves out: no provider gets a voice that names one, and its rows can go."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.storage import accounts
from tests import speech_clips
from tests.features.erasure.erasing import erasure_of
from tests.proxy.api.inside import TONE, Inside, envelope, inside
from tests.proxy.api.owning import clone, send

RECORDED = {"name": "Ana", "language": "en-US"}
FREE = f"""{TONE}
[plans.free]
voices = 5
consent = "waived"
prices.speech = {{ credits = 0, per = "second" }}
"""


async def kept(server: Inside, table: str) -> int:
    (row,) = await server.worker.store.read(f"SELECT count(*) AS kept FROM {table}")
    return int(row["kept"])


async def test_a_voice_that_names_a_consent_goes_to_no_provider_and_is_erased(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.kept.vault.LEFT_OVER_S", -1.0)
    async with inside(tmp_path) as server:
        voice = await clone(server)
        assert (await server.speech(model="tone", voice=voice["id"])).status_code == 200
        clip = speech_clips.wav("m5")
        recorded = await send(server, RECORDED, clip, path="/v1/audio/voice_consents", file="recording")
        assert recorded.status_code == 200, recorded.text
        account, key, recordings = server.account.id, server.key, await kept(server, "blobs")
    async with inside(tmp_path, left_out="consents", name="bob") as server:
        assert (await server.ask("GET", "/v1/audio/voice_consents", key=key)).status_code == 404
        house = server.worker.open_house.house
        (saved,) = await house.own_voices.of_account(account, house.clones)
        assert (saved.voice.id, saved.voice.providers) == (voice["id"], ())
        # The recording of a consent is not taken for left over.
        await server.worker.kernel.vault.tidy()
        assert await kept(server, "blobs") == recordings == 2
        await accounts.close(server.worker.store, account)
        await erasure_of(server.worker).erase_account(account)
        assert [await kept(server, table) for table in ("voices", "consents", "samples", "blobs")] == [0] * 4


async def test_where_a_consent_is_required_no_voice_is_made(tmp_path: Path) -> None:
    async with inside(tmp_path, left_out="consents") as server:
        without = await send(server, {"name": "Ana"})
        assert (without.status_code, envelope(without)["code"]) == (400, "consent_required")
        unknown = await send(server, {"name": "Ana", "consent": "cons_1"})
        assert (unknown.status_code, envelope(unknown)["param"]) == (400, "consent")
        assert await kept(server, "voices") == 0


async def test_a_voice_without_one_is_made_as_ever(tmp_path: Path) -> None:
    async with inside(tmp_path, FREE, plan="free", left_out="consents") as server:
        made = await send(server, {"name": "Ana"})
        assert made.status_code == 200, made.text
        assert (await server.speech(model="tone", voice=made.json()["id"])).status_code == 200
