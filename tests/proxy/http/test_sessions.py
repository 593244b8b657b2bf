"""A person who has signed in as a caller: what endpoints make of a session, of none, and of a key."""

from typing import Any

import httpx2
import pytest
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from proxy.access.callers import Caller
from proxy.access.sessions import COOKIE, Session, session_or_none
from proxy.errors import SessionEnded
from proxy.http import layers
from proxy.http.endpoint import Endpoint
from tests.proxy.api.inside import Inside, envelope

ADA = Caller("acc_ada", "key_ada", "free", "speech")
CALLERS = {
    **dict.fromkeys(("own", "stale"), ADA),
    "suspended": replace(ADA, is_suspended=True),
    **dict.fromkeys(("operator", "operator-stale"), replace(ADA, role="admin")),
}
_BASE = "http://voxgate.test"
_GONE = f"{COOKIE}=; Max-Age=0"


class Cookies:
    """Sessions by the name that a cookie has. Those named `stale` have signed in long ago."""

    async def of_request(self, scope: Scope) -> Session | None:
        name = dict(scope["headers"]).get(b"cookie", b"").decode().removeprefix(f"{COOKIE}=")
        if name == "ended":
            raise SessionEnded(_GONE)
        caller = CALLERS.get(name)
        return None if caller is None else Session(name, "usr_ada", caller, 0)

    async def is_fresh(self, session: Session) -> bool:
        return "stale" not in session.id


async def _show(request: Request) -> Response:
    caller, session = request.scope["state"].get("caller"), session_or_none(request.scope)
    return Response(f"{getattr(caller, 'key', '')} {session is not None}")


def _endpoint(method: Any, path: str, access: Any = "key", **more: Any) -> Endpoint:
    return Endpoint(
        method, path, _show, path.strip("/"), "A thing", {"text/plain": ()}, access=access, **more
    )


ENDPOINTS = [
    _endpoint("GET", "/open", "open"),
    _endpoint("GET", "/v1/usual"),
    _endpoint("GET", "/v1/mine", "session"),
    _endpoint("POST", "/v1/fresh", "fresh session"),
    _endpoint("POST", "/v1/leave/{id}", "fresh session", is_for_suspended=True),
    _endpoint("GET", "/admin/things"),
    _endpoint("POST", "/admin/things"),
]


@pytest.fixture
def client(server: Inside) -> tuple[Inside, httpx2.ASGITransport]:
    worker = server.worker
    section = worker.open_features.context.config_at_start.server
    app = layers.public_app(
        ENDPOINTS, section, worker._logins, worker.parts.limits, worker.metrics, sessions=Cookies()
    )
    return server, httpx2.ASGITransport(app=app)


OPEN, USUAL = "GET /open", "GET /v1/usual"
FRESH, USER, ADMIN = "POST /v1/fresh", "GET /v1/mine", "POST /admin/things"
LEAVE, READ = "POST /v1/leave/1", "GET /admin/things"
EXPECTED: dict[str, dict[str, str]] = {
    "": {
        OPEN: "",
        USUAL: "invalid_api_key",
        USER: "invalid_api_key",
        READ: "invalid_api_key",
    },
    "unknown": {OPEN: "", USUAL: "invalid_api_key", FRESH: "invalid_api_key"},
    "ended": {
        OPEN: "",
        USUAL: "session_ended",
        USER: "session_ended",
        READ: "session_ended",
    },
    "own": {
        **dict.fromkeys((OPEN, USUAL, USER, FRESH, LEAVE), "ok"),
        **dict.fromkeys((READ, ADMIN), "not_allowed"),
        "GET /nope": "unknown_url",
    },
    "stale": {
        **dict.fromkeys((USUAL, USER), "ok"),
        **dict.fromkeys((FRESH, LEAVE), "sign_in_again"),
    },
    "suspended": {
        **dict.fromkeys((USUAL, USER, FRESH, READ, "GET /nope"), "account_suspended"),
        **dict.fromkeys((OPEN, LEAVE), "ok"),
    },
    "operator": dict.fromkeys((READ, ADMIN, FRESH, USUAL), "ok"),
    "operator-stale": {READ: "ok", "HEAD /admin/things": "ok", ADMIN: "sign_in_again"},
}


async def test_what_a_session_reaches(client: tuple[Inside, httpx2.ASGITransport], subtests: Any) -> None:
    _, transport = client
    async with httpx2.AsyncClient(transport=transport, base_url=_BASE) as asking:
        for cookie, places in EXPECTED.items():
            for place, expected in places.items():
                with subtests.test(f"{cookie} {place}"):
                    answer = await asking.request(*place.split(), headers={"cookie": f"{COOKIE}={cookie}"})
                    if expected in ("ok", ""):
                        shown = (
                            "" if place.startswith("HEAD") else f"{ADA.key} True" if expected else " False"
                        )
                        assert (answer.status_code, answer.text) == (200, shown)
                    else:
                        assert envelope(answer)["code"] == expected
                    assert answer.headers.get("set-cookie") == (
                        _GONE if expected == "session_ended" else None
                    )


async def test_a_key_comes_before_the_cookie_and_opens_nothing_of_sessions(
    client: tuple[Inside, httpx2.ASGITransport],
) -> None:
    server, transport = client
    both = {"authorization": f"Bearer {server.key}", "cookie": f"{COOKIE}=operator"}
    async with httpx2.AsyncClient(
        transport=transport, base_url="http://voxgate.test", headers=both
    ) as asking:
        usual = await asking.get("/v1/usual")
        assert usual.text.endswith("False")
        assert ADA.key not in usual.text
        for place in (USER, FRESH, LEAVE):
            refused = await asking.request(*place.split())
            assert (refused.status_code, envelope(refused)["code"]) == (403, "session_needed")
        assert (await asking.post("/admin/things")).status_code == 403
        wrong = await asking.get("/v1/mine", headers={"authorization": "Bearer sk-vg-wrong"})
        assert envelope(wrong)["code"] == "invalid_api_key"
