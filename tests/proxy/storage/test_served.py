"""`voxgate serve` over PostgreSQL, from outside: speech, keys, an outage, and back."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import Postgres, postgres
from tests.fixtures import opened
from tests.server import TONE, Server, running

pytestmark = pytest.mark.slow


database = opened(postgres, scope="module")


@pytest.fixture(scope="module")
def server(database: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("served")
    (folder / "database-url").write_text(f"{database.url()}\n")
    with running(folder, f'{TONE}\n[storage]\nurl = "file:database-url"\n') as started:
        yield started


def test_a_speech_is_on_record_in_postgresql(server: Server, database: Postgres) -> None:
    answer = server.speech("Said over PostgreSQL.")
    assert answer.status_code == 200
    assert database.psql(f"SELECT outcome FROM usage WHERE id = '{answer.headers['x-request-id']}'") == [
        "finished"
    ]
    assert not (server.data / "voxgate.db").exists()


def test_the_command_line_makes_and_ends_keys_beside_it(server: Server, database: Postgres) -> None:
    server.cli("accounts", "create", "ada")
    made = json.loads(server.cli("keys", "create", "--account", "ada", "--json").stdout)
    with server.client(made["key"]) as client:
        assert client.get("/v1/models").status_code == 200
        server.cli("keys", "revoke", made["id"])
        assert client.get("/v1/models").status_code == 401
    assert database.psql(f"SELECT count(revoked) FROM keys WHERE id = '{made['id']}'") == ["1"]


def test_the_command_line_alone_works_on_the_same_database(
    database: Postgres, server: Server, tmp_path: Path
) -> None:
    """With a data folder of its own, as on another machine: no server there, so it opens the database."""
    (tmp_path / "config.toml").write_text(f'[storage]\nurl = "{database.url()}"\n')
    alone = server._replace(config=tmp_path / "config.toml")
    made = json.loads(alone.cli("accounts", "create", "bob", "--json").stdout)
    listed = json.loads(server.cli("accounts", "list", "--json").stdout)
    assert made["id"] in [account["id"] for account in listed["data"]]


def test_a_wrong_password_is_one_line_without_it(database: Postgres, server: Server, tmp_path: Path) -> None:
    url = database.url().replace(":hunter2@", ":swordfish@")
    (tmp_path / "config.toml").write_text(f'[storage]\nurl = "{url}"\n')
    failed = server._replace(config=tmp_path / "config.toml").cli("accounts", "list", check=False)
    assert failed.returncode == 1
    assert failed.stderr.count("\n") == 1
    assert "password authentication failed" in failed.stderr
    assert "swordfish" not in failed.stderr
