"""hold → settle: what a request may cost, kept back before it begins; what it did cost, once, at its end."""

from __future__ import annotations

from proxy.ledger.hold import Attempt, Hold, Outcome, Spent
from proxy.ledger.holds import Wanted
from proxy.ledger.ledger import Ledger, open_ledger

__all__ = ["Attempt", "Hold", "Ledger", "Outcome", "Spent", "Wanted", "open_ledger"]
