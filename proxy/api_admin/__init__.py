"""/admin/…: accounts, keys, money, plans, engines and routes, for keys with the role `admin` and for the CLI
over control.sock."""

from __future__ import annotations

from proxy.api.health import Dependencies
from proxy.api_admin import accounts, audit, engines, keys, money, plans, route, usage, vault
from proxy.api_admin.admin_tools import AdminTools
from proxy.api_admin.server import ServerLink
from proxy.api_admin.server import routes as server_routes
from proxy.catalogue.library import Library
from proxy.http.endpoint import Endpoint
from proxy.speech.planning import Planner

__all__ = ["AdminTools", "ServerLink", "engine_routes", "record_routes", "server_routes"]


def record_routes(admin_tools: AdminTools) -> list[Endpoint]:
    """Return the routes that need only the database; the CLI also uses them without a server."""
    return [
        # Before the accounts, whose names may have slashes in them.
        *money.routes(admin_tools),
        *accounts.routes(admin_tools),
        *keys.routes(admin_tools),
        *plans.routes(admin_tools),
        *audit.routes(admin_tools),
        *usage.routes(admin_tools),
        *vault.routes(admin_tools),
    ]


def engine_routes(
    admin_tools: AdminTools, dependencies: Dependencies, planner: Planner, library: Library
) -> list[Endpoint]:
    """Return the routes that need running engines."""
    return [
        *engines.routes(dependencies),
        *route.routes(admin_tools, planner, library),
    ]
