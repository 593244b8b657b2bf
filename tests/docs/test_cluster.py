"""docs/machines.md, from one server to three behind nginx, and its change of a key."""

import re
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.databases import Postgres
from tests.docs import found, pages
from tests.features.cluster.gateways import new_voice, nginx
from tests.programs import program
from tests.redis_server import RedisServer
from tests.server import ALONE, Server, free_port, running
from tests.waiting import until

pytestmark = pytest.mark.slow

_PAGE = pages.ROOT / "docs" / "machines.md"
_TEXT = _PAGE.read_text()
_COMMANDS = [
    line[2:]
    for block in pages.blocks(_PAGE, "console")
    for line in block.text.splitlines()
    if block.line < _TEXT[: _TEXT.index("## Engines on other machines")].count("\n")
]
_HERE = {"VOXGATE_SERVER__HOST": "127.0.0.1"}
_SPOKEN = {"model": "tone", "input": "Hello.", "response_format": "pcm"}


def _configuration(folder: Path, url: str, redis: str) -> str:
    block = pages.blocks(_PAGE, "toml")[0]
    default, _, engines = ALONE.partition("[engines.tone]")
    text = block.text.replace("[server]", default).replace("10.0.0.10", "127.0.0.1")
    text = re.sub(r'"postgresql://.*"', f'"{url}"', re.sub(r'"redis://.*"', f'"{redis}"', text))
    return text.replace("/srv/voxgate", str(folder)) + "[engines.tone]" + engines


@contextmanager
def _nginx(folder: Path, servers: Sequence[Server]) -> Iterator[str]:
    """Run it with the page's configuration, and with ports in place of the addresses and of TLS."""
    (block,) = pages.blocks(_PAGE, "nginx")
    port = free_port()
    text = re.sub(r"listen 443 ssl;\n(.*\n){3}", f"listen 127.0.0.1:{port};\n", block.text)
    for number, server in enumerate(servers, 11):
        text = text.replace(f"10.0.0.{number}:8000", server.url.removeprefix("http://"))
    with nginx(folder, port, text) as url:
        yield url


def _run(server: Server, command: str) -> str:
    return server.cli(*command.removeprefix("voxgate ").split()).stdout


def _shell(commands: Sequence[str], folder: Path, shared: Path) -> None:
    for command in commands:
        subprocess.run(["bash", "-c", command.replace("/srv/voxgate", str(shared))], cwd=folder, check=True)


class Site(NamedTuple):
    """The three servers of the page, and a client of nginx with a voice that the first one made."""

    servers: list[Server]
    config: str
    client: httpx2.Client
    voice: str


@pytest.fixture(scope="module")
def site(
    shared_postgres: Postgres, shared_redis: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    program("nginx")  # it skips the tests where there is none
    place, url = (
        tmp_path_factory.mktemp("page"),
        shared_postgres.url(search_path=shared_postgres.new_schema()),
    )
    one, two, three = (place / name for name in ("one", "two", "three"))
    for folder in (one, two, three, place / "voices"):
        folder.mkdir()
    with running(one, f'{ALONE}[storage]\nurl = "{url}"\n[limits]\nurl = "{shared_redis.url}"\n') as first:
        key = first.mint_key("ana", plan="unlimited").secret
        with first.client(key) as client:
            voice = new_voice(client)
    _shell([command for command in _COMMANDS if command.startswith("cp ")], one, place)
    config = _configuration(place, url, shared_redis.url)
    for folder in (two, three):
        (folder / "master-key").write_bytes((one / "master-key").read_bytes())
    with ExitStack() as stack:
        servers = [
            stack.enter_context(running(folder, config, environ=_HERE)) for folder in (one, two, three)
        ]
        address = stack.enter_context(_nginx(place, servers))
        headers = {"authorization": f"Bearer {key}", "host": "speech.example.org"}
        client = stack.enter_context(httpx2.Client(base_url=address, headers=headers, timeout=30.0))
        yield Site(servers, config, client, voice)


def test_the_voice_of_the_first_server_is_heard_through_nginx_as_a_stream(site: Site) -> None:
    _expect_speech(site.client, site.voice)
    hanging = {**_SPOKEN, "voice": "tone/hang-late"}
    with site.client.stream("POST", "/v1/audio/speech", json=hanging) as answer:
        assert next(answer.iter_raw()), "nginx passes on what is spoken at once"


def test_the_machines_are_shown_as_on_the_page(site: Site) -> None:
    (block,) = [each for each in pages.blocks(_PAGE, "console") if "$ voxgate machines" in each.text]
    shown = _run(site.servers[1], "voxgate machines").splitlines()
    head, *rows = block.text.splitlines()[1:]
    assert shown[0].split()[: len(head.split())] == head.split()
    # Names of one host have the data folder, which may take a second line.
    assert sum(" alive " in line for line in shown) == len([line for line in rows if " alive " in line])
    assert sum("server, leads" in line for line in shown) == 1
    metrics = re.findall(r"^# TYPE (\w+)", httpx2.get(site.servers[1].metrics).text, re.MULTILINE)
    assert set(re.findall(r"`(voxgate_machines\w*)", _TEXT)) <= set(metrics)


@pytest.mark.soak
def test_the_master_key_is_changed_in_the_three_steps_of_the_page(site: Site) -> None:
    _expect_another_key(site.servers, site.config)
    _expect_speech(site.client, site.voice)


def test_when_a_server_dies_nginx_asks_the_others(site: Site) -> None:
    site.servers[2].process.kill()
    site.servers[2].process.wait()
    # Its worker says first that it leaves, and serves until then.
    until(lambda: not _listens(site.servers[2].url))
    _expect_speech(site.client, site.voice)


def _listens(url: str) -> bool:
    address = urlsplit(url)
    try:
        socket.create_connection((str(address.hostname), int(address.port or 0))).close()
    except ConnectionRefusedError:
        return False
    return True


def _expect_speech(client: httpx2.Client, voice: str) -> None:
    answers = [client.post("/v1/audio/speech", json={**_SPOKEN, "voice": voice}) for _ in range(6)]
    assert [each.status_code for each in answers] == [200] * 6, [each.text for each in answers]


def _expect_another_key(servers: Sequence[Server], config: str) -> None:
    """The three steps, each on all servers before the next."""
    section = pages.section(_TEXT, "Change a key")
    joins, newest, old = re.findall(r"`((?:old_)?master_keys? = [^`]+)`", section)
    commands = re.findall(r"^\s*\$ (voxgate .+)$", section, re.MULTILINE)
    assert commands == ["voxgate reload --all", commands[1], commands[2], "voxgate reload --all"]
    making = next(command for command in _COMMANDS if "> new-key" in command)
    _shell([making], servers[0].config.parent, Path())
    new = (servers[0].config.parent / "new-key").read_bytes()
    line = 'master_key = "file:master-key"\n'
    steps = (
        (f"{line}{joins}\n", commands[:1]),
        (f"{newest}\n{old}\n", commands[1:3]),
        (f"{newest}\n", commands[3:]),
    )
    for text, ordered in steps:
        for server in servers:
            (server.config.parent / "new-key").write_bytes(new)
            server.config.write_text(config.replace(line, text))
        for command in ordered:
            assert "refus" not in _run(servers[0], command)
    assert "They differ" not in _run(servers[0], "voxgate machines")


def test_each_command_of_the_page_exists() -> None:
    named = {command.usage.partition(" [")[0] for command in found.commands()}
    words = [command.split() for command in _COMMANDS if command.startswith("voxgate ")]
    usages = {" ".join(part for part in usage.split() if part.islower()) for usage in named}
    asked = {" ".join(part for part in each if part.islower() and not part.startswith("-")) for each in words}
    assert asked <= usages
