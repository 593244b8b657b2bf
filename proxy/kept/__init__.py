"""Bytes that are kept for later requests: locked files, recordings, answers to Idempotency-Keys."""

from proxy.kept.answers import AnswerRecording, KeptAnswer, KeptAnswers, open_answers

__all__ = ["AnswerRecording", "KeptAnswer", "KeptAnswers", "open_answers"]
