"""A plugin of pytest: each server that a test starts is two, with one database and one vault, behind nginx.

`pytest -p tests.features.cluster.beside` runs tests that know nothing of it: of two requests in a row, each
server gets one. `VOXGATE_TEST_VAULT` says where recordings lie: in a folder or in a bucket.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests import server as servers
from tests.databases import Postgres, postgres
from tests.features.cluster.gateways import FOLDER, SHARED
from tests.features.cluster.rig import key
from tests.programs import program
from tests.proxy.file_store.buckets import BUCKET, make_bucket, moto
from tests.redis_server import RedisServer, redis_server
from tests.server import ALONE, Server, free_port, stop
from tests.waiting import until

_NGINX = """
daemon off; pid {folder}/pid; error_log {folder}/error;
events {{ worker_connections 256; }}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream both {{ server {first}; server {second}; }}
  server {{
    listen 127.0.0.1:{port};
    client_max_body_size 0;
    location / {{
      proxy_pass http://both;
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_request_buffering off;
      proxy_next_upstream off;
      proxy_read_timeout 600s;
    }}
  }}
}}
"""
_started = ExitStack()
_running = servers.running
_shared: list[tuple[Postgres, RedisServer]] = []


@contextmanager
def two(folder: Path, config: str | None = ALONE, **options: Any) -> Iterator[Server]:
    if config is None or any(section in config for section in ("[storage]", "[limits]", "[vault]")):
        raise pytest.UsageError("a test whose server shares by itself cannot be one of two")
    database, redis = _things()
    (folder / "key").write_text(key(1))
    is_bucket = os.environ["VOXGATE_TEST_VAULT"] == "bucket"
    vault = BUCKET.format(bucket=make_bucket(), endpoint=moto()) if is_bucket else FOLDER
    url = database.url(search_path=database.new_schema())
    config += SHARED.format(url=url, redis=redis.url, folder=folder, vault=vault.format(folder=folder))
    other = folder / "the other one"
    other.mkdir()
    for file in folder.glob("*.pem"):
        (other / file.name).symlink_to(file)
    with (
        _running(folder, config, **options) as first,
        _running(other, config, **options) as second,
        _balanced(folder, first, second) as address,
    ):
        yield first._replace(url=address)


def _things() -> tuple[Postgres, RedisServer]:
    if not _shared:
        _shared.append((_started.enter_context(postgres()), _started.enter_context(redis_server())))
    return _shared[0]


@contextmanager
def _balanced(folder: Path, *both: Server) -> Iterator[str]:
    first, second = (each.url.removeprefix("http://") for each in both)
    port, nginx = free_port(), program("nginx")
    # As root, its workers run as another user, who cannot look into a folder of pytest.
    place = Path(tempfile.mkdtemp(prefix="vg"))
    place.chmod(0o777)
    file = place / "nginx.conf"
    file.write_text(_NGINX.format(folder=place, first=first, second=second, port=port))
    process = subprocess.Popen([nginx.file, "-c", str(file), "-p", str(place)], env=dict(nginx.environ))
    try:
        until(lambda: _answers(f"http://127.0.0.1:{port}"))
        yield f"http://127.0.0.1:{port}"
    finally:
        stop(process)


def _answers(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/readyz").is_success
    except httpx2.TransportError:
        return False


servers.running = two  # before a test imports it


def pytest_unconfigure() -> None:
    _started.close()
