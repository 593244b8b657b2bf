"""/v1/audio/receipts: the owner alone reads a receipt, and it says what usage says."""

from pathlib import Path
from typing import Any

import msgspec

from proxy.feature_list import load_config
from proxy.features.marks.jws import is_signed_by, parse_jws, read_jwk
from tests.proxy.api.inside import TONE, Inside, envelope, inside
from tests.proxy.api.owning import new_key
from tests.replies import json_of

_RECEIPTS = "/v1/audio/receipts"
_PRICED = (
    TONE + '[plans.paid]\nprice = "9"\nallowance = 1000\nprices.speech = { credits = 60, per = "minute" }\n'
)


async def receipt_of(server: Inside, id_: str, key: str | None = None) -> dict[str, Any]:
    return json_of(await server.ask("GET", f"{_RECEIPTS}/{id_}", key=key))


async def test_a_receipt_says_what_is_signed_and_what_usage_says(tmp_path: Path) -> None:
    async with inside(tmp_path, _PRICED, plan="paid") as server:
        spoken = await server.speech("A text of some length.", response_format="opus")
        receipt = await receipt_of(server, spoken.headers["x-request-id"])
        keys = (await server.ask("GET", f"{_RECEIPTS}/keys", key="")).json()["keys"]
        (row,) = await server.usage()
    claims, signed = receipt["claims"], parse_jws(receipt["jws"])
    assert receipt["object"] == "audio.receipt"
    assert msgspec.json.decode(signed.payload) == claims
    assert [receipt["jwk"]] == keys
    assert is_signed_by(signed, read_jwk(keys[0]))
    assert signed.kid == keys[0]["kid"]
    assert "d" not in keys[0]
    assert (claims["request"], claims["samples"], claims["format"]) == (row.id, row.samples, row.format)
    assert claims["credits"] * 1_000_000 == row.credits > 0
    assert claims["speakers"] == [{"model": "tone/standard", "licence": "Apache-2.0", "is_trained": False}]
    assert (claims["iss"], claims["media_type"], claims["mark"]) == ("voxgate", "audio/ogg", None)


async def test_another_accounts_receipt_is_one_that_does_not_exist(tmp_path: Path) -> None:
    async with inside(tmp_path) as server:
        id_ = (await server.speech()).headers["x-request-id"]
        stranger = await new_key(server, "ben")
        never = id_[:-4] + "ffff"
        for key in (stranger, await _admin_elsewhere(server)):
            theirs, unknown = [
                await server.ask("GET", f"{_RECEIPTS}/{each}", key=key) for each in (id_, never)
            ]
            assert envelope(theirs)["code"] == "receipt_not_found"
            assert theirs.content.replace(id_.encode(), never.encode()) == unknown.content
        admin = await server.administer("GET", f"receipts/{id_}")
        assert admin.json() == await receipt_of(server, id_)
        assert (await server.ask("GET", f"/admin/receipts/{id_}")).status_code == 403
        assert (await server.administer("GET", f"receipts/{never}")).status_code == 404


async def _admin_elsewhere(server: Inside) -> str:
    made = await server.administer("POST", "accounts", {"name": "ops", "plan": "unlimited"})
    body = {"account": made.json()["id"], "role": "admin"}
    key: str = (await server.administer("POST", "keys", body)).json()["key"]
    return key


async def test_a_replay_names_the_receipt_of_the_first_answer(tmp_path: Path) -> None:
    async with inside(tmp_path, TONE.replace("[server]", "[server]\nidempotency_mb = 16")) as server:
        body = {"model": "tts-1", "voice": "alloy", "input": "Once."}
        first, again = [
            await server.ask("POST", "/v1/audio/speech", body=body, **{"idempotency-key": "k"})
            for _ in range(2)
        ]
        assert again.headers["x-voxgate-replayed"] == "true"
        assert again.headers["x-voxgate-replay-of"] == first.headers["x-request-id"]
        assert "x-voxgate-replay-of" not in first.headers
        assert (await receipt_of(server, again.headers["x-voxgate-replay-of"]))["claims"]["bytes"] == len(
            again.content
        )


async def test_receipts_that_are_off_say_so(tmp_path: Path) -> None:
    async with inside(tmp_path, TONE + "[marking]\nreceipts = false\n") as server:
        spoken = await server.speech()
        for path in (spoken.headers["x-request-id"], "keys"):
            answer = await server.ask("GET", f"{_RECEIPTS}/{path}")
            assert (answer.status_code, envelope(answer)["code"]) == (404, "receipts_off")
    assert not (tmp_path / "data" / "receipt-keys").exists()


async def test_old_receipts_stay_when_no_new_ones_are_made(tmp_path: Path) -> None:
    text = TONE.replace("hosted = false", "hosted = false\nmarking = true")
    async with inside(tmp_path, text) as server:
        before = (await server.speech()).headers["x-request-id"]
        receipt = await receipt_of(server, before)
        keys = await server.ask("GET", f"{_RECEIPTS}/keys", key="")
        (tmp_path / "config.toml").write_text(text + "[marking]\nreceipts = false\n")
        server.worker.revise(load_config(tmp_path / "config.toml", {}))
        assert await receipt_of(server, before) == receipt
        assert (await server.ask("GET", f"{_RECEIPTS}/keys", key="")).json() == keys.json()
        after = await server.speech()
        assert "link" in after.headers
        answer = await server.ask("GET", f"{_RECEIPTS}/{after.headers['x-request-id']}")
        assert (answer.status_code, envelope(answer)["code"]) == (404, "receipts_off")


async def test_without_a_usable_key_speech_goes_on(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "receipt-keys").write_text("no key of thirty-two bytes in base64 at all")
    async with inside(tmp_path) as server:
        spoken = await server.speech()
        assert spoken.status_code == 200
        answer = await server.ask("GET", f"{_RECEIPTS}/{spoken.headers['x-request-id']}")
        assert (answer.status_code, envelope(answer)["code"]) == (503, "receipts_unavailable")


async def test_a_receipt_stays_when_its_voice_is_erased(tmp_path: Path) -> None:
    waived = TONE + '[plans.waived]\nconsent = "waived"\n'
    async with inside(tmp_path, waived, plan="waived") as server:
        mix = {"name": "blend", "mix": [{"id": "alloy"}, {"id": "tone/slow"}]}
        voice = (await server.ask("POST", "/v1/audio/voices", body=mix)).json()["id"]
        id_ = (await server.speech(voice=voice)).headers["x-request-id"]
        before = await receipt_of(server, id_)
        assert (await server.ask("DELETE", f"/v1/audio/voices/{voice}")).status_code == 200
        assert await receipt_of(server, id_) == before
    assert voice not in str(before)
