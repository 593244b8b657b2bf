"""What is long shares its fixtures with `tests/faults`."""

from __future__ import annotations

from tests.faults.conftest import folder, place, scene, server

__all__ = ["folder", "place", "scene", "server"]
