"""What writes that are derived of a voice ask of its row, in their own commit. They name it `:voice`."""

from __future__ import annotations

from proxy.storage.store import Statement

IS_THERE = "EXISTS (SELECT 1 FROM voices WHERE id = :voice)"
IS_OF_ACCOUNT = "EXISTS (SELECT 1 FROM voices WHERE id = :voice AND coalesce(account, '') = :account)"
"""SQL that is true as long as the voice is there, and `:account` owns it: the empty one is the operator."""

_HOLD = "UPDATE voices SET id = id WHERE id = :voice"
_CHANGE = "UPDATE voices SET revision = revision + 1 WHERE id = :voice AND {only_if}"


def hold_statement(voice: str) -> Statement:
    """Return what locks a voice's row: who changes it does so before it raises its library's revision."""
    return Statement(_HOLD, {"voice": voice})


def change_statement(voice: str, only_if: str, **params: str) -> Statement:
    """Return what lets a voice sound otherwise, if that SQL is true."""
    return Statement(_CHANGE.format(only_if=only_if), {"voice": voice, **params})
