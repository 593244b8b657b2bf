"""A part of a plan: what one engine speaks."""

from __future__ import annotations

from math import ceil

import msgspec

from policies.language import Source
from policies.lexicon import EMPTY_LEXICON, Lexicon
from policies.routing import Candidate, PostSpeaker, Voice
from proxy.catalogue.catalogue import FindModelCommand
from speech_engine import EngineBusy, EngineError, EngineTimeout


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
    def posts(self) -> list[PostSpeaker]:
        """The models that repeat the speech of the candidates, each with its voice."""
        return [each.post for each in self.candidates if each.post is not None]

    @property
    def named_voices(self) -> list[Voice]:
        """The voice, its members, and the voices in which models repeat the speech."""
        return [self.voice, *self.voice.members, *[post.named_voice for post in self.posts]]

    def lacks_stand_in(self, model: str) -> bool:
        """Tell whether one of OpenAI's names waits for its natural voice, as no other stands in. An engine's
        own `model` lacks none."""
        infos = [each.model.info for each in self.candidates if each.share and not each.stands_in]
        is_natural = len(infos) == len(self.candidates) and all(info.is_trained for info in infos)
        return is_natural and all(info.is_local for info in infos) and "/" not in model

    def wait_advice(self, model: str, error: EngineError, command_for: FindModelCommand) -> str:
        """Return what a failure says of a language whose voices are busy, where no other voice stands in."""
        if not (isinstance(error, (EngineBusy, EngineTimeout)) and self.lacks_stand_in(model)):
            return ""
        is_measured = isinstance(error, EngineBusy)
        wait = f", for about {ceil(error.retry_after_s or 1)} seconds" if is_measured else ""
        command = command_for(self.language, True, "stand_in")
        remedy = f" The operator of this server can add one: {command}" if command else ""
        return f" Texts in '{self.language}' wait{wait}: no other voice here stands in for theirs.{remedy}"

    @property
    def description(self) -> str:
        route = f"route {self.route}" if self.route else "no route"
        names = ", ".join(candidate.model.name for candidate in self.candidates)
        posts = dict.fromkeys(f", post {post.model.name}" for post in self.posts)
        return f"{self.language} ({self.source}), {route}: {names}{''.join(posts)}"
