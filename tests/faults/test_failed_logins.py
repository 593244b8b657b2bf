"""Wrong keys over a real port: slowed by the address they really come from, whatever a header says."""

from collections.abc import Iterator

import httpx2
import pytest

from proxy.access.logins import MOST_BY_ADDRESS
from proxy.storage import api_key
from tests.server import ALONE, Server, live_server, reconfigured

server = live_server()


@pytest.fixture
def behind_a_proxy(server: Server) -> Iterator[Server]:
    """The same, while it believes what comes from this machine."""
    with reconfigured(server, ALONE.replace("[server]", '[server]\ntrusted_proxies = ["127.0.0.1"]')):
        yield server


def _ask(server: Server, key: str = "", forwarded: str = "") -> httpx2.Response:
    headers = {"authorization": f"Bearer {key or api_key.mint().reveal()}"}
    if forwarded:
        headers["x-forwarded-for"] = forwarded
    return httpx2.get(f"{server.url}/v1/models", headers=headers)


def _use_up(server: Server, *forwarded: str) -> None:
    """By as many failures as an address may have; each comes with the next of these headers."""
    for number in range(MOST_BY_ADDRESS):
        answer = _ask(server, forwarded=forwarded[number % len(forwarded)] if forwarded else "")
        assert answer.status_code == 401, number


def _expect_slowed(answer: httpx2.Response) -> None:
    assert answer.status_code == 429
    assert answer.json()["error"]["code"] == "rate_limit_exceeded"
    assert 1 <= int(answer.headers["retry-after"]) <= 60


def test_no_header_helps_who_guesses_and_who_is_known_passes(server: Server) -> None:
    assert _ask(server, server.key).status_code == 200
    _use_up(server, *(f"192.0.2.{number}" for number in range(MOST_BY_ADDRESS)))
    for header in ("", "198.51.100.1", "127.0.0.2, 198.51.100.2"):
        _expect_slowed(_ask(server, forwarded=header))
    assert _ask(server, server.key).status_code == 200
    assert httpx2.get(f"{server.url}/v1/models").status_code == 401, "no key is no guess"


def test_a_trusted_proxy_says_who_it_is(behind_a_proxy: Server) -> None:
    _use_up(behind_a_proxy, "198.51.100.1")
    _expect_slowed(_ask(behind_a_proxy, forwarded="198.51.100.1"))
    assert _ask(behind_a_proxy, forwarded="198.51.100.2").status_code == 401
    assert _ask(behind_a_proxy, behind_a_proxy.key, forwarded="198.51.100.2").status_code == 200


def test_an_address_that_a_client_writes_before_the_proxy_is_not_believed(behind_a_proxy: Server) -> None:
    _use_up(behind_a_proxy, *(f"192.0.2.{number}, 198.51.100.3" for number in range(MOST_BY_ADDRESS)))
    _expect_slowed(_ask(behind_a_proxy, forwarded="198.51.100.99, 198.51.100.3"))


def test_a_network_of_ipv6_is_one_client(behind_a_proxy: Server) -> None:
    _use_up(behind_a_proxy, *(f"2001:db8:7:7::{number}" for number in range(MOST_BY_ADDRESS)))
    _expect_slowed(_ask(behind_a_proxy, forwarded="[2001:db8:7:7:1::1]:4711"))
    assert _ask(behind_a_proxy, forwarded="2001:db8:7:8::1").status_code == 401
