"""What usage is summed by: in answers, in their OpenAPI, and in the help of the command line."""

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
]
SIDES: tuple[By, ...] = get_args(By)
