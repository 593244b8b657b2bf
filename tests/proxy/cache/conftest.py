"""Tests change the folder behind the worker's back, and want it to be noticed at once."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _believes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.cache.memory.BELIEVED_S", -1.0)
