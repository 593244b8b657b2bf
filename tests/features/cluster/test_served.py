"""Two real servers on one PostgreSQL and one Redis, and the commands that reach both."""

import json
from collections.abc import Iterator

import pytest

from tests.commands import command
from tests.databases import Postgres
from tests.features.cluster.gateways import Gateways, gateways
from tests.features.cluster.rig import key
from tests.redis_server import RedisServer
from tests.server import running, stop

pytestmark = pytest.mark.slow_but("test_a_server_that_ends_is_gone_at_once_and_the_other_one_leads")


@pytest.fixture(scope="module")
def pair(
    shared_postgres: Postgres, shared_redis: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateways]:
    url = shared_postgres.url(search_path=shared_postgres.new_schema())
    with gateways(tmp_path_factory.mktemp("cluster"), url, shared_redis.url) as opened:
        yield opened


def test_both_are_shown_and_the_older_one_leads(pair: Gateways) -> None:
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


def test_orders_reach_both_and_are_refused_for_others(pair: Gateways) -> None:
    done = pair.cli("reload", "--all")
    assert [(each["is_silent"], each["refusal"]) for each in done["data"]] == [(False, "")] * 2
    loaded = pair.cli("engines", "load", "tone", "--all")
    assert [(each["is_silent"], each["refusal"]) for each in loaded["data"]] == [(False, "")] * 2
    refused = pair.servers[0].cli("reload", "--machine", "none", check=False)
    assert (refused.returncode, "There is no machine 'none'" in refused.stderr) == (1, True)
    both = pair.servers[0].cli("engines", "load", "tone", "--machine", "x", "--all", check=False)
    assert "not both" in both.stderr


def test_one_of_another_vault_and_key_does_not_start_and_names_them(pair: Gateways) -> None:
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


def test_a_command_without_a_server_sees_them_and_the_doctor_compares_them(pair: Gateways) -> None:
    (pair.folder / "d").mkdir()
    file = pair.folder / "d" / "config.toml"
    file.write_text(pair.settings)
    assert len(json.loads(command(file, "machines", "--json").stdout)["data"]) == 2
    findings = json.loads(command(file, "doctor", "--json", check=False).stdout)["data"]
    (found,) = [each for each in findings if each["check"] == "machines"]
    assert (found["state"], found["found"].startswith("2 on this database")) == ("ok", True)
    rotated = json.loads(command(file, "keys", "rotate-mark", "--json").stdout)
    assert (rotated["keys"], rotated["is_served"]) == (2, False)


def test_a_server_that_ends_is_gone_at_once_and_the_other_one_leads(pair: Gateways) -> None:
    assert stop(pair.servers[0].process) == 0
    (left,) = pair.machines()
    assert left["name"].endswith("/b/data")
