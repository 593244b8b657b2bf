"""Answers kept for a request that is sent again with its Idempotency-Key: the same bytes, charged once."""

from proxy.kept.answer_recording import Recording
from proxy.kept.answers import Answers, KeptAnswer, Sent, open_answers

__all__ = ["Answers", "KeptAnswer", "Recording", "Sent", "open_answers"]
