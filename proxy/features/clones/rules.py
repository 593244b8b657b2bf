"""Rules for clones at providers: the states, the next step, and which clone gives its slot to another.

A clone costs money, and a provider may have made it although its answer was lost. So the row has the name of
the request. The next worker first asks the provider for this name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from policies.tasks import SECOND_US, QueuedTask

State = Literal["wanted", "making", "ready", "failed", "expired", "stranded", "doomed"]
"""wanted: no request was sent. making: a request may have been sent, under `name`. ready: the clone can
speak. failed: only a new order tries again. expired: it gave up its slot, or the provider may have deleted it
for disuse. stranded: its engine or credential is not configured. doomed: the clone must be deleted at the
provider."""

Step = Literal["make", "settle", "delete", "remove", "strand", "restore", "expire", "rest"]
"""make: request the clone. settle: first find out whether an earlier request made it. delete: delete it at
the provider. remove: delete the row, as the provider has nothing. strand, restore, expire: change the state.
rest: there is nothing to do now."""

MOST_TRIES = 12
"""After so many tries, in more than two hours, a clone is `failed`. A deletion is tried for ever."""
RECENT_USE_S = 3600.0
"""A clone that spoke within this time keeps its slot."""


class CloneFacts(QueuedTask, frozen=True, kw_only=True):
    """The facts that decide a clone's next step. Times are in microseconds. `name` is that of the request to
    the provider, and `engine_voice` the id of the voice there."""

    state: State
    name: str = ""
    engine_voice: str = ""
    made: int | None = None
    used: int | None = None
    expires: int | None = None


def step_kind(facts: CloneFacts) -> Literal["delete", "make", "note"]:
    """Return the kind of a clone's next step: a deletion, a clone, or a change of the row alone."""
    if facts.state == "doomed":
        return "delete"
    return "make" if facts.state in ("wanted", "making") else "note"


def find_step(facts: CloneFacts, now: int, *, is_configured: bool) -> Step:
    """Return the next step of a clone, for the worker that takes its lease."""
    if facts.lease > now:
        return "rest"
    if facts.state == "doomed":
        return _find_deletion_step(facts, now, is_configured=is_configured)
    if facts.state == "stranded":
        return "restore" if is_configured else "rest"
    if facts.state in ("wanted", "making", "ready") and not is_configured:
        return "strand"
    if facts.state == "ready":
        return "expire" if facts.expires is not None and facts.expires <= now else "rest"
    if facts.state in ("wanted", "making") and facts.due <= now:
        return "settle" if facts.name else "make"
    return "rest"


def _find_deletion_step(facts: CloneFacts, now: int, *, is_configured: bool) -> Step:
    if not facts.name and not facts.engine_voice:
        return "remove"
    return "delete" if is_configured and facts.due <= now else "rest"


def restored_state(facts: CloneFacts) -> State:
    """Return the state of a stranded clone whose engine is configured again."""
    if facts.engine_voice:
        return "ready"
    return "making" if facts.name else "wanted"


def gives_up(facts: CloneFacts) -> bool:
    """Tell whether a clone is `failed` if the present try fails."""
    return facts.state != "doomed" and facts.tries + 1 >= MOST_TRIES


def expires_at(used: int, unused_clone_s: float | None) -> int | None:
    """Return when a provider deletes a clone that does not speak again; None if it never does."""
    return None if unused_clone_s is None else used + round(unused_clone_s * SECOND_US)


def is_expected(facts: CloneFacts, now: int) -> bool:
    """Tell whether a provider should have a clone. It need not if it may have deleted the clone for disuse,
    or if the clone gave up its slot."""
    if facts.state != "expired":
        return facts.state == "ready"
    return bool(facts.engine_voice) and (facts.expires is None or facts.expires > now)


class SlotChoice(NamedTuple):
    """`gives_way` is the id of the clone that must first give up its slot, if one must. If no clone may be
    made, `refusal` is the reason."""

    gives_way: str | None = None
    refusal: str = ""


def choose_slot(
    slots_left: int | None, additions_left: int | None, used: Mapping[str, int], now: int
) -> SlotChoice:
    """Choose the slot for one more clone. `used` has the time when each ready clone last spoke, or was made.

    Each clone uses up one of the additions that the provider allows, and a deletion does not give it back. So
    a clone gives way only if an addition is left and it has not spoken lately.
    """
    if additions_left is not None and additions_left <= 0:
        return SlotChoice(refusal="The provider's account may not add another voice for now.")
    if slots_left is None or slots_left > 0:
        return SlotChoice()
    idle = [id_ for id_, used_at in used.items() if used_at + RECENT_USE_S * SECOND_US <= now]
    if not idle:
        return SlotChoice(refusal="All voice slots of the provider's account are in use.")
    return SlotChoice(min(idle, key=lambda id_: (used[id_], id_)))
