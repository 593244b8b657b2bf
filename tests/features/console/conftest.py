"""One browser for all tests of the console, a server with people, one without, an account for each test."""

import itertools
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.browser import Tab
from tests.features.console.console_page import PLAIN, Reader, forget, hearing_browser
from tests.features.console.people import People, people_at
from tests.server import TONE, MintedKey, Server, running

_TONE = TONE.replace("[engines.tone]", "[engines.tone]\ndelay_s = 0.001\nhears = true").replace(
    "[models]", '[models]\n"whisper-1" = ["tone/ears"]'
)
"""A training has thousands of steps, each of which takes this delay."""
CONFIG = f"""{_TONE}
[webhooks]
allow = ["127.0.0.1"]
[lexicons.brands]
ACME = "ack me"
[plans.creator]
price = "$5"
rpm = 1000
streams = 8
[plans.creator.prices]
clone = {{ credits = 300, per = "job" }}
[plans.waived]
consent = "waived"
voices_unused_days = 2
[plans.rules]
engines = ["espeak"]
[engines.studio]
plugin = "tone"
voices = []
speaks_samples = false
mixes = false
[plans.priced]
price = "$5"
allowance = 100000
rpm = 100000
streams = 8
prices.speech = {{ credits = 1, per = "second" }}
[plans.heard]
allowance = 1000
prices.transcription = {{ credits = 0.25, per = "second" }}
[plans.unkept]
history_days = 0
[plans.metered]
allowance = 100
[plans.sold]
price = "$1"
allowance = 60
rpm = 1000
prices.speech = {{ credits = 1, per = "character" }}
prices.conversion = {{ credits = 60, per = "minute" }}
prices.training = {{ credits = 20, per = "job" }}
"""
_NUMBERS = itertools.count(1)
_WANTED = (
    "Failed to load resource: (.* status of 4|net::ERR_(INCOMPLETE_CHUNKED_ENCODING|INTERNET_DISCONNECTED))"
    # A page without TLS.
    "|The Cross-Origin-Opener-Policy header has been ignored, because the URL's origin was untrustworthy"
)


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
    """A person with an account of their own, by a key."""
    key = server.mint_key(f"reader-{next(_NUMBERS)}", plan="creator")
    with _watched(browser, server.url):
        yield Reader(browser, server, key)
        assert not any(key.secret in url.partition("#")[0] for url in browser.requests)


@pytest.fixture(scope="session")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    with people_at(tmp_path_factory.mktemp("people")) as opened:
        yield opened


@pytest.fixture
def visitor(browser: Tab, people: People) -> Iterator[Reader]:
    """A person without a key, at the server where people sign in. The browser knows nothing of others."""
    browser.call("Network.clearBrowserCookies")
    browser.call("Storage.clearDataForOrigin", origin=people.server.url, storageTypes="all")
    with _watched(browser, people.server.url, people.provider_url, f"http://{PLAIN}:"):
        yield Reader(browser, people.server, MintedKey("", ""))
        assert not any("sign_in=" in url or "sk-vg-" in url for url in browser.requests)
    browser.call("Network.clearBrowserCookies")


@contextmanager
def _watched(browser: Tab, *places: str) -> Iterator[None]:
    """The page breaks no policy, says nothing in the console, and asks no other server."""
    browser.show(width=1280)
    forget(browser)
    browser.complaints.clear()
    browser.requests.clear()
    yield
    # A refusal or a break that a test wants is an entry of the browser's own.
    said = [each for each in browser.complaints if not re.match(_WANTED, each)]
    assert said == []
    assert browser.run("window.violations ?? []") == []
    strangers = [url for url in browser.requests if not url.startswith((*places, "about:", "blob:", "data:"))]
    assert strangers == []
