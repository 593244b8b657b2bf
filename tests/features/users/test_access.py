"""Each endpoint of users × each caller, and what a restored backup brings back."""

import asyncio
from pathlib import Path

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from proxy.app import open_worker
from proxy.feature_list import all_tables, load_config, open_store
from proxy.processes.admin_direct import replay_erasures
from proxy.storage import accounts
from proxy.storage.audit import Act
from proxy.storage.rows import new_id
from proxy.storage.sqlite_backup import DATABASE, back_up, restore
from tests.databases import Postgres
from tests.features.users.rig import Browser, json_of, served, texts_of
from tests.proxy.api.inside import Inside, envelope, with_engines
from tests.proxy.http.test_openapi import OF_SESSIONS
from tests.tables import soak

pytestmark = pytest.mark.slow

_CALLERS = ("nobody", "key", "own", "other", "suspended", "closed")
_NO_KEY, _NO_SESSION, _ROLE = "401 invalid_api_key", "403 session_needed", "403 not_allowed"
_SUSPENDED, _ENDED = "403 account_suspended", "401 session_ended"
_ADMIN = (_NO_KEY, _ROLE, _ROLE, _ROLE, _SUSPENDED, _ENDED)
_FAILED = ("400 sign_in_failed",) * 6
EXPECTED: dict[str, tuple[str, ...]] = {
    "GET /sign-in": ("303",) * 6,
    "POST /v1/sign-ins": ("202",) * 6,
    "POST /v1/sign-ins/sin_0/confirm": _FAILED,
    "GET /v1/me/sessions": (_NO_KEY, _NO_SESSION, "200", "200", "200", _ENDED),
    "GET /admin/users": _ADMIN,
    "POST /admin/users": _ADMIN,
    "DELETE /admin/users/usr_0": _ADMIN,
    "POST /admin/users/usr_0/sign-out": _ADMIN,
    "DELETE /v1/me/sessions/{other}": (_NO_KEY, _NO_SESSION, "404 not_found", "200", "404 not_found", _ENDED),
}
_BODIES = {
    "POST /v1/sign-ins": {"address": "new@example.org"},
    "POST /v1/sign-ins/sin_0/confirm": {"token": "x"},
    "POST /admin/users": {"address": "new@example.org"},
}


async def _people(server: Inside) -> tuple[dict[str, Browser], str]:
    """A browser of each caller, and the id of the other's session."""
    people = {name: Browser(server, f"192.0.{number}.1") for number, name in enumerate(_CALLERS, 1)}
    ids = {name: await people[name].sign_in(f"{name}@example.org") for name in _CALLERS[2:]}
    store = server.worker.store
    act = Act(
        id=new_id("aud"),
        at=await store.now(),
        actor="control",
        action="account.suspended",
        subject=ids["suspended"]["account"],
        account=ids["suspended"]["account"],
    )
    await accounts.suspend(store, ids["suspended"]["account"], act)
    await server.administer("DELETE", f"accounts/{ids['closed']['account']}")
    return people, ids["other"]["id"]


async def test_who_reaches_what(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        people, others = await _people(server)
        for place, expected in EXPECTED.items():
            method, _, path = place.replace("{other}", others).partition(" ")
            found = []
            for name in _CALLERS:
                browser = people[name]
                cookie = browser.cookie
                key = server.key if name == "key" else ""
                answer = await browser.ask(method, path, _BODIES.get(place), key=key)
                code = f" {envelope(answer)['code']}" if answer.is_error else ""
                found.append(f"{answer.status_code}{code}")
                browser.cookie = cookie if name != "other" else browser.cookie
            assert tuple(found) == expected, place


@pytest.mark.parametrize("is_whole", [False, *soak(True)])
async def test_each_failure_of_a_session_is_described(tmp_path: Path, is_whole: bool) -> None:
    """The paths without sessions are those of a server as shipped, which `tests/proxy/http` validates."""
    async with served(tmp_path) as server:
        document = json_of(await Browser(server).ask("GET", "/openapi.json", page=False))
    paths = document["paths"]
    if not is_whole:
        paths = {path: of for path, of in paths.items() if any(name in str(of) for name in OF_SESSIONS)}
        assert "/v1/me/sessions" in paths
    valid = OpenAPIV31SpecValidator(document | {"paths": paths})
    assert [error.message for error in valid.iter_errors()] == []
    named = {name for group in document["components"]["responses"] for name in group.split("Or")}
    assert set(OF_SESSIONS) <= named


async def test_a_restored_backup_has_no_session_and_no_erased_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    early, late = tmp_path / "early.db", tmp_path / "late.db"
    async with served(tmp_path) as server:
        data = Path(server.worker.kernel.config.data)
        browser, other = Browser(server), Browser(server)
        await browser.request()
        back_up(data / DATABASE, early)  # its address is that of a request alone
        account = (await browser.sign_in())["account"]
        await other.sign_in("bob@example.org")
        back_up(data / DATABASE, late)
        await server.administer("DELETE", f"accounts/{account}")
    for copy, users in ((early, 0), (late, 1)):
        restore(copy, data, all_tables())
        await replay_erasures(load_config(tmp_path / "config.toml", {}))
        file = (data / DATABASE).read_bytes()
        assert b"ada@example.org" not in file
        async with open_store("sqlite", data) as store:
            assert "ada@" not in await texts_of(store)
            counted = [
                await store.read(f"SELECT * FROM {name}") for name in ("users", "sessions", "sign_ins")
            ]
            assert [len(rows) for rows in counted] == [users, 0, 0]


async def test_the_start_after_a_restored_dump_erases_each_address_again(
    tmp_path: Path, shared_postgres: Postgres
) -> None:
    """PostgreSQL's own tools know no journal. In `early`, the address is that of a request alone."""
    schema, plain = shared_postgres.new_schema(), tmp_path / "plain.sql"
    dumps = {tmp_path / "early.dump": 0, tmp_path / "late.dump": 1}
    early, late = dumps
    async with served(tmp_path, url=shared_postgres.url(search_path=schema)) as server:
        browser, other = Browser(server), Browser(server)
        await browser.request()
        await asyncio.to_thread(shared_postgres.dump, schema, early)
        account = (await browser.sign_in())["account"]
        await other.sign_in("bob@example.org")
        await asyncio.to_thread(shared_postgres.dump, schema, late)
        await server.administer("DELETE", f"accounts/{account}")
    for dump, users in dumps.items():
        await asyncio.to_thread(shared_postgres.restore, schema, dump)
        async with open_store(shared_postgres.url(search_path=schema), tmp_path) as store:
            assert "ada@" in await texts_of(store)
        async with open_worker(load_config(tmp_path / "config.toml", {}), with_engines({})) as worker:
            assert len(await worker.store.read("SELECT * FROM users")) == users
            assert not await worker.store.read("SELECT * FROM sessions")
        await asyncio.to_thread(shared_postgres.dump, schema, plain, "plain")
        assert "CREATE TABLE" in (text := plain.read_text())
        assert "ada@" not in text
