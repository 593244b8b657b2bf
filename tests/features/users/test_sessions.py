"""Sessions as callers: which requests of a browser count, and how a session begins and ends."""

import asyncio
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest

from proxy.access.callers import Caller, Callers
from proxy.access.sessions import COOKIE, Session
from proxy.errors import RequestFailed
from proxy.features.users.session_store import IDLE_US
from proxy.features.users.sign_ins import SignIns
from proxy.file_store.vault import Vault
from proxy.storage.store import Statement
from tests.features.users.rig import (
    ORIGIN,
    Browser,
    config,
    json_of,
    later,
    letters,
    mailed,
    served,
    texts_of,
)
from tests.fixtures import opened
from tests.proxy.api.inside import TONE, Inside, envelope, inside
from tests.waiting import soon

ADA = "ada@example.org"


server = opened(served, "tmp_path")


async def code_of(answer: httpx2.Response) -> str:
    return f"{answer.status_code} {envelope(answer)['code']}" if answer.is_error else str(answer.status_code)


async def test_a_mailed_link_signs_in_once_and_only_by_its_button(server: Inside) -> None:
    browser, other = Browser(server), Browser(server, "198.51.100.7")
    asked = await browser.request("Ada@Example.org")
    assert asked.status_code == 202
    assert sorted(json_of(asked)) == ["expires", "id", "object"]
    sent = await mailed(server, json_of(asked)["id"])
    for method in ("GET", "HEAD"):  # a scanner opens the link: what follows # is never sent
        page = await Browser(server).ask(method, "/sign-in", page=False)
        assert (page.status_code, page.headers["location"]) == (303, "./"), "without a fragment of its own"
        assert "set-cookie" not in page.headers
    refused = await Browser(server).ask("GET", f"/v1/sign-ins/{sent.id}/confirm", page=False)
    assert refused.status_code in (401, 405)
    done = await other.confirm(sent.id, token=sent.token)
    assert json_of(done)["address"] == "ada@example.org"
    cookie = done.headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    assert cookie.partition("; ")[2] == "Path=/; Max-Age=2592000; Secure; HttpOnly; SameSite=Strict"
    me = json_of(await other.ask("GET", "/v1/me"))
    assert me["user"]["address"] == "ada@example.org"
    assert "ada" not in me["account"]["name"].lower()
    for proof in ({"token": sent.token}, {"code": sent.code}):
        assert await code_of(await browser.confirm(sent.id, **proof)) == "400 sign_in_failed"
    assert await code_of(await browser.confirm(sent.id)) == "400 missing_required_parameter"
    everything = await texts_of(server.worker.store)
    for secret in (sent.token, sent.code, other.cookie):
        assert secret not in everything


FROM: list[tuple[dict[str, str], bool]] = [
    ({"sec-fetch-site": "same-origin", "sec-fetch-dest": "empty"}, True),
    ({"origin": ORIGIN}, True),
    ({}, False),
    ({"sec-fetch-site": "same-origin", "sec-fetch-dest": "document"}, False),  # a form, or a link
    ({"sec-fetch-site": "same-origin", "sec-fetch-dest": "image"}, False),
    ({"sec-fetch-site": "same-origin"}, False),
    ({"sec-fetch-site": "same-origin", "origin": ORIGIN}, False),
    ({"sec-fetch-site": "cross-site", "sec-fetch-dest": "empty", "origin": ORIGIN}, False),
    ({"sec-fetch-site": "same-site", "sec-fetch-dest": "empty"}, False),
    ({"sec-fetch-site": "none", "sec-fetch-dest": "document"}, False),
    ({"origin": "https://evil.example"}, False),
    ({"origin": "null"}, False),
    ({"origin": f"{ORIGIN}.evil.example"}, False),
]


async def test_only_scripts_of_this_origin_act_for_a_person(server: Inside) -> None:
    browser = Browser(server)
    await browser.sign_in()
    for headers, counts in FROM:
        for method, path in (("GET", "/v1/me"), ("POST", "/v1/me"), ("DELETE", "/v1/me/sessions/ses_0")):
            answer = await browser.ask(method, path, {"language": "es"}, page=False, **headers)
            assert (answer.status_code != 401) == counts, (headers, method)
            assert counts or envelope(answer)["code"] == "invalid_api_key"
            assert browser.cookie, "a cookie that does not count is not cleared"
    key = await browser.ask("GET", "/v1/me", key=server.key)
    assert json_of(key)["user"] is None, "a key that is sent counts alone"
    assert await code_of(await browser.ask("GET", "/v1/me", key="sk-vg-wrong")) == "401 invalid_api_key"


async def test_a_foreign_page_signs_nobody_in(server: Inside) -> None:
    eve = Browser(server)
    sent = await mailed(server, json_of(await eve.request("eve@example.org"))["id"])
    for headers in (
        {"sec-fetch-site": "cross-site", "sec-fetch-dest": "document", "origin": "https://evil.example"},
        {"origin": "https://evil.example"},
        {"sec-fetch-site": "cross-site", "sec-fetch-dest": "empty"},
    ):
        for path, body in (
            ("/v1/sign-ins", {"address": ADA}),
            (f"/v1/sign-ins/{sent.id}/confirm", {"token": sent.token}),
        ):
            answer = await Browser(server).ask("POST", path, body, page=False, **headers)
            assert await code_of(answer) == "403 foreign_page"
            assert "set-cookie" not in answer.headers
    program = await Browser(server).ask(
        "POST", f"/v1/sign-ins/{sent.id}/confirm", {"token": sent.token}, page=False
    )
    assert program.status_code == 200


async def test_a_sign_in_takes_no_session_that_was_there(server: Inside) -> None:
    browser = Browser(server)
    browser.cookie = fixed = "A" * 43
    await browser.sign_in()
    assert browser.cookie != fixed
    first, old = browser.cookie, Browser(server)
    await browser.sign_in()
    assert browser.cookie != first
    old.cookie = first
    assert await code_of(await old.ask("GET", "/v1/me")) == "401 session_ended"
    assert old.cookie == "", "the answer clears it"
    (row,) = await server.worker.store.read("SELECT count(*) AS number FROM sessions")
    assert row["number"] == 1


async def test_a_session_ends_idle_or_old_and_is_fresh_for_minutes(server: Inside) -> None:
    browser, store = Browser(server), server.worker.store
    await browser.sign_in()

    async def after(seconds: float) -> str:
        await later(store, seconds)
        forget(server)
        return await code_of(await browser.ask("POST", "/v1/keys", {"name": "x"}))

    assert await after(0) == "201"
    assert await after(901) == "403 sign_in_again"
    day = 86_400
    for _ in range(4):
        assert await after(6 * day) == "403 sign_in_again", "each use begins a new week"
    assert await after(6 * day) == "401 session_ended", "thirty days in all"
    await browser.sign_in()
    assert await after(7 * day) == "401 session_ended", "a week without a use"


def forget(server: Inside) -> None:
    """Forget all sessions of this worker, as five seconds do."""
    sessions = next(
        memory
        for feature in server.worker.open_features.features
        for memory in feature.memories
        if type(memory).__name__ == "UserSessions"
    )
    sessions._answers.forget_if(lambda _answer: True)  # type: ignore[attr-defined]


async def test_a_job_goes_on_after_its_person_signs_out(server: Inside) -> None:
    browser, phone = Browser(server), Browser(server)
    await browser.sign_in()
    session = await phone.sign_in()
    job = await phone.ask(
        "POST",
        "/v1/audio/speech",
        {"model": "tts-1", "voice": "alloy", "input": "Hello.", "background": True},
    )
    listed = json_of(await phone.ask("GET", "/v1/me/sessions"))["data"]
    assert [each["is_current"] for each in listed] == [True, False]
    ended = await phone.ask("DELETE", f"/v1/me/sessions/{session['id']}")
    assert ended.status_code == 200
    assert phone.cookie == ""
    phone.cookie = "B" * 43
    assert await code_of(await phone.ask("GET", "/v1/me")) == "401 session_ended"
    (user,) = await server.worker.store.read("SELECT key, account FROM users")
    caller = await Callers(server.worker.store).by_id(user["key"])
    assert caller.account == user["account"]
    assert job.status_code == 202, job.text
    id_ = json_of(job)["id"]
    for _ in range(200):
        state = json_of(await browser.ask("GET", f"/v1/jobs/{id_}"))["status"]
        if state not in ("queued", "running"):
            break
        await asyncio.sleep(0.02)
    assert state == "done"


async def test_a_removed_user_has_no_session_and_no_address(server: Inside) -> None:
    browser = Browser(server)
    user = (await browser.sign_in())["user"]
    await browser.request()  # one that waits
    listed = json_of(await server.administer("GET", "users"))["data"]
    assert [each["id"] for each in listed] == [user]
    removed = await server.administer("DELETE", f"users/{user}")
    assert removed.status_code == 200
    assert await code_of(await browser.ask("GET", "/v1/me")) == "401 session_ended"
    assert ADA not in await texts_of(server.worker.store)
    assert not await letters(server.worker.store, server.worker.open_features.context.find(Vault))
    assert (await server.administer("DELETE", f"users/{user}")).status_code == 404
    rows = await server.worker.store.read("SELECT revoked FROM keys WHERE kind = 'user'")
    assert [row["revoked"] is None for row in rows] == [False]
    browser = Browser(server)
    assert (await browser.sign_in())["user"] != user, "the address is free again"


async def test_an_operator_signs_a_user_out_and_invites(server: Inside) -> None:
    browser = Browser(server)
    user = (await browser.sign_in())["user"]
    assert (await browser.ask("GET", "/v1/me")).status_code == 200, "from now on it is cached"
    out = json_of(await server.administer("POST", f"users/{user}/sign-out"))
    assert out["sessions"] == 1
    assert await code_of(await browser.ask("GET", "/v1/me")) == "401 session_ended"
    body = {"address": "Op@example.org", "account": "ops", "operator": True}
    invited = json_of(await server.administer("POST", "users", body))
    assert invited["link"].startswith(f"{ORIGIN}/sign-in#sign_in={invited['id']}.")
    token = invited["link"].rpartition(".")[2]
    operator = Browser(server)
    assert (await operator.confirm(invited["id"], token=token)).status_code == 200
    assert (await operator.ask("GET", "/admin/users")).status_code == 200
    assert (await operator.ask("POST", f"/admin/users/{user}/sign-out")).status_code == 200
    await later(server.worker.store, 901)
    forget(server)
    assert (await operator.ask("GET", "/admin/users")).status_code == 200
    assert await code_of(await operator.ask("POST", "/admin/users", body)) == "403 sign_in_again"
    assert await code_of(await browser.ask("GET", "/admin/users")) == "401 invalid_api_key"
    again = await server.administer("POST", "users", {"address": ADA, "operator": True})
    assert await code_of(again) == "409 conflict"
    acts = await server.worker.store.read("SELECT action, details FROM audit")
    assert {"user.invited", "user.signed_out"} <= {each["action"] for each in acts}
    assert "example.org" not in str(acts).lower()


@pytest.mark.parametrize(("sign_up", "mails"), [("invite", 100), ("open", 112)])
async def test_known_and_unknown_addresses_are_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sign_up: str, mails: int
) -> None:
    """Also if strangers wait: with four mails a minute, twelve of theirs are written."""
    text = config(sign_up).replace("[users]", "[users]\nmails_a_minute = 4")
    async with inside(tmp_path, text, name="ops") as server:
        store = server.worker.store
        known = [f"k{number}@example.org" for number in range(100)]
        await store.write(
            *(
                Statement(
                    "INSERT INTO keys (id, account, hash, role, name, hint, created, caps, kind) "
                    "VALUES (:id, :account, :id, 'speech', '', '', 0, '{}', 'user')",
                    {"id": f"key_{number}", "account": server.account.id},
                )
                for number in range(100)
            ),
            *(
                Statement(
                    "INSERT INTO users VALUES (:id, :account, :key, :at, 'en', 0, 1, 0)",
                    {"id": f"usr_{n}", "account": server.account.id, "key": f"key_{n}", "at": at},
                )
                for n, at in enumerate(known)
            ),
        )
        asked: list[str] = []
        request, write, read = SignIns.request_sign_in, store.write, store.read
        is_asking = ContextVar("is_asking", default=False)  # mails are sent beside it

        async def noted_request(self: SignIns, *args: str) -> Any:
            is_asking.set(True)
            return await request(self, *args)

        async def noted_write(*statements: Statement) -> Any:
            asked.extend(each.sql for each in statements if is_asking.get())
            return await write(*statements)

        async def noted_read(sql: str, params: Any = None) -> Any:
            asked.extend([sql] if is_asking.get() else [])
            return await read(sql, params)

        monkeypatch.setattr(SignIns, "request_sign_in", noted_request)
        monkeypatch.setattr(store, "write", noted_write)
        monkeypatch.setattr(store, "read", noted_read)
        seen = set()
        await Browser(server).request("first@example.org")  # makes the key of the digests
        for number in range(100):
            for address in (known[number], f"u{number}@example.org"):
                asked.clear()
                answer = await Browser(server, f"10.0.{number}.{address[0] == 'k':d}").request(address)
                body = json_of(answer)
                shape = (answer.status_code, sorted(body), len(answer.content), sorted(answer.headers))
                seen.add((str(shape), tuple(asked)))
        assert len(seen) == 1
        rows = await read("SELECT count(*) AS number FROM mails")
        assert rows[0]["number"] == mails


async def test_a_closed_account_leaves_no_address(server: Inside, tmp_path: Path) -> None:
    browser = Browser(server)
    account = (await browser.sign_in())["account"]
    await browser.request()
    invited = {"address": "bob@example.org", "account": account}
    await server.administer("POST", "users", invited)
    assert "ada@" in await texts_of(server.worker.store)
    assert (await server.administer("DELETE", f"accounts/{account}")).status_code == 200
    everything = await texts_of(server.worker.store)
    assert "ada@" not in everything
    assert "bob@" not in everything
    assert await code_of(await browser.ask("GET", "/v1/me")) == "401 session_ended"
    assert not await letters(server.worker.store, server.worker.open_features.context.find(Vault))


async def test_as_shipped_nothing_is_served(tmp_path: Path) -> None:
    async with inside(tmp_path, TONE) as server:
        paths = {endpoint.path for endpoint in server.worker.endpoints}
        assert not [path for path in paths if "sign-in" in path or "sessions" in path or "users" in path]
        browser = Browser(server)
        browser.cookie = "A" * 43
        assert await code_of(await browser.ask("GET", "/v1/me")) == "401 invalid_api_key"


async def test_what_is_open_with_a_session_ends_with_it(server: Inside) -> None:
    browser, streams = Browser(server), server.worker.streams
    await browser.sign_in()
    kept, ended = (
        [each["id"] for each in json_of(await browser.ask("GET", "/v1/me/sessions"))["data"]],
        list[Any](),
    )
    other = Browser(server)
    await other.sign_in()
    found = [each["id"] for each in json_of(await other.ask("GET", "/v1/me/sessions"))["data"]]
    (leaves,) = {*found} - {*kept}
    (row,) = await server.worker.store.read("SELECT users.key, users.account FROM users")
    caller = Caller(row["account"], row["key"], "unlimited", "speech")

    def note(id_: str, failure: RequestFailed) -> None:
        ended.append((id_, failure.code))

    for id_ in (kept[0], leaves):
        streams.open[id_] = {"caller": caller, "session": Session(id_, "", caller, 0)}, partial(note, id_)
    assert json_of(await browser.ask("DELETE", f"/v1/me/sessions/{leaves}"))
    await soon(lambda: ended)
    assert ended == [(leaves, "invalid_api_key")], "the other one is as good as before"
    old = Statement("UPDATE sessions SET seen = seen - :week", {"week": IDLE_US})
    await server.worker.store.write(old)
    streams.check_soon()
    await soon(lambda: ended[1:])
    assert ended[1:] == [(kept[0], "invalid_api_key")], "it is over, though its row is still there"
