"""One real server, with the configuration as it is shipped, for all examples of the documentation."""

from collections.abc import Iterator

import pytest

from tests.docs.pages import ROOT
from tests.server import TONE, Server, running


@pytest.fixture(scope="session")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("shipped")
    with running(folder, (ROOT / "config.toml").read_text()) as server:
        yield server


@pytest.fixture(scope="session")
def hearing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Another one, for the page about a model that no server has as it is shipped."""
    config = TONE.replace("[engines.tone]", "[engines.tone]\nhears = true")
    config = config.replace("[models]", '[models]\n"whisper-1" = ["tone/ears"]')
    with running(tmp_path_factory.mktemp("hearing"), config + '[voices.nova]\ntone = "tone"\n') as server:
        yield server
