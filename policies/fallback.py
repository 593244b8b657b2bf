"""How the one budget to first audio is shared out among those who may be asked in turn."""

from __future__ import annotations

_FIRST_SHARE = 0.6


def share_s(left_s: float, others: int) -> float:
    """How much of what is left this candidate may take while `others` stand behind it.

    The last one may take all. Everybody before it leaves the next two fifths: a provider that is silent for
    this long is seldom heard of in the rest, and somebody else may be.
    """
    return left_s if others <= 0 else left_s * _FIRST_SHARE
