"""What tells that a machine spoke an answer, and proves it: inaudible marks, signed manifests, receipts."""
