"""/admin/…: accounts, keys, money, plans, engines and routes, for keys with the role `admin` and for the CLI
over control.sock."""

from __future__ import annotations

from proxy.api.health import Dependencies
from proxy.api_admin import accounts, audit, engines, keys, lexicons, money, plans, route, usage, voices
from proxy.api_admin.administration import Administration
from proxy.catalogue.library import Library
from proxy.catalogue.library_editor import LibraryEditor
from proxy.http.endpoint import Endpoint
from proxy.speech.planning import Planner

__all__ = ["Administration", "engine_routes", "record_routes"]


def record_routes(administration: Administration, library_editor: LibraryEditor) -> list[Endpoint]:
    """Return the routes that need only the database; the CLI uses them without a server too."""
    return [
        # Before the accounts, whose names may have slashes in them.
        *money.routes(administration),
        *accounts.routes(administration),
        *keys.routes(administration),
        *plans.routes(administration),
        *audit.routes(administration),
        *usage.routes(administration),
        *lexicons.routes(administration, library_editor),
        *voices.routes(administration, library_editor),
    ]


def engine_routes(
    administration: Administration, dependencies: Dependencies, planner: Planner, library: Library
) -> list[Endpoint]:
    """Return the routes that need running engines."""
    return [
        *engines.routes(dependencies),
        *route.routes(administration, planner, library),
    ]
