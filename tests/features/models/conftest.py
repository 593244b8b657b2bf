"""The hub, as a fixture."""

from collections.abc import Iterator

import pytest

from tests.features.models.hub import Hub, running_hub


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running_hub() as running:
        yield running
