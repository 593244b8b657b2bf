"""What those need of a voice's row who write something of the voice into a table of their own."""

from __future__ import annotations

from proxy.storage import library_revisions
from proxy.storage.store import Condition, Statement

IS_THERE = "EXISTS (SELECT 1 FROM voices WHERE id = :voice)"
IS_OF_ACCOUNT = "EXISTS (SELECT 1 FROM voices WHERE id = :voice AND coalesce(account, '') = :account)"
"""SQL for the INSERT of a row of a voice. The operator's account is ''."""

_HOLD = "UPDATE voices SET id = id WHERE id = :voice"
_SOUNDS_OTHERWISE = "UPDATE voices SET revision = revision + 1 WHERE id = :voice AND {if_}"


def hold_statement(voice: str) -> Statement:
    """Lock a voice: whatever changes one locks it before the revision of its library."""
    return Statement(_HOLD, {"voice": voice})


def sounds_otherwise_statements(account: str, voice: str, if_: Condition) -> tuple[Statement, ...]:
    """Return the last statements of a commit after which a voice sounds otherwise, if a condition is true."""
    changed = Statement(_SOUNDS_OTHERWISE.format(if_=if_.sql), {**if_.params, "voice": voice})
    return (changed, library_revisions.raise_statement(account))
