"""Transcriptions of recordings too long for one answer: jobs whose steps are stretches."""
