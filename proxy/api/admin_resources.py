"""/admin/…: all that operators ask for, with a key of the role `admin` or by the CLI over control.sock."""

from __future__ import annotations

from proxy.api.account_list import AccountListing
from proxy.api.accounts import Accounts
from proxy.api.admin_tools import AdminTools
from proxy.api.audit import Audit
from proxy.api.engines import EngineList
from proxy.api.health import Dependencies
from proxy.api.keys import Keys
from proxy.api.money import Money
from proxy.api.plans import PlanListing
from proxy.api.route import Explanations
from proxy.api.usage import Usage
from proxy.api.vault import VaultRotation
from proxy.catalogue.library import Library
from proxy.http.endpoint import Endpoint, admin_endpoints
from proxy.speech.planning import Planner

# Money is before Accounts, whose names may have slashes. Usage answers clients, too: `app.py` adds that.
_RECORDS = (Money, AccountListing, Accounts, Keys, PlanListing, Audit, Usage, VaultRotation)


def record_endpoints(admin_tools: AdminTools) -> list[Endpoint]:
    """Return the endpoints that need only the database; the CLI also uses them without a server."""
    return admin_endpoints(
        [endpoint for resource in _RECORDS for endpoint in resource(admin_tools).endpoints]
    )


def engine_endpoints(
    admin_tools: AdminTools, dependencies: Dependencies, planner: Planner, library: Library
) -> list[Endpoint]:
    """Return the endpoints that need running engines."""
    return [*EngineList(dependencies).endpoints, *Explanations(admin_tools, planner, library).endpoints]
