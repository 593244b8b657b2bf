"""The folder with upstream's answers, which another environment has written."""

from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--upstream", type=Path)


@pytest.fixture
def upstream(request: pytest.FixtureRequest) -> Path:
    folder = request.config.getoption("--upstream")
    assert isinstance(folder, Path)
    return folder
