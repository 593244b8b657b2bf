"""[history]: how long an entry stays, and how much is kept of an account."""

from __future__ import annotations

import msgspec

from proxy.config.plans import HistoryDays
from proxy.config.reader import Section
from proxy.config.sections import Config, Megabytes
from proxy.storage.retention import StoredDays

MEGABYTE = 1_000_000


class HistorySection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    days: HistoryDays = 30.0
    account_mb: Megabytes = 512


SECTION = Section("history", HistorySection)


def stored_days(config: Config) -> StoredDays:
    """Return how long entries stay. 0 on a plan: none is kept."""
    section = SECTION.of(config)
    if not section.account_mb:
        return StoredDays.of(0.0, {})
    return StoredDays.of(section.days, {name: plan.history_days for name, plan in config.plans.items()})
