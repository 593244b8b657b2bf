"""[history]: how long an entry stays, and how much is kept of an account."""

from __future__ import annotations

import msgspec

from proxy.config.plans import HistoryDays
from proxy.config.reader import Section
from proxy.config.sections import Megabytes

MEGABYTE = 1_000_000


class HistorySection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    days: HistoryDays = 30.0
    account_mb: Megabytes = 512


SECTION = Section("history", HistorySection)
