"""/ is a page for a browser and JSON for a program; only the files of its version run in the page."""

import asyncio
import re
from collections.abc import Sequence
from typing import Any

import pytest

from proxy.features.pages import welcome
from proxy.features.pages.openapi import openapi_document
from proxy.http.endpoint import Endpoint
from tests.proxy.api.inside import Inside
from tests.tables import each_row

CHROMIUM = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


@each_row("accept", [CHROMIUM, "text/html", "text/html;q=0.9, application/json;q=0.8"])
async def test_a_browser_gets_the_page(server: Inside, accept: str) -> None:
    answer = await server.ask("GET", "/", key="", accept=accept)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert '<textarea id="early"' in answer.text
    assert answer.headers["vary"].startswith("accept, ")


@each_row(
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


async def test_the_page_runs_its_own_files_alone(server: Inside) -> None:
    answer = await server.ask("GET", "/", key="", accept=CHROMIUM)
    policy = dict(
        directive.strip().split(" ", 1) for directive in answer.headers["content-security-policy"].split(";")
    )
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "connect-src": "'self'",
        "img-src": "'self' data:",
        "media-src": "'self' blob:",
        "trusted-types": "lit-html",
        "require-trusted-types-for": "'script'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon\w+=", answer.text)


async def test_the_files_of_the_page_are_kept_for_ever_and_only_of_this_version(server: Inside) -> None:
    html = (await server.ask("GET", "/", key="", accept=CHROMIUM)).text
    paths = re.findall(r'(?:href|src)="(console/[^"]+)"', html)
    assert len(paths) == 2
    for path in paths:
        answer = await server.ask("GET", f"/{path}", key="", **{"accept-encoding": "gzip"})
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.headers["x-content-type-options"] == "nosniff"
    build = paths[0].split("/")[1]
    plain = await server.ask("GET", f"/console/{build}/head.js", key="", **{"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert b"MODULES" in plain.content
    for other in (f"/console/{'0' * 16}/head.js", f"/console/{build}/shell.html"):
        assert (await server.ask("GET", other, key="")).status_code == 404


async def test_the_page_may_hear_the_microphone_and_see_nothing(server: Inside) -> None:
    answer = await server.ask("GET", "/", key="", accept=CHROMIUM)
    assert answer.headers["permissions-policy"] == "microphone=(self), camera=(), geolocation=()"


async def test_the_page_names_no_other_host(server: Inside) -> None:
    page = (await server.ask("GET", "/", key="", accept=CHROMIUM)).text
    assert set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\s'\"]*", page)) <= {"http://www.w3.org/2000/svg"}


@each_row(("path", "least"), [("/docs", 500_000), ("/openapi.json", 200_000)])
async def test_the_documents_are_made_once_for_all_and_sent_compressed(
    server: Inside, monkeypatch: pytest.MonkeyPatch, path: str, least: int
) -> None:
    made = list[int]()

    def counted(endpoints: Sequence[Endpoint], public_catalogue: bool) -> dict[str, Any]:
        made.append(len(endpoints))
        return openapi_document(endpoints, public_catalogue)

    monkeypatch.setattr(welcome, "openapi_document", counted)
    server.worker.revise(server.worker.kernel.config)
    takes = ("gzip, br", "*, gzip;q=0.5", "identity", "gzip;q=0, identity")
    asked = (server.ask("GET", path, key="", **{"accept-encoding": each}) for each in takes * 6)
    answers = await asyncio.gather(*asked)
    assert len(made) == 1
    assert len({answer.content for answer in answers}) == 1
    assert len(answers[0].content) > least
    for answer, wanted in zip(answers, ("gzip", "gzip", None, None) * 6, strict=True):
        assert answer.headers.get("content-encoding") == wanted
        assert answer.headers["vary"] == "accept-encoding"
        assert (int(answer.headers["content-length"]) < least / 4) is (wanted == "gzip")
