"""Tests change the folder without the worker, and most of them want the worker to notice at once."""

import pytest

from proxy.features.cache import clip_store

AS_SHIPPED = pytest.mark.parametrize("believed_s", [-1.0, clip_store.TRUSTED_S], indirect=True)
"""For what must hold both ways: memory is never believed, or for as long as a server believes it."""


@pytest.fixture(autouse=True)
def believed_s(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> float:
    seconds: float = getattr(request, "param", -1.0)
    monkeypatch.setattr("proxy.features.cache.clip_store.TRUSTED_S", seconds)
    return seconds
