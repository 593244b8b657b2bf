"""The ledger holds the most that a request may cost before it begins, and settles its price at its end."""

from __future__ import annotations

from proxy.ledger.charges import Spent, SpentAttempt, SpentPart
from proxy.ledger.hold import Hold
from proxy.ledger.holds import HoldRequest, Payer
from proxy.ledger.ledger import Ledger, StreamsTaken, open_ledger
from proxy.storage.usage import Outcome

__all__ = [
    "Hold",
    "HoldRequest",
    "Ledger",
    "Outcome",
    "Payer",
    "Spent",
    "SpentAttempt",
    "SpentPart",
    "StreamsTaken",
    "open_ledger",
]
