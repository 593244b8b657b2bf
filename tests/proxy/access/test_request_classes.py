"""Requests a minute of each class: of an account with all its keys, or of an address without a key."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from proxy.access.admission import MOST_A_MINUTE
from proxy.feature_list import load_config
from tests.proxy.api.inside import TONE, Inside, envelope, inside
from tests.tables import each_row

WORDS = {"words": {"nginx": "engine x"}}
ENOUGH = MOST_A_MINUTE["write"] + 1


@pytest.fixture
async def few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Inside]:
    """Three requests a minute of each class, on a server whose lists need no key."""
    monkeypatch.setattr("proxy.access.admission.MOST_A_MINUTE", dict.fromkeys(MOST_A_MINUTE, 3))
    async with inside(tmp_path, TONE.replace("[server]", "[server]\npublic_catalogue = true")) as server:
        yield server


async def test_lexicons_are_written_so_often_a_minute(server: Inside) -> None:
    for number in range(ENOUGH):
        answer = await server.ask("PUT", f"/v1/lexicons/w{number % 3}", body=WORDS)
        assert answer.status_code == (429 if number + 1 == ENOUGH else 200)
    assert envelope(answer)["code"] == "rate_limit_exceeded"
    assert "class 'write'" in envelope(answer)["message"]
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    # The other classes are counted apart, and so is speech.
    assert (await server.ask("GET", "/v1/lexicons")).status_code == 200
    assert (await server.speech()).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/models"),
        ("GET", "/v1/audio/models"),
        ("GET", "/v1/voices"),
        ("GET", "/v1/lexicons"),
        ("GET", "/v1/models/tts-1"),
        ("GET", "/v1/voices/alloy"),
        ("GET", "/v1/me"),
        ("POST", "/v1/voices"),
        ("DELETE", "/v1/lexicons/brands"),
        ("GET", "/v1/usage"),
    ],
)
async def test_every_endpoint_for_clients_has_a_limit(few: Inside, method: str, path: str) -> None:
    other = (await few.administer("POST", "keys", {"account": "ada"})).json()["key"]
    body: dict[str, str] | None = {} if method == "POST" else None
    for _ in range(3):
        assert (await few.ask(method, path, body=body)).status_code != 429
    # Another key of the same account does not help, and the method of another class does not matter.
    assert (await few.ask(method, path, key=other, body=body)).status_code == 429
    assert (await few.administer("GET", "plans")).status_code == 200


async def test_what_is_not_served_has_a_limit_of_its_own(few: Inside) -> None:
    for method, path in (("GET", "/v1/nothing"), ("POST", "/nothing"), ("PUT", "/v1/models")):
        assert (await few.ask(method, path)).status_code in (404, 405)
    assert "class 'unmatched'" in envelope(await few.ask("GET", "/v1/nothing"))["message"]
    assert (await few.ask("GET", "/v1/models")).status_code == 200


@each_row(
    ("body", "status"),
    [
        (b'{"model": "tts-1", "voice": "alloy", "input": "Hello."}', 200),
        (b'{"model": 1}', 400),
        (b"{", 400),
        (b"x" * 1_000_000, 413),
    ],
    ids=["good", "invalid", "no json", "too large"],
)
async def test_each_speech_counts_once_for_its_plan_whatever_its_body_is(
    tmp_path: Path, body: bytes, status: int
) -> None:
    config = TONE + "[plans.small]\nallowance = 1000\nrpm = 3\n"
    async with inside(tmp_path, config, plan="small") as server, server.client() as client:
        answers = [await client.post("/v1/audio/speech", content=body) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [status] * 3 + [429]
    assert [answer.headers["x-ratelimit-remaining-requests"] for answer in answers] == ["2", "1", "0", "0"]
    assert "your plan 'small': 3 requests a minute" in envelope(answers[-1])["message"]


async def test_operators_have_a_limit_of_their_own(few: Inside) -> None:
    for path in ("plans", "keys", "engines"):
        assert (await few.administer("GET", path)).status_code == 200
    assert envelope(await few.administer("GET", "plans"))["code"] == "rate_limit_exceeded"
    assert (await few.ask("GET", "/v1/me")).status_code == 200


async def test_without_a_key_an_address_is_counted(few: Inside) -> None:
    for _ in range(3):
        assert (await few.ask("GET", "/v1/models", key="")).status_code == 200
    assert (await few.ask("GET", "/v1/models", key="")).status_code == 429
    assert (await few.ask("GET", "/v1/models")).status_code == 200


async def test_without_a_key_the_addresses_of_one_network_are_counted_together(few: Inside) -> None:
    statuses = []
    for number in range(4):
        transport = httpx2.ASGITransport(app=few.worker.public, client=(f"2001:db8::{number}", 1))
        async with httpx2.AsyncClient(transport=transport, base_url="http://voxgate.test") as client:
            statuses.append((await client.get("/v1/models")).status_code)
    assert statuses == [200, 200, 200, 429]


@each_row("path", ["/healthz", "/health", "/readyz"])
async def test_health_has_no_limit(few: Inside, path: str) -> None:
    for _ in range(5):
        assert (await few.ask("GET", path, key="")).status_code == 200


async def test_a_reload_forgets_no_count(few: Inside, tmp_path: Path) -> None:
    for _ in range(3):
        assert (await few.ask("GET", "/v1/me")).status_code == 200
    few.worker.revise(load_config(tmp_path / "config.toml", {}))
    assert (await few.ask("GET", "/v1/me")).status_code == 429
