"""Answers kept for a request that is sent again with its Idempotency-Key: the same bytes, charged once."""

from proxy.kept.answer_recording import AnswerRecording
from proxy.kept.answers import KeptAnswer, KeptAnswers, KeyedRequest, open_answers

__all__ = ["AnswerRecording", "KeptAnswer", "KeptAnswers", "KeyedRequest", "open_answers"]
