"""The dimensions of usage sums, for the API, its OpenAPI document, and the command line."""

from __future__ import annotations

from typing import Literal, get_args

By = Literal[
    "day",
    "month",
    "engine",
    "model",
    "voice",
    "language",
    "key",
    "account",
    "outcome",
    "cache",
    "operation",
    "job",
    "refusal",
    "tag",
]
DIMENSIONS: tuple[By, ...] = get_args(By)
