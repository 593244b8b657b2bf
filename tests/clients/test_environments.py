"""What `make test` builds of the clients' environments, from an empty cache."""

import pytest

from tests.clients import environments
from tests.clients.environments import IN_MAKE_TEST, PINS
from tests.programs import present

_MOST_MB = 50


def test_an_empty_cache_gains_little() -> None:
    assert sum(IN_MAKE_TEST.values()) <= _MOST_MB
    for name, most in IN_MAKE_TEST.items():
        folder = present(lambda name=name: environments.python(name)).parents[1]  # type: ignore[misc]
        files = (file.lstat().st_size for file in folder.rglob("*"))
        assert sum(files) <= most * 1_000_000


def test_no_test_of_make_test_has_another_environment() -> None:
    others = {each.name.removesuffix(".txt") for each in PINS.iterdir()} - IN_MAKE_TEST.keys()
    assert {"livekit", "pipecat", "moto", "node", "axe", "kubernetes"} <= others
    for name in others:
        find = environments.python if (PINS / f"{name}.txt").exists() else environments.modules
        with pytest.raises(AssertionError, match="is for tests of `make slow`"):
            find(name)
