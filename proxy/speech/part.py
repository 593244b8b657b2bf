"""A part of a plan: what one engine speaks."""

from __future__ import annotations

import msgspec

from policies.language import Source
from policies.lexicon import EMPTY_LEXICON, Lexicon
from policies.routing import Candidate, PostSpeaker, Voice


class Part(msgspec.Struct, frozen=True):
    """A part of the text, from `start` to `end`, that one engine speaks with one voice in one language.

    `candidates` are tried in order. `characters` are charged: they include the speaker's name before the
    part, which is not spoken. `source` tells how the language was found, and `route` is the route that
    matched. `pause_s` is the silence after the part; the text requests `requested_pause_s` of it. The model
    itself or recordings express the `emotion`.
    """

    voice: Voice
    language: str
    candidates: tuple[Candidate, ...]
    start: int
    end: int
    estimated_s: float
    characters: int
    source: Source = "request"
    route: str | None = None
    lexicon: Lexicon = EMPTY_LEXICON
    pause_s: float = 0.0
    requested_pause_s: float = 0.0
    emotion: str | None = None

    @property
    def post(self) -> PostSpeaker | None:
        """The model that repeats the speech. All candidates have the same."""
        return self.candidates[0].post

    @property
    def description(self) -> str:
        route = f"route {self.route}" if self.route else "no route"
        names = ", ".join(candidate.model.name for candidate in self.candidates)
        post = f", post {self.post.model.name}" if self.post is not None else ""
        return f"{self.language} ({self.source}), {route}: {names}{post}"
