"""Who reaches what: each role on each endpoint, and on each object of another account.

The endpoints are the server's own, so a new one is in the matrix from its first day. Nobody but the owner
reads, writes, or learns that there is something: neither by what is said, nor by what the database is asked.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

import httpx2
import pytest

from proxy.access import admission
from proxy.http.endpoint import Endpoint
from proxy.storage.store import BatchItem, Params, Row, Statement, Store
from tests.proxy.api import access_rules, access_world
from tests.proxy.api.access_world import (
    ACTIONS,
    DEAD,
    OTHERS,
    ROLES,
    WITHOUT_A_KEY,
    AccessWorld,
    Action,
    never_was,
    said,
)
from tests.proxy.api.inside import Inside, envelope, inside_fixture

pytestmark = pytest.mark.slow

UNKNOWN = "nothing_0123456789abcdef01234567"

server = inside_fixture(access_world.CONFIG)


@pytest.fixture
async def world(server: Inside) -> AsyncIterator[AccessWorld]:
    made = await access_world.world_inside(server)
    yield made
    await made.client.aclose()


def _endpoints(server: Inside) -> list[Endpoint]:
    return [endpoint for endpoint in server.worker.endpoints if "{" not in endpoint.path.partition("{id")[0]]


async def _ask(world: AccessWorld, role: str, endpoint: Endpoint, id_: str) -> httpx2.Response:
    path = endpoint.shown_path.replace("{id}", id_).replace("{name}", id_)
    return await world.ask(role, endpoint.method, path)


async def test_every_role_on_every_endpoint(server: Inside, world: AccessWorld) -> None:
    wrong: list[str] = []
    for endpoint in _endpoints(server):
        for role in ROLES:
            if role == "admin" and endpoint.method != "GET":
                continue  # what an admin changes would change the rows that follow
            answer = await _ask(world, role, endpoint, UNKNOWN)
            found, refused = (answer.status_code, _code(answer)), _refusals(endpoint, role)
            if found not in refused if refused else found[0] in (401, 403) or found[0] >= 500:
                wrong.append(f"{role} {endpoint.method} {endpoint.path}: {found}")
    assert not wrong, "\n".join(wrong)


def _refusals(endpoint: Endpoint, role: str) -> list[tuple[int, str]]:
    """The refusals of the door; none for whatever comes from behind it."""
    if role in WITHOUT_A_KEY and (role != "nobody" or endpoint.access != "open"):
        tired = [(429, "rate_limit_exceeded")] if role in DEAD else []
        return [(401, "invalid_api_key"), *tired]
    is_refused = endpoint.is_for_hosts or (endpoint.is_for_admins and role != "admin")
    return [(403, "not_allowed")] if is_refused else []


def _code(answer: httpx2.Response) -> str:
    is_json = answer.headers.get("content-type", "").startswith("application/json")
    return str(envelope(answer)["code"]) if answer.status_code >= 400 and is_json else ""


async def test_on_every_endpoint_an_id_of_somebody_else_answers_as_one_that_never_was(
    server: Inside, world: AccessWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One account asks for all of it within a minute.
    monkeypatch.setitem(admission.MOST_A_MINUTE, "write", 600)
    for endpoint in _endpoints(server):
        if endpoint.is_for_admins or "{" not in endpoint.path:
            continue
        for role in (*OTHERS, *WITHOUT_A_KEY):
            unknown = await _ask(world, role, endpoint, UNKNOWN)
            for kind, id_ in world.objects.items():
                theirs = await _ask(world, role, endpoint, id_)
                if role not in DEAD or theirs.status_code == unknown.status_code == 401:
                    assert said(theirs, id_) == said(unknown, UNKNOWN), (kind, role, endpoint.path)


async def test_every_endpoint_of_voices_consents_and_webhooks_has_a_row(server: Inside) -> None:
    rows = {(action.method, action.path.partition("?")[0]) for action in ACTIONS.values()}
    for endpoint in _endpoints(server):
        path = endpoint.shown_path.replace("/v1/voices", "/v1/audio/voices")
        is_test = path.endswith("/test")  # it needs somebody who answers
        if path.startswith(("/v1/audio/voice", "/v1/webhook")) and "{id}" in path and not is_test:
            assert (endpoint.method, path) in rows


async def test_each_action_on_each_object_is_the_owners_alone(world: AccessWorld) -> None:
    await access_rules.check_actions(world)


_noted: ContextVar[list[str] | None] = ContextVar("_noted", default=None)
"""What the request of this task asks the database. Background tasks have none."""


@contextmanager
def _noting(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Note every statement that requests send to the database, whichever way it goes."""
    read, read_long, write, submit = store.read, store.read_long, store.write, store.submit

    def note(*texts: str) -> None:
        if (asked := _noted.get()) is not None:
            asked.extend(texts)

    async def noted_read(sql: str, params: Params | None = None) -> list[Row]:
        note(sql)
        return await read(sql, params)

    async def noted_read_long(sql: str, params: Params | None = None) -> list[Row]:
        note(sql)
        return await read_long(sql, params)

    async def noted_write(*statements: Statement) -> list[list[Row]]:
        note(*(each.sql for each in statements))
        return await write(*statements)

    def noted_submit(item: BatchItem) -> None:
        note(type(item.content).__name__)
        submit(item)

    with monkeypatch.context() as patch:
        patch.setattr(store, "read", noted_read)
        patch.setattr(store, "read_long", noted_read_long)
        patch.setattr(store, "write", noted_write)
        patch.setattr(store, "submit", noted_submit)
        yield


async def _statements(world: AccessWorld, action: Action, id_: str, role: str) -> list[str]:
    """The kinds of statements of one request, in order, without the look at its key, which is cached."""
    asked: list[str] = []
    token = _noted.set(asked)
    try:
        await world.act(action, id_, role)
    finally:
        _noted.reset(token)
    return [text for text in asked if " FROM keys" not in text and "FROM keys JOIN" not in text]


async def test_the_database_is_asked_the_same_for_what_is_there_and_for_what_is_not(
    server: Inside, world: AccessWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked_at_all = 0
    with _noting(server.worker.store, monkeypatch):
        for name, action in ACTIONS.items():
            for kind in action.objects:
                id_ = world.objects[kind]
                for role in (*OTHERS, "revoked", "nobody"):
                    await world.act(action, "warm", role)
                    there = await _statements(world, action, id_, role)
                    assert there == await _statements(world, action, never_was(id_), role), (name, role)
                    assert role in OTHERS or there == [], (name, role)
                    asked_at_all += len(there)
    assert asked_at_all > len(ACTIONS)


async def test_the_lists_have_it_for_the_owner_alone(server: Inside, world: AccessWorld) -> None:
    await access_rules.check_lists(world)
    for endpoint in _endpoints(server):
        if endpoint.method == "GET" and not endpoint.is_for_admins and "{" not in endpoint.path:
            for role in OTHERS:
                shown = (await world.ask(role, "GET", endpoint.path)).text
                assert not [secret for secret in world.secrets if secret in shown], endpoint.path


async def test_the_same_words_and_the_same_key_of_another_account_are_answered_anew(
    world: AccessWorld,
) -> None:
    await access_rules.check_kept_answers(world)


async def test_of_the_same_recording_in_two_accounts_one_is_erased_and_the_other_speaks(
    world: AccessWorld, tmp_path: Path
) -> None:
    await access_rules.check_same_recording(world, tmp_path / "data" / "voices")


async def test_only_an_admin_key_reaches_a_path_of_the_operator(world: AccessWorld) -> None:
    for path in ("voices", "consents", f"voices/{world.objects['voice']}/export"):
        for role in ("owner", "stranger"):
            assert (await world.ask(role, "GET", f"/admin/{path}")).status_code == 403
        assert (await world.ask("admin", "GET", f"/admin/{path}")).status_code == 200
