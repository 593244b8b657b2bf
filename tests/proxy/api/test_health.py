"""Liveness, and readiness with its reasons."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from speech_engine import EngineExhausted
from tests.proxy.api.inside import TONE, Inside, envelope, inside
from tests.proxy.api.scripted import Scripted


async def readiness(server: Inside) -> tuple[int, dict[str, Any]]:
    answer = await server.ask("GET", "/readyz", key="")
    body: dict[str, Any] = answer.json()
    return answer.status_code, body


async def test_a_worker_that_can_speak_is_ready(server: Inside) -> None:
    assert await readiness(server) == (200, {"status": "ready", "reasons": [], "degraded": []})


async def test_those_who_ask_during_a_look_share_it(server: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    store, reads = server.worker.store, 0
    read = store.read

    async def noted(sql: str, *args: Any) -> Any:
        nonlocal reads
        reads += sql.startswith("SELECT 1")
        return await read(sql, *args)

    monkeypatch.setattr(store, "read", noted)
    answers = await asyncio.gather(*(readiness(server) for _ in range(50)))
    assert {status for status, _ in answers} == {200}
    assert reads == 1
    assert await readiness(server) == answers[0]
    assert reads == 2, "a later one looks anew"


async def test_a_draining_worker_is_unready_but_alive(server: Inside) -> None:
    server.worker.server_state.is_draining = True
    status, body = await readiness(server)
    assert (status, body["status"]) == (503, "unready")
    assert body["reasons"][0].startswith("draining")
    assert (await server.ask("GET", "/healthz", key="")).json() == {"status": "ok"}
    assert (await server.speech()).status_code == 200


async def test_a_closed_database_is_unready_and_a_request_is_a_503_to_try_again(server: Inside) -> None:
    await server.worker.store.close()
    status, body = await readiness(server)
    assert (status, body["reasons"]) == (503, ["storage: the database does not answer"])
    answer = await server.ask("GET", "/v1/models")
    assert (answer.status_code, envelope(answer)["code"]) == (503, "storage_unavailable")
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert (await server.ask("GET", "/healthz", key="")).status_code == 200


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("gone", "default_model gone: The model 'gone' does not exist"),
        ("broken", "default_model broken: The engine 'broken' is not available"),
    ],
)
async def test_a_default_model_that_nobody_speaks_is_unready(tmp_path: Path, model: str, reason: str) -> None:
    broken = TONE.replace('default_model = "tone"', f'default_model = "{model}"')
    broken += '[engines.broken]\nplugin = "tone"\nhosted = false\nslots = 0\n'
    broken = broken.replace("[models]", '[models]\nbroken = ["broken/standard"]')
    async with inside(tmp_path, broken) as server:
        status, body = await readiness(server)
    assert status == 503
    assert [text.startswith(reason) for text in body["reasons"]] == [True]


async def test_a_providers_words_are_for_the_operator_alone(tmp_path: Path) -> None:
    words = "no credit left for org-4711"
    text = '[server]\ndefault_model = "one/m"\n[engines.one]\n[voices.ana]\none = "v"\n[plans.unlimited]\n'
    async with inside(tmp_path, text, {"one": Scripted(EngineExhausted(words))}) as server:
        spoken = await server.ask(
            "POST", "/v1/audio/speech", body={"model": "one/m", "voice": "ana", "input": "Hello."}
        )
        open_to_all = await server.ask("GET", "/readyz", key="")
        listed = (await server.administer("GET", "engines")).text
    assert spoken.status_code == 503
    assert open_to_all.json()["degraded"] == [
        {"engine": "one", "state": "resting", "reason": "resting: see voxgate engines"}
    ]
    assert words not in open_to_all.text
    assert words in listed


async def test_a_broken_engine_beside_a_good_one_is_degraded_by_its_state(tmp_path: Path) -> None:
    config = TONE + '[engines.broken]\nplugin = "tone"\nhosted = false\nslots = 0\n'
    async with inside(tmp_path, config) as server:
        status, body = await readiness(server)
        spoken = await server.speech()
    assert (status, body["status"]) == (200, "ready")
    (row,) = body["degraded"]
    assert (row["engine"], row["state"]) == ("broken", "failed")
    assert row["reason"] == "failed: see voxgate engines"
    assert spoken.status_code == 200


async def test_names_in_the_configuration_that_no_engine_has_are_degraded(tmp_path: Path) -> None:
    config = TONE + '[voices.narrator]\ntone = "m99"\n'
    config = config.replace("[models]", '[models]\n"odd" = ["tone/standart"]')
    async with inside(tmp_path, config) as server:
        degraded = (await server.ask("GET", "/readyz")).json()["degraded"]
    assert {entry.get("model", entry.get("voice")) for entry in degraded} >= {"odd", "narrator"}
    reasons = {entry.get("model", entry.get("voice")): entry["reason"] for entry in degraded}
    assert "standart" in reasons["odd"]
    # Anybody may read this: the ids that a provider gave are for the operator alone.
    assert reasons["narrator"] == "tone does not have it: see voxgate check"
