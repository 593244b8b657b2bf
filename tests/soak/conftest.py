"""What is long shares its fixtures with `tests/faults`."""

from __future__ import annotations

from tests.faults.conftest import server

__all__ = ["server"]
