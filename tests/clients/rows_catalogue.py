"""Rows of the checklist about lists, about who may read them, and about the habits of apps and browsers."""

import httpx2

from tests.clients.rows_requests import assert_envelope
from tests.clients.servers import BUILT_IN, ORIGIN, Servers

_LISTS = ("/v1/models", "/v1/audio/models", "/v1/audio/voices", "/v1/voices")


def models_with_a_slash(servers: Servers) -> None:
    # The newer SDKs escape it; others send it as it is.
    with servers.shut.server.client() as client:
        for path in ("/v1/models/org/f5", "/v1/models/org%2Ff5"):
            assert client.get(path).raise_for_status().json()["id"] == "org/f5"


def voices_list_is_a_superset(servers: Servers) -> None:
    with servers.shut.server.client() as client:
        for path in ("/v1/audio/voices", "/v1/voices", "/v1/audio/voices/"):
            body = client.get(path).raise_for_status().json()
            assert body["object"] == "list"
            assert body["has_more"] is False
            assert body["data"] == body["voices"]
            # Open WebUI's own words: one entry without either loses the whole list.
            names = {voice["id"]: voice["name"] for voice in body["voices"]}
            assert len(names) == len(body["data"])
            assert {*BUILT_IN, "tone16k/only-here"} <= set(names)
            assert all(isinstance(name, str) and name for name in names.values())


def catalogue_is_shut_unless_opened(servers: Servers) -> None:
    for path in _LISTS:
        refused = httpx2.get(servers.shut.server.url + path)
        assert refused.status_code == 401, path
        assert_envelope(refused, "invalid_api_key")
        with servers.open.client() as known:
            listed = httpx2.get(servers.open.url + path)
            assert listed.status_code == 200
            assert listed.json() == known.get(path).json()
    # Reading is free, speaking is not, and a wrong key is not the same as none.
    body = {"model": "tts-1", "voice": "alloy", "input": "Hi."}
    assert httpx2.post(f"{servers.open.url}/v1/audio/speech", json=body).status_code == 401
    wrong = {"authorization": "Bearer vg-wrong"}
    assert httpx2.get(f"{servers.open.url}/v1/models", headers=wrong).status_code == 401


def cors_only_where_configured(servers: Servers) -> None:
    asked = "authorization, content-type, openai-organization, x-stainless-lang, x-stainless-retry-count"
    allowed = _preflight(servers.open.url, ORIGIN, asked)
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == ORIGIN
    assert "POST" in allowed.headers["access-control-allow-methods"]
    granted = allowed.headers["access-control-allow-headers"].lower().replace(" ", "").split(",")
    assert set(asked.split(", ")) <= set(granted)
    with servers.open.client() as client:
        read = client.get("/v1/models", headers={"origin": ORIGIN})
        failed = client.get("/v1/nothing", headers={"origin": ORIGIN})
    for answer in (read, failed):
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        exposed = answer.headers["access-control-expose-headers"].lower()
        assert {"x-request-id", "retry-after", "x-should-retry"} <= set(exposed.split(", "))
    for url, origin in ((servers.open.url, "https://evil.example"), (servers.shut.server.url, ORIGIN)):
        refused = _preflight(url, origin, asked)
        assert refused.status_code >= 400
        assert "access-control-allow-origin" not in refused.headers


def _preflight(url: str, origin: str, headers: str) -> httpx2.Response:
    asking = {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": headers,
    }
    return httpx2.options(f"{url}/v1/audio/speech", headers=asking)
