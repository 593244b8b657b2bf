"""The databases that any test may ask for by name, and what holds for every run of the suite."""

from __future__ import annotations

import os

import hypothesis
import pytest

from tests.databases import shared_postgres, store, store_url
from tests.leaks import leaks, leaves_holds, loop_leaks
from tests.redis_server import shared_redis
from tests.suite import memory
from tests.suite.budget import Budget
from tests.suite.folders import Folders
from tests.suite.guard import Guard

__all__ = ["leaks", "leaves_holds", "loop_leaks", "shared_postgres", "shared_redis", "store", "store_url"]

# Servers that tests start would otherwise compile all of the code again, each of them.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
memory.use(memory.choose())
hypothesis.settings.register_profile("soak", max_examples=3000, deadline=None)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--keep-file-seconds",
        action="store_true",
        help="write what each file took into tests/suite/file_seconds.txt, for the order of later runs",
    )


def pytest_configure(config: pytest.Config) -> None:
    parts = {
        "folders": Folders(),
        "guard": Guard(),
        "budget": Budget(config.getoption("keep_file_seconds")),
    }
    for name, part in parts.items():
        config.pluginmanager.register(part, name)
