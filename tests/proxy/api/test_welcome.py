"""/ is a page for a browser and JSON for a program; nothing runs in the page but its own script."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest

from tests.proxy.api.inside import Inside

CHROMIUM = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


@pytest.mark.parametrize("accept", [CHROMIUM, "text/html", "text/html;q=0.9, application/json;q=0.8"])
async def test_a_browser_gets_the_page(server: Inside, accept: str) -> None:
    answer = await server.ask("GET", "/", key="", accept=accept)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "<h1>What shall be said?</h1>" in answer.text
    assert answer.headers["vary"] == "accept"


@pytest.mark.parametrize(
    "accept",
    [
        "*/*",
        "",
        "application/json",
        "application/json, text/plain, */*",
        "application/json, text/html",
        "application/*, text/html;q=0.1",
        "text/html;q=0",
        "text/html;q=nonsense",
    ],
)
async def test_a_program_gets_json(server: Inside, accept: str) -> None:
    answer = await server.ask("GET", "/", key="", accept=accept)
    assert answer.json()["base_url"] == "http://voxgate.test/v1"
    assert answer.headers["vary"] == "accept"


async def test_a_base_url_is_never_a_page(server: Inside) -> None:
    assert (await server.ask("GET", "/v1", key="", accept=CHROMIUM)).json()["name"] == "voxgate"


async def test_nothing_runs_in_the_page_but_its_own_script_and_style(server: Inside) -> None:
    answer = await server.ask("GET", "/", key="", accept=CHROMIUM)
    policy = dict(
        directive.strip().split(" ", 1) for directive in answer.headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    for tag in ("script", "style"):
        [text] = re.findall(rf"<{tag}[^>]*>(.*?)</{tag}>", answer.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert policy[f"{tag}-src"] == f"'sha256-{digest}'"
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"


async def test_the_page_may_hear_the_microphone_and_see_nothing(server: Inside) -> None:
    answer = await server.ask("GET", "/", key="", accept=CHROMIUM)
    assert answer.headers["permissions-policy"] == "microphone=(self), camera=(), geolocation=()"


async def test_the_page_names_no_other_host(server: Inside) -> None:
    page = (await server.ask("GET", "/", key="", accept=CHROMIUM)).text
    assert set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\s'\"]*", page)) <= {"http://www.w3.org/2000/svg"}
