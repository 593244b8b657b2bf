"""The callback that says whether a job has reached its engine. Some providers bill from that moment on."""

from __future__ import annotations

from collections.abc import Callable

OnDispatch = Callable[[bool], None]
"""Called with true when the job leaves our own queues. Called with false when the provider has certainly done
nothing and the job waits again."""


def ignore_dispatch(_is_asked: bool) -> None:
    """Do nothing: for callers to whom the dispatch does not matter."""
