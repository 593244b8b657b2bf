"""Models that an operator could add, for the advice in a refusal. A feature knows them."""

from __future__ import annotations

from typing import Protocol


class AddableModels(Protocol):
    """The models of all galleries."""

    def command_for(self, tag: str | None, *, is_paid: bool) -> str:
        """Return the command that lets the server speak recordings in this language, or "" if none is known.

        Without a language, it is for English. If `is_paid`, clients may pay for the model's speech.
        """
        ...


class NoAddableModels:
    """For a server without galleries."""

    def command_for(self, tag: str | None, *, is_paid: bool) -> str:
        return ""
