"""Opens the endpoints of operators, and those of an account about itself. It is never off."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proxy.feature import Additions, AppContext, Feature, FeatureInstance, RevisionContext

PATHS = (
    "/admin/accounts",
    "/admin/audit",
    "/admin/engines",
    "/admin/keys",
    "/admin/ledger",
    "/admin/plans",
    "/admin/route",
    "/admin/usage",
    "/v1/me",
    "/v1/usage",
)


def _additions_for(revision: RevisionContext) -> Additions:
    from proxy.features.admin.account_list import AccountListing
    from proxy.features.admin.accounts import Accounts
    from proxy.features.admin.audit import Audit
    from proxy.features.admin.engines import EngineList
    from proxy.features.admin.keys import Keys
    from proxy.features.admin.me import Me
    from proxy.features.admin.money import Money
    from proxy.features.admin.plans import PlanListing
    from proxy.features.admin.route import Explanations
    from proxy.features.admin.usage import Usage
    from proxy.features.admin.usage_stats import UsageStatistics
    from proxy.features.voice_list.voices import VoiceTools

    tools = revision.admin_tools
    # Money is before Accounts, whose names may have slashes.
    records = (Money, AccountListing, Accounts, Keys, PlanListing, Audit, Usage)
    endpoints = [endpoint for resource in records for endpoint in resource(tools).endpoints]
    voices, plans = VoiceTools.of(revision), revision.plans
    if voices and plans and revision.dependencies and revision.speaking:
        endpoints += [
            *EngineList(revision.dependencies).endpoints,
            *Explanations(tools, revision.speaking, revision.library).endpoints,
            *Me(tools, voices).endpoints,
            *UsageStatistics(tools, plans, revision.library).endpoints,
        ]
    return Additions(endpoints)


@asynccontextmanager
async def _open(context: AppContext) -> AsyncIterator[FeatureInstance]:
    yield FeatureInstance(context, _additions_for)


FEATURE = Feature("admin", _open, paths=PATHS)
