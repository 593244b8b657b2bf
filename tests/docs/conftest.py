"""One real server, with the configuration as it is shipped, for all examples of the documentation."""

from collections.abc import Iterator

import pytest

from tests.docs.pages import ROOT
from tests.server import Server, running


@pytest.fixture(scope="session")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("shipped")
    with running(folder, (ROOT / "config.toml").read_text()) as server:
        yield server
