"""[history]: how long an entry stays, and how much is kept of an account."""

from __future__ import annotations

import msgspec

from proxy.config.plans import HistoryDays
from proxy.config.reader import Section
from proxy.config.sections import Config, Megabytes
from proxy.storage.retention import StoredDays

_MEGABYTE = 1_000_000


class HistorySection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    days: HistoryDays = 30.0
    account_mb: Megabytes = 512

    @property
    def account_bytes(self) -> int:
        return self.account_mb * _MEGABYTE


SECTION = Section("history", HistorySection)


def stored_days(config: Config) -> StoredDays:
    """Return how long entries stay. 0 on a plan: none is kept."""
    section = SECTION.of(config)
    days = section.days if section.account_mb else 0.0
    own = {name: plan.history_days if section.account_mb else 0.0 for name, plan in config.plans.items()}
    return StoredDays.of(days, own)
