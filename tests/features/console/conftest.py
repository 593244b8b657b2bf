"""One server and one browser for all tests of the console, and an account for each test."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

import pytest

from tests.browser import Tab
from tests.features.console.console_page import Reader, hearing_browser
from tests.server import TONE, Server, running

_TONE = TONE.replace("[engines.tone]", "[engines.tone]\ndelay_s = 0.001")
"""A training has thousands of steps, each of which takes this delay."""
CONFIG = f"""{_TONE}
[plans.creator]
price = "$5"
rpm = 1000
streams = 8
[plans.metered]
price = "$1"
allowance = 60
rpm = 1000
prices.speech = {{ credits = 1, per = "character" }}
prices.conversion = {{ credits = 60, per = "minute" }}
prices.training = {{ credits = 20, per = "job" }}
"""
_NUMBERS = itertools.count(1)
_WANTED = "Failed to load resource: (.* status of 4|net::ERR_INCOMPLETE_CHUNKED_ENCODING)"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("console"), CONFIG) as opened:
        yield opened


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with hearing_browser(tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@pytest.fixture
def reader(browser: Tab, server: Server) -> Iterator[Reader]:
    """A person with an account of their own. The page breaks no policy, says nothing in the console, and asks
    no other server."""
    key = server.mint_key(f"reader-{next(_NUMBERS)}", plan="creator")
    browser.show(width=1280)
    browser.complaints.clear()
    browser.requests.clear()
    yield Reader(browser, server, key)
    # A refusal or a break that a test wants is an entry of the browser's own.
    said = [each for each in browser.complaints if not re.match(_WANTED, each)]
    assert said == []
    assert browser.run("window.violations ?? []") == []
    strangers = [
        url for url in browser.requests if not url.startswith((server.url, "about:", "blob:", "data:"))
    ]
    assert strangers == []
    assert not any(key.secret in url.partition("#")[0] for url in browser.requests)
