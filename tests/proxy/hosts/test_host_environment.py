"""What a host finds in its environment: what a process needs, and none of the server's secrets."""

from collections.abc import Iterator

import psutil
import pytest

from proxy.config.secret import environ_for_hosts, variables
from proxy.helpers.child import HOST_NICENESS
from tests.server import TONE, Server, running

pytestmark = pytest.mark.slow

SECRET = "sk-never-to-be-told"
CLOUD = """
[engines.cloud]
plugin = "tone"
api_key = ["env:CLOUD_KEY", "plain"]
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    environ = {
        "CLOUD_KEY": SECRET,
        "VOXGATE_ENGINES__CLOUD__MORE": SECRET,
        "OMP_NUM_THREADS": "2",
        "UNNAMED": SECRET,
    }
    with running(tmp_path_factory.mktemp("environment"), TONE + CLOUD, environ=environ) as started:
        yield started


def test_a_host_inherits_what_it_needs_and_no_secret(server: Server) -> None:
    children = psutil.Process(server.process.pid).children(recursive=True)
    hosts = [child for child in children if "speech_engine.host" in child.cmdline()]
    assert hosts
    for host in hosts:
        environ = host.environ()
        assert environ["OMP_NUM_THREADS"] == "2"
        assert SECRET not in environ.values()
        assert "CLOUD_KEY" not in environ
        assert host.nice() == min(psutil.Process().nice() + HOST_NICENESS, 19)
    assert server.speech("Hello.").status_code == 200


def test_the_names_are_found_wherever_they_stand() -> None:
    raw = {
        "storage": {"url": "env:DB"},
        "engines": {"a": {"api_key": ["env:A", "file:b", "plain"]}, "b": {"deep": {"er": "env:B"}, "n": 3}},
        "text": "environment",
    }
    assert sorted(variables(raw)) == ["A", "B", "DB"]


def test_only_what_a_process_needs_is_left_in_the_environment() -> None:
    kept = {"PATH": "/bin", "VOXGATE_CONFIG": "c", "CUDA_VISIBLE_DEVICES": "0", "LC_ALL": "C"}
    hidden = {
        "A": "1",
        "PGPASSWORD": "2",
        "VOXGATE_STORAGE__URL": "3",
        "AWS_ACCESS_KEY_ID": "4",
        "STRIPE_KEY": "5",
        "DATABASE_URL": "6",
        "HF_HUB_TOKEN": "7",
        "XDG_SECRET": "8",
    }
    assert environ_for_hosts({**kept, **hidden}, ("A", "NOT_THERE")) == kept
    assert environ_for_hosts({"PATH": "/bin", "LC_ALL": "C"}, ("LC_ALL",)) == {"PATH": "/bin"}
