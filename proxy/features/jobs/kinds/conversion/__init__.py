"""Conversions of recordings too long for an answer: jobs whose steps are its stretches."""
