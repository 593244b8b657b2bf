"""Whether an engine was really asked for a job: told as soon as it is known, since some bill for that."""

from __future__ import annotations

from collections.abc import Callable

OnAsked = Callable[[bool], None]
"""Called with true when the job leaves the lines of our own, with false where it turned out that the provider
has done nothing and it is in line again."""


def nobody_asks(_is_asked: bool) -> None:
    """Where nothing hangs on it."""
