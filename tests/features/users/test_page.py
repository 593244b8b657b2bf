"""The page /sign-in in a real browser, under its own policy: a link signs in by its button alone."""

from __future__ import annotations

from pathlib import Path

from proxy.access.sessions import COOKIE
from tests.browser import chromium
from tests.replies import json_of
from tests.server import ALONE, running

_CONFIG = ALONE.replace("[server]", '[server]\npublic_url = "http://127.0.0.1:8000"', 1) + (
    '[users]\nsign_up = "invite"\nterms = "https://voxgate.test/terms?a=1&b=2"\n'
)
_ME = "fetch('/v1/me').then((answer) => answer.status)"


def test_a_link_that_is_pasted_into_the_open_page_signs_in_by_its_button(tmp_path: Path) -> None:
    with running(tmp_path, _CONFIG) as server, chromium(tmp_path / "profile") as tab:
        with server.control() as control:
            asked = control.post("/admin/users", json={"address": "ada@example.org"})
        secret = json_of(asked, 201)["link"].partition("#")[2]
        tab.open(f"{server.url}/sign-in")
        assert tab.run("!document.getElementById('ask').hidden")
        tab.run(f"location.hash = '#{secret}'")
        tab.wait("!document.getElementById('link').hidden")
        assert tab.run("location.href") == f"{server.url}/sign-in", "the secret leaves the history"
        assert tab.run(_ME) == 401
        tab.run("document.getElementById('spend').click()")
        tab.wait("document.getElementById('result').textContent.includes('ada@example.org')")
        assert tab.run(_ME) == 200
        assert COOKIE not in tab.run("document.cookie")
        assert tab.run("document.querySelector('main a').href") == "https://voxgate.test/terms?a=1&b=2"
        tab.open(f"{server.url}/v1/me")
        assert "invalid_api_key" in tab.run("document.body.textContent"), "no address line acts for a session"
        assert [each for each in tab.complaints if "Security" in each or "Trusted" in each] == []
