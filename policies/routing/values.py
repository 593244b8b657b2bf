"""What routing works with: voices and where they are bound, models, routes, and who may speak in the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from policies.language import Source, base
from speech_engine import ModelInfo

PLAIN = "plain"
"""The front-end that is always there, and serves every language."""


class Binding(msgspec.Struct, frozen=True):
    """A voice on one engine, by the engine's own id."""

    engine: str
    engine_voice: str


class Voice(msgspec.Struct, frozen=True, kw_only=True):
    """A voice as routing sees it, wherever it came from: config, an engine's list, the library. A `cast` has
    no bindings: it is names, and the voice that each one speaks with."""

    id: str
    name: str
    bindings: tuple[Binding, ...]
    language: str | None = None
    gender: str | None = None
    revision: str = ""
    age: str | None = None
    tags: tuple[str, ...] = ()
    description: str = ""
    created: int | None = None
    cast: tuple[tuple[str, str], ...] = ()

    def on(self, engine: str) -> str | None:
        for binding in self.bindings:
            if binding.engine == engine:
                return binding.engine_voice
        return None


class Model(msgspec.Struct, frozen=True):
    """A model under its full name, `engine/model`."""

    engine: str
    info: ModelInfo

    @property
    def name(self) -> str:
        return f"{self.engine}/{self.info.id}"


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """Who speaks a language, in order, by `engine/model`, and which front-end prepares its texts.

    Without candidates it is whoever the request names. `sentences` lets it speak the sentences of its
    language in texts of several, there with `voice` where the request's own is on none of its engines.
    """

    language: str
    candidates: tuple[str, ...] = ()
    front_end: str | None = None
    sentences: bool = False
    voice: str | None = None


class Routes:
    """The routes of a configuration, by language."""

    def __init__(self, routes: Sequence[Route] = ()) -> None:
        self._by_tag = {route.language.lower(): route for route in routes}
        self.all = tuple(routes)

    def __repr__(self) -> str:
        return f"<Routes {', '.join(route.language for route in self.all) or 'none'}>"

    def __iter__(self) -> Iterator[Route]:
        return iter(self.all)

    def of(self, tag: str) -> list[Route]:
        """Return the routes of a language, the most exact one first.

        If `en-NG` has no route that can be used, the route of `en` speaks it.
        """
        lower = tag.lower()
        tags = (lower, base(lower)) if "-" in lower else (lower,)
        return [self._by_tag[each] for each in tags if each in self._by_tag]


class RoutingQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What a request asks of whoever speaks it; `source` is where its language is known from."""

    language: str
    source: Source = "request"
    pitch: float = 0.0
    emotion: str | None = None


class Candidate(msgspec.Struct, frozen=True):
    """One way to speak a request: this model, with this voice of its engine."""

    model: Model
    engine_voice: str
    front_end: str = PLAIN


class NoCandidate(Exception):
    """Nobody is left; `field` is the request's field that emptied the list, `code` says how. `is_forbidden`
    where the engines could, and the plan or a licence does not let them."""

    def __init__(self, field: str, code: str, message: str, *, is_forbidden: bool = False) -> None:
        super().__init__(message)
        self.field = field
        self.code = code
        self.message = message
        self.is_forbidden = is_forbidden
