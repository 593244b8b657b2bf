"""Two real servers on one PostgreSQL and one Redis, and the commands that reach both."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.commands import command
from tests.databases import Postgres
from tests.features.cluster.rig import key
from tests.redis_server import RedisServer
from tests.server import TONE, Server, running, stop

SETTINGS = (
    TONE
    + """
[storage]
url = "{url}"
[limits]
url = "{redis}"
[vault]
folder = "{folder}/vault"
master_key = "file:{folder}/key"
"""
)


class Pair(NamedTuple):
    folder: Path
    settings: str
    servers: list[Server]

    def cli(self, *arguments: str, check: bool = True) -> Any:
        done = self.servers[1].cli(*arguments, "--json", check=check)
        return json.loads(done.stdout)

    def machines(self) -> list[dict[str, Any]]:
        return [each for each in self.cli("machines")["data"] if each["is_alive"]]


@pytest.fixture(scope="module")
def pair(
    shared_postgres: Postgres, shared_redis: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("cluster")
    (folder / "key").write_text(key(1))
    url = shared_postgres.url(search_path=shared_postgres.new_schema())
    settings = SETTINGS.format(url=url, redis=shared_redis.url, folder=folder)
    for name in "ab":
        (folder / name).mkdir()
    with running(folder / "a", settings) as first, running(folder / "b", settings) as second:
        yield Pair(folder, settings, [first, second])


def test_both_are_shown_and_the_older_one_leads(pair: Pair) -> None:
    first, second = pair.machines()
    assert (first["leads"], second["leads"]) == (True, False)
    assert (first["keys"], first["config"]) == (second["keys"], second["config"])
    assert [len(ids) for ids in first["keys"].values()] == [1, 1, 1]
    assert not (pair.folder / "a" / "data" / "mark-keys").exists()
    assert 'voxgate_machines{kind="server"}' in pair.servers[0].client().get(pair.servers[0].metrics).text
    shown = pair.servers[0].cli("machines").stdout
    assert "server, leads" in shown
    assert "They differ" not in shown
    assert pair.servers[0].cli("engines", "--all").stdout.count("tone") == 2


def test_a_clip_and_a_receipt_of_one_server_are_known_to_the_other(pair: Pair) -> None:
    first, second = pair.servers
    answer = first.speech(
        "This was said by the first of two servers, and it is long enough for a mark to be found.",
        model="espeak/standard",
        response_format="wav",
    )
    with second.client() as client:
        keys = client.get("/v1/audio/receipts/keys").json()["keys"]
        found = client.post("/v1/audio/marks/detect", files={"file": ("a.wav", answer.content)}).json()
    with first.client() as client:
        receipt = client.get(f"/v1/audio/receipts/{answer.headers['x-request-id']}").json()
    assert receipt["jwk"] in keys
    assert (found["found"], found["marks"][0]["is_ours"]) == (True, True), found


def test_orders_reach_both_and_are_refused_for_others(pair: Pair) -> None:
    done = pair.cli("reload", "--all")
    assert [(each["is_silent"], each["refusal"]) for each in done["data"]] == [(False, "")] * 2
    refused = pair.servers[0].cli("reload", "--machine", "none", check=False)
    assert (refused.returncode, "There is no machine 'none'" in refused.stderr) == (1, True)
    both = pair.servers[0].cli("engines", "load", "tone", "--machine", "x", "--all", check=False)
    assert "not both" in both.stderr


def test_one_of_another_vault_and_key_does_not_start_and_names_them(pair: Pair) -> None:
    (pair.folder / "other").write_text(key(2))
    (pair.folder / "c").mkdir()
    settings = pair.settings.replace("/key", "/other").replace("/vault", "/elsewhere")
    with (
        pytest.raises(AssertionError, match="could not start") as refused,
        running(pair.folder / "c", settings),
    ):
        pytest.fail("it started")
    assert "vault.master_key: the newest master key of machine" in str(refused.value)
    assert "vault.folder" in str(refused.value)
    assert len(pair.machines()) == 2


def test_a_command_without_a_server_sees_them_and_the_doctor_compares_them(pair: Pair) -> None:
    (pair.folder / "d").mkdir()
    file = pair.folder / "d" / "config.toml"
    file.write_text(pair.settings)
    assert len(json.loads(command(file, "machines", "--json").stdout)["data"]) == 2
    findings = json.loads(command(file, "doctor", "--json", check=False).stdout)["data"]
    (found,) = [each for each in findings if each["check"] == "machines"]
    assert (found["state"], found["found"].startswith("2 on this database")) == ("ok", True)
    rotated = json.loads(command(file, "keys", "rotate-receipt", "--json").stdout)
    assert (rotated["keys"], rotated["is_served"]) == (2, False)


def test_a_server_that_ends_is_gone_at_once_and_the_other_one_leads(pair: Pair) -> None:
    assert stop(pair.servers[0].process) == 0
    (left,) = pair.machines()
    assert left["name"].endswith("/b/data")
