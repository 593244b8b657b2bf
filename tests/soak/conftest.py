"""What is long shares its fixtures with `tests/faults`."""

from tests.faults.conftest import server

__all__ = ["server"]
