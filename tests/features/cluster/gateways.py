"""Real servers on one PostgreSQL, one Redis and one vault, and a balancer in front of them."""

import itertools
import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx2

from tests import speech_clips
from tests.features.cluster.rig import key
from tests.programs import program
from tests.replies import json_of
from tests.server import TONE, Server, running, stop
from tests.waiting import until

SHARED = """
[storage]
url = "{url}"
[limits]
url = "{redis}"
[vault]
{vault}
master_key = "file:{folder}/key"
"""
FOLDER = 'folder = "{folder}/vault"'
"""Where recordings lie: the part of the configuration that differs between kinds of vaults."""


_NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
{text}
}}
"""


@contextmanager
def nginx(folder: Path, port: int, text: str) -> Iterator[str]:
    """Run a real nginx that listens on this port of this host, as `text` says. Skips where there is none."""
    program_ = program("nginx")
    file = folder / "nginx.conf"
    file.write_text(_NGINX.format(folder=folder, text=text))
    command = [program_.file, "-c", str(file), "-p", str(folder)]
    subprocess.run([*command, "-t"], check=True, capture_output=True, env=dict(program_.environ))
    process = subprocess.Popen(command, env=dict(program_.environ))
    try:
        url = f"http://127.0.0.1:{port}"
        until(lambda: answers(url))
        yield url
    finally:
        stop(process)


def answers(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/readyz").is_success
    except httpx2.TransportError:
        return False


class Balancer(httpx2.BaseTransport):
    """Sends each request to the next server."""

    def __init__(self, servers: Sequence[Server]) -> None:
        self._transports = [httpx2.HTTPTransport() for _ in servers]
        self._next = itertools.cycle(zip(servers, self._transports, strict=True))

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        server, transport = next(self._next)
        request.url = httpx2.URL(server.url).join(request.url.raw_path.decode())
        return transport.handle_request(request)

    def close(self) -> None:
        for each in self._transports:
            each.close()


class Gateways(NamedTuple):
    folder: Path
    settings: str
    servers: list[Server]

    def client(self, key: str = "") -> httpx2.Client:
        """A client of the balancer: of two requests in a row, each server gets one."""
        headers = {"authorization": f"Bearer {key or self.servers[0].key}"}
        transport = Balancer(self.servers)
        return httpx2.Client(transport=transport, base_url="http://balancer", headers=headers, timeout=30.0)

    def cli(self, *arguments: str, check: bool = True) -> Any:
        done = self.servers[-1].cli(*arguments, "--json", check=check)
        return json.loads(done.stdout)

    def machines(self) -> list[dict[str, Any]]:
        return [each for each in self.cli("machines")["data"] if each["is_alive"]]


@contextmanager
def gateways(
    folder: Path,
    url: str,
    redis: str,
    *,
    count: int = 2,
    config: str = TONE,
    vault: str = FOLDER,
    environ: Mapping[str, str] | None = None,
) -> Iterator[Gateways]:
    """Servers with separate data folders, started one after the other."""
    (folder / "key").write_text(key(1))
    settings = config + SHARED.format(url=url, redis=redis, folder=folder, vault=vault.format(folder=folder))
    servers = []
    with ExitStack() as stack:
        for name in "abcdef"[:count]:
            (folder / name).mkdir()
            servers.append(stack.enter_context(running(folder / name, settings, environ=environ)))
        yield Gateways(folder, settings, servers)


def new_voice(client: httpx2.Client) -> str:
    """The id of a voice of a recording, with a consent."""
    agreed = {"name": "Ana", "language": "en", "statement": "Ana agreed on paper."}
    consent = json_of(client.post("/v1/audio/voice_consents", json=agreed))["id"]
    for _ in range(2):  # at each server
        assert json_of(client.get(f"/v1/audio/voice_consents/{consent}"))["name"] == "Ana"
    files, form = {"audio_sample": ("ana.wav", speech_clips.wav())}, {"name": "Ana", "consent": consent}
    return str(json_of(client.post("/v1/audio/voices", data=form, files=files))["id"])
