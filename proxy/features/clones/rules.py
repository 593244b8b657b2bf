"""A voice's clone at a provider: its states, its next step, and when it gives its slot to another.

A clone costs money, and its provider may have made it although no answer came. So its row has the name of its
request, and the next worker settles that doubt before it does anything else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from policies.tasks import SECOND_US, QueuedTask

State = Literal["wanted", "making", "ready", "failed", "expired", "stranded", "doomed"]
"""wanted: no request has gone out. making: one has, under a name. ready: it speaks. failed: only a
new task tries again. expired: the provider has it no more. stranded: its engine or credential is not
configured. doomed: the voice is erased, and the provider's copy has to go."""

Step = Literal["make", "settle", "delete", "remove", "strand", "restore", "expire", "rest"]
"""make: ask the provider. settle: find out if it was made, then go on. delete: delete the copy. remove: only
the row is left to delete. rest: there is nothing to do now."""

MOST_TRIES = 12
"""So many tries, more than two hours in all: then a clone is `failed`. A deletion never gives up."""
SPARED_S = 3600.0
"""A clone that spoke so shortly ago keeps its slot."""


class CloneFacts(QueuedTask, frozen=True, kw_only=True):
    """The facts that decide a clone's next step. Times are microseconds. `name` is the one in the request
    to the provider."""

    state: State
    name: str = ""
    engine_voice: str = ""
    made: int | None = None
    used: int | None = None
    expires: int | None = None


def kind(facts: CloneFacts) -> Literal["delete", "make", "note"]:
    """Return the kind of a clone's next step: a deletion, a clone, or a change of the row alone."""
    if facts.state == "doomed":
        return "delete"
    return "make" if facts.state in ("wanted", "making") else "note"


def find_step(facts: CloneFacts, now: int, *, is_configured: bool) -> Step:
    """Return the next step of a clone, for the worker that takes its lease."""
    if facts.lease > now:
        return "rest"
    if facts.state == "doomed":
        return _step_of_deleting(facts, now, is_configured=is_configured)
    if facts.state == "stranded":
        return "restore" if is_configured else "rest"
    if facts.state in ("wanted", "making", "ready") and not is_configured:
        return "strand"
    if facts.state == "ready":
        return "expire" if facts.expires is not None and facts.expires <= now else "rest"
    if facts.state in ("wanted", "making") and facts.due <= now:
        return "settle" if facts.name else "make"
    return "rest"


def _step_of_deleting(facts: CloneFacts, now: int, *, is_configured: bool) -> Step:
    if not facts.name and not facts.engine_voice:
        return "remove"
    return "delete" if is_configured and facts.due <= now else "rest"


def restored_state(facts: CloneFacts) -> State:
    if facts.engine_voice:
        return "ready"
    return "making" if facts.name else "wanted"


def gives_up(facts: CloneFacts) -> bool:
    return facts.state != "doomed" and facts.tries + 1 >= MOST_TRIES


def expires_at(used: int, unused_clone_s: float | None) -> int | None:
    """Return when a provider deletes a clone that does not speak again; None if it never does."""
    return None if unused_clone_s is None else used + round(unused_clone_s * SECOND_US)


def is_expected(facts: CloneFacts, now: int) -> bool:
    """Tell whether a provider should have a clone, even if the provider denies it.

    A clone that it deletes for disuse, or that gave up its slot, is not expected.
    """
    if facts.state != "expired":
        return facts.state == "ready"
    return bool(facts.engine_voice) and (facts.expires is None or facts.expires > now)


def choose_slot(
    slots_left: int | None, additions_left: int | None, used: Mapping[str, int], now: int
) -> tuple[str | None, str]:
    """Choose the slot for one more clone. `used` says when each ready clone last spoke, or was made. Return
    the clone that gives its slot first, if one must, and the reason if no clone may be made.

    Each clone spends one of the account's additions, and a deletion does not restore it. So a clone gives way
    only if an addition is left and it has not just spoken.
    """
    if additions_left is not None and additions_left <= 0:
        return None, "The provider's account may not add another voice for now."
    if slots_left is None or slots_left > 0:
        return None, ""
    idle = [id_ for id_, at in used.items() if at + SPARED_S * SECOND_US <= now]
    if not idle:
        return None, "All voice slots of the provider's account are in use."
    return min(idle, key=lambda id_: (used[id_], id_)), ""
