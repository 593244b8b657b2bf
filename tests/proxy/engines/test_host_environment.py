"""What a host finds in its environment: nothing that a configuration calls a secret."""

from __future__ import annotations

from collections.abc import Iterator

import psutil
import pytest

from proxy.config.secret import environ_for_hosts, variables
from tests.server import TONE, Server, running

SECRET = "sk-never-to-be-told"
CLOUD = """
[engines.cloud]
plugin = "tone"
api_key = ["env:CLOUD_KEY", "plain"]
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    environ = {"CLOUD_KEY": SECRET, "VOXGATE_ENGINES__CLOUD__MORE": SECRET, "PLAIN_VARIABLE": "seen"}
    with running(tmp_path_factory.mktemp("environment"), TONE + CLOUD, environ=environ) as started:
        yield started


def test_a_host_inherits_no_secret_and_the_rest(server: Server) -> None:
    children = psutil.Process(server.process.pid).children(recursive=True)
    hosts = [child for child in children if "speech_engine.host" in child.cmdline()]
    assert hosts
    for host in hosts:
        environ = host.environ()
        assert environ["PLAIN_VARIABLE"] == "seen"
        assert SECRET not in environ.values()
        assert "CLOUD_KEY" not in environ
    assert server.speech("Hello.").status_code == 200


def test_the_names_are_found_wherever_they_stand() -> None:
    raw = {
        "storage": {"url": "env:DB"},
        "engines": {"a": {"api_key": ["env:A", "file:b", "plain"]}, "b": {"deep": {"er": "env:B"}, "n": 3}},
        "text": "environment",
    }
    assert sorted(variables(raw)) == ["A", "B", "DB"]


def test_everything_else_in_the_environment_is_left() -> None:
    environ = {
        "A": "1",
        "PATH": "/bin",
        "PGPASSWORD": "2",
        "VOXGATE_STORAGE__URL": "3",
        "VOXGATE_CONFIG": "c",
    }
    assert environ_for_hosts(environ, ("A", "NOT_THERE")) == {"PATH": "/bin", "VOXGATE_CONFIG": "c"}
