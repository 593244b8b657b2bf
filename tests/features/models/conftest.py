"""The hub, as a fixture."""

from tests.features.models.hub import running_hub
from tests.fixtures import opened

hub = opened(running_hub)
