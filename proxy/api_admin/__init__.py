"""/admin/…: accounts, keys, money, plans, engines and routes, for keys with the role `admin` and for the CLI
over control.sock."""

from __future__ import annotations

from starlette.routing import Route

from proxy.api_admin import accounts, audit, engines, keys, lexicons, money, plans, route, usage, voices
from proxy.api_admin.administration import Administration
from proxy.catalogue.library_editor import LibraryEditor

__all__ = ["Administration", "engine_routes", "library_routes", "route_routes", "routes"]

engine_routes = engines.routes
route_routes = route.routes


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


def library_routes(administration: Administration, saving: LibraryEditor) -> list[Route]:
    """Apart, since what is saved by them is purged from a worker's cache."""
    return [*lexicons.routes(administration, saving), *voices.routes(administration, saving)]
