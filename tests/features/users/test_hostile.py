"""What strangers and operators meet: invented cookies, changes at once, and a plan that fits."""

import asyncio
import secrets
from pathlib import Path
from typing import Any

import pytest

from proxy.engines.registry import Registry
from proxy.feature_list import load_config
from proxy.features.users.users_check import check_users
from tests.features.users.rig import Browser, config, json_of, mailed, served


async def test_invented_cookies_are_looked_up_together_and_stop_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(tmp_path) as server:
        owner, reads = Browser(server), 0
        strangers = [Browser(server) for _ in range(80)]
        await owner.sign_in()
        read = server.worker.store.read

        async def noted(sql: str, *args: Any) -> Any:
            nonlocal reads
            reads += "session_hash" in sql
            return await read(sql, *args)

        monkeypatch.setattr(server.worker.store, "read", noted)
        for stranger in strangers:
            stranger.cookie = secrets.token_urlsafe(32)
        answers = await asyncio.gather(*(stranger.ask("GET", "/v1/me") for stranger in strangers))
        assert {answer.status_code for answer in answers} == {401}
        assert reads <= 5
        # The worker does not know this session yet, and the strangers are in the owner's network.
        assert (await owner.ask("GET", "/v1/me")).status_code == 200


async def test_a_session_obeys_a_suspension_at_once(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        browser = Browser(server)
        account = (await browser.sign_in())["account"]
        assert (await browser.ask("GET", "/v1/me")).status_code == 200
        reason = {"reason": "abuse"}
        json_of(await server.administer("POST", f"accounts/{account}/suspend", reason))
        assert (await browser.ask("GET", "/v1/me")).status_code == 403
        json_of(await server.administer("POST", f"accounts/{account}/resume", reason))
        assert (await browser.ask("GET", "/v1/me")).status_code == 200


async def test_a_session_that_is_made_beside_an_erasure_goes_with_its_user(
    tmp_path: Path, store_url: str
) -> None:
    async with served(tmp_path, url=store_url) as server:
        for number in range(12):
            address, ada = f"ada{number}@example.org", Browser(server, f"192.0.2.{number}")
            user = (await ada.sign_in(address))["user"]
            sent = await mailed(server, json_of(await ada.request(address))["id"])
            _, done = await asyncio.gather(
                server.administer("DELETE", f"users/{user}"), ada.confirm(sent.id, token=sent.token)
            )
            assert done.status_code in (200, 400), done.text
            assert (await ada.ask("GET", "/v1/me")).status_code == 401
        left = "SELECT id FROM sessions UNION ALL SELECT id FROM sign_ins WHERE address <> ''"
        assert await server.worker.store.read(left) == []


_LIMITS = "rpm = 1\nstreams = 1\nvoices = 1\nmax_characters = 1\njob_characters = 1\n"


def test_the_check_refuses_a_plan_that_leaves_a_limit_to_each_account(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    for limit, verdict in (('"account"', "wrong"), ("5", "ok")):
        file.write_text(config().replace("[users]", f"[plans.free]\nallowance = {limit}\n{_LIMITS}[users]"))
        found = [*check_users(load_config(file, {}), Registry({}, ()))]
        assert found[0].verdict == verdict, found
