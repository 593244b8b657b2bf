"""A plugin of pytest: each server that a test starts is two, with one database and one vault, behind nginx.

`pytest -p tests.features.cluster.beside` runs tests that know nothing of it: of two requests in a row, each
server gets one. `VOXGATE_TEST_VAULT` says where recordings lie: in a folder or in a bucket.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests import server as servers
from tests.databases import Postgres, postgres
from tests.features.cluster.gateways import FOLDER, SHARED, nginx
from tests.features.cluster.rig import key
from tests.proxy.file_store.buckets import BUCKET, make_bucket, s3_address
from tests.redis_server import RedisServer, redis_server
from tests.server import ALONE, Server, free_port

_BALANCED = """
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
    vault = BUCKET.format(bucket=make_bucket(), endpoint=s3_address()) if is_bucket else FOLDER
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


def _balanced(folder: Path, *both: Server) -> AbstractContextManager[str]:
    first, second = (each.url.removeprefix("http://") for each in both)
    port = free_port()
    return nginx(folder, port, _BALANCED.format(first=first, second=second, port=port))


servers.running = two  # before a test imports it


def pytest_unconfigure() -> None:
    _started.close()
