"""hold → settle: what a request may cost, kept back before it begins; what it did cost, once, at its end."""

from __future__ import annotations

from proxy.ledger.charging import SpokenPart
from proxy.ledger.hold import Attempt, Hold, Spent
from proxy.ledger.holds import Payer, Wanted
from proxy.ledger.ledger import Ledger, open_ledger
from proxy.storage.usage import Outcome

__all__ = ["Attempt", "Hold", "Ledger", "Outcome", "Payer", "Spent", "SpokenPart", "Wanted", "open_ledger"]
