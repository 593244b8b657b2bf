"""The files of the data folder that prove or find what was spoken here."""

from __future__ import annotations

MARK_KEYS = "mark-keys"
"""If `[marking] keys` names no other keys."""
RECEIPT_KEYS = "receipt-keys"
"""If `[marking] receipt_keys` names no other keys."""
TEST_CERTIFICATE = "manifest-test-certificate.pem"
"""Made if `[marking] certificate` names none."""
