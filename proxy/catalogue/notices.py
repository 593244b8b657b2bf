"""Notices of events to accounts. The feature webhooks shares a subclass; without it, there are none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from proxy.storage.store import ALWAYS, Condition, Statement


class Notices:
    def statements(
        self,
        account: str,
        event: Any,
        data: Mapping[str, str],
        now: int,
        only_if: Condition = ALWAYS,
    ) -> Sequence[Statement]:
        """Return the statements that notify an account, for the commit of the event's cause."""
        del account, event, data, now, only_if
        return ()
