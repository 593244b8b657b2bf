"""`voxgate serve`: the supervisor, its workers, and the way to a live server."""

from proxy.telemetry import plain_structlog as plain_structlog
