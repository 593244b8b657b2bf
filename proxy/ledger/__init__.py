"""hold → settle: what a request may cost, kept back before it begins; what it did cost, once, at its end."""

from __future__ import annotations

from proxy.ledger.charging import SpokenPart
from proxy.ledger.hold import Attempt, AttemptCost, Hold
from proxy.ledger.holds import HoldRequest, Payer
from proxy.ledger.ledger import Ledger, open_ledger
from proxy.storage.usage import Outcome

__all__ = [
    "Attempt",
    "AttemptCost",
    "Hold",
    "HoldRequest",
    "Ledger",
    "Outcome",
    "Payer",
    "SpokenPart",
    "open_ledger",
]
