"""What the check of a model's speech is worth, as `bench.heard_check` measured it."""

from __future__ import annotations

from policies.language import base

_CALLED_WRONG: frozenset[tuple[str, str]] = frozenset()
"""Models, by id, and languages of which more than 2 right sentences in 100 are called wrong."""


def is_mild(model: str, language: str) -> bool:
    """Tell whether a wrong sentence of this model is only unsure: it is said again once, and never free."""
    return (model, base(language)) in _CALLED_WRONG
