"""The events that accounts are told of. `Courier.statements` go into the commit of what happened."""

from __future__ import annotations

from typing import Literal, get_args

Event = Literal[
    "voice.clone.ready",
    "voice.clone.failed",
    "job.done",
    "job.failed",
    "job.canceled",
    "job.waiting",
    "batch.completed",
    "batch.failed",
    "batch.expired",
    "batch.cancelled",
    "webhook.test",
]
"""All that may be told. Who tells of something more adds it here."""
EVENTS: tuple[Event, ...] = get_args(Event)
