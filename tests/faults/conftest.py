"""The server of the modules that do not end it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.clusters import Cluster, cluster_in
from tests.faults.kills import place
from tests.faults.leaving import scene
from tests.faults.odd_plugins import Checked, Odd, odd_in
from tests.server import Server

__all__ = ["folder", "place", "scene", "server"]


@pytest.fixture
def server(plain_server: Server) -> Server:
    return plain_server


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Each test leaves it as it was: what it stopped runs again."""
    with cluster_in(tmp_path_factory.mktemp("cluster")) as started:
        yield started


@pytest.fixture(scope="session")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Odd]:
    with odd_in(tmp_path_factory.mktemp("odd")) as started:
        yield started


@pytest.fixture(scope="session")
def checked(odd: Odd) -> Checked:
    done = odd.voxgate(odd.all, "check", "--json")
    return Checked(done.returncode, json.loads(done.stdout)["data"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path
