"""The dimensions by which usage is summed, for the API, its OpenAPI document, and the command line."""

from __future__ import annotations

from typing import Literal, get_args

Dimension = Literal[
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
DIMENSIONS: tuple[Dimension, ...] = get_args(Dimension)
