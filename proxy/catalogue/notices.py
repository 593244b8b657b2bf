"""What accounts are told of what happened to them: a protocol of the feature webhooks, with a stand-in.

The statements go into the commit in which it happened. So nothing is lost, and nobody hears of what was
rolled back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol, get_args

from proxy.storage.store import ALWAYS, Condition, Statement

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


class Notices(Protocol):
    """Tells accounts of events."""

    def statements(
        self, account: str, event: Event, data: Mapping[str, str], now: int, only_if: Condition = ALWAYS
    ) -> Sequence[Statement]:
        """Return what tells an account of an event, for the commit in which it happens at `now`.

        `data` has ids alone, never what a person wrote. Nothing is told unless `only_if` is true in the
        commit. In what is `also` written with the end of a wish, that is `finished` of its table.
        """
        ...

    def look_soon(self) -> None:
        """Send at once what has just been committed. Without this it is sent some seconds later."""
        ...


class NoNotices:
    """Tells nobody anything."""

    def statements(
        self, account: str, event: Event, data: Mapping[str, str], now: int, only_if: Condition = ALWAYS
    ) -> Sequence[Statement]:
        del account, event, data, now, only_if
        return ()

    def look_soon(self) -> None:
        """Do nothing: nothing was told."""


NO_NOTICES: Notices = NoNotices()
