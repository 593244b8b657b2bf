"""/admin/…: accounts, keys, money, plans and engines, for keys with the role `admin` and for the CLI over
control.sock."""

from __future__ import annotations

from starlette.routing import Route

from proxy.endpoints.admin import accounts, audit, engines, keys, money, plans, usage
from proxy.endpoints.admin.administration import Administration

__all__ = ["Administration", "engine_routes", "routes"]

engine_routes = engines.routes


def routes(administration: Administration) -> list[Route]:
    return [
        # Before the accounts, whose names may have slashes in them.
        *money.routes(administration),
        *accounts.routes(administration),
        *keys.routes(administration),
        *plans.routes(administration),
        *audit.routes(administration),
        *usage.routes(administration),
    ]
