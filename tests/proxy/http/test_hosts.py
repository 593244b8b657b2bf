"""Under which names the API answers, if its operator has listed them."""

from pathlib import Path

import msgspec
import pytest

from proxy.config.sections import Server
from tests.proxy.api.inside import TONE, inside
from tests.proxy.http.sockets import Address, Patient, RawAnswer, ask, serving
from tests.tables import each_row


async def _answer(address: Address, *hosts: str, path: str = "/v1/models", key: str = "") -> RawAnswer:
    lines = [f"GET {path} HTTP/1.1", *(f"Host: {host}" for host in hosts), "Connection: close"]
    return await ask(address, "\r\n".join([*lines, f"Authorization: Bearer {key}", "", ""]).encode())


async def test_only_listed_names_are_answered(tmp_path: Path) -> None:
    config = TONE.replace("[server]", '[server]\nhosts = ["Api.example.org", "*.voices.example", "[::1]"]')
    async with inside(tmp_path, config) as server, serving(server.worker.public, Patient) as address:
        for good in ("api.example.org", "API.EXAMPLE.ORG:8000", "a.voices.example", "[::1]:8000"):
            assert (await _answer(address, good, key=server.key)).status == 200
        for bad in ("example.org", "voices.example", "x.api.example.org", "127.0.0.1", "[::2]", "["):
            answer = await _answer(address, bad, key=server.key)
            assert (answer.status, answer.error["code"]) == (421, "unknown_host")
            assert answer.error["param"] == "Host"
        assert (await _answer(address, key=server.key)).status == 421
        assert (await _answer(address, "api.example.org", "evil.example", key=server.key)).status == 421


async def test_a_foreign_page_learns_nothing_of_a_key(tmp_path: Path) -> None:
    config = TONE.replace("[server]", '[server]\nhosts = ["api.example.org"]')
    async with inside(tmp_path, config) as server, serving(server.worker.public, Patient) as address:
        assert (await _answer(address, "evil.example", key="sk-vg-wrong")).status == 421
        assert (await _answer(address, "evil.example", path="/", key="")).status == 421


async def test_health_is_answered_under_any_name(tmp_path: Path) -> None:
    config = TONE.replace("[server]", '[server]\nhosts = ["api.example.org"]')
    async with inside(tmp_path, config) as server, serving(server.worker.public, Patient) as address:
        head = b"GET /healthz HTTP/1.1\r\nHost: 10.0.0.7:8000\r\nConnection: close\r\n\r\n"
        assert (await ask(address, head)).status == 200


async def test_without_a_list_any_name_is_good(tmp_path: Path) -> None:
    async with inside(tmp_path) as server, serving(server.worker.public, Patient) as address:
        assert (await _answer(address, "anything.example", key=server.key)).status == 200


@each_row("name", ["", "api.example.org:8000", "https://api.example.org", "a b", "*", "*."])
def test_what_is_no_name_is_no_setting(name: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"hosts": [name]}, Server)
