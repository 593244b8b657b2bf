"""Answers kept for a request that is sent again with its Idempotency-Key: the same bytes, charged once."""

from proxy.idempotency.answers import Answers, KeptAnswer, Sent, open_answers
from proxy.idempotency.recording import Recording

__all__ = ["Answers", "KeptAnswer", "Recording", "Sent", "open_answers"]
