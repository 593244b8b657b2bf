"""Read [[routes]]. A route names the candidates for a language: the first available model speaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec

from policies.language import canonical_tag
from policies.routing import PostStep, Route
from policies.text_tags import EMOTIONS, NEUTRAL
from proxy.config.reader import Reader, did_you_mean
from proxy.config.sections import EngineSection, Switch, Tag

Engines = Mapping[str, EngineSection]

_Name = Annotated[str, msgspec.Meta(min_length=1, description="a name in quotes")]
_WHEN_PREFIX = "emotion:"
_When = Annotated[
    str, msgspec.Meta(pattern=r"^emotion:[\w-]{1,32}$", description='"emotion:NAME", such as "emotion:happy"')
]
_Semitones = Annotated[float, msgspec.Meta(ge=-12, le=12, description="a number of semitones from -12 to 12")]


class PostSection(msgspec.Struct, frozen=True):
    """A post-step of a route, as in the configuration file. `engine` is an engine, or `engine/model`."""

    engine: _Name
    voice: _Name
    when: _When | None = None
    pitch: _Semitones = 0.0


class RouteSection(msgspec.Struct, frozen=True):
    """A route, in the form of the configuration file."""

    language: Tag
    candidates: Annotated[
        tuple[str, ...], msgspec.Meta(description='a list of models, ["engine/model", "…"]')
    ] = ()
    front_end: _Name | None = None
    sentences: Switch = False
    voice: _Name | None = None
    post: Annotated[
        tuple[dict[str, Any], ...],
        msgspec.Meta(description='a list of tables, [{ engine = "rvc", voice = "anna" }]'),
    ] = ()


def read_routes(
    reader: Reader, value: object, engines: Engines, shipped: Sequence[Route]
) -> tuple[Route, ...]:
    """Return the routes of the file, then the shipped routes for languages without a route in the file."""
    if not isinstance(value, list):
        reader.fault("routes", "must be a list of tables, each under [[routes]]")
        return ()
    routes: dict[str, Route] = {}
    for number, table in enumerate(value, 1):
        key = _route_key(number, table)
        section = reader.section(RouteSection, table, key)
        if section is None:
            continue
        route = _make_route(section, _read_post(reader, f"{key}.post", section.post, engines))
        # A copy of a shipped route has the same effect as the shipped route.
        if (shipped_copy := msgspec.structs.replace(route, is_shipped=True)) in shipped:
            route = shipped_copy
        if route.language in routes:
            reader.fault(f"{key}.language", f"another route is for {route.language} already")
        routes[route.language] = route
        _check_route(reader, key, route)
        if not route.is_shipped:
            for candidate, engine in missing_engines(route, engines).items():
                reader.warn(f"{key}.candidates", f"{candidate!r} cannot speak: no [engines.{engine}] here")
    return (*routes.values(), *(route for route in shipped if route.language not in routes))


def shipped_routes(value: Sequence[Mapping[str, Any]]) -> tuple[Route, ...]:
    """Return all shipped routes. A shipped route without an engine causes no warning."""
    return tuple(_make_route(msgspec.convert(table, RouteSection), is_shipped=True) for table in value)


def missing_engines(route: Route, engines: Engines) -> dict[str, str]:
    """Return the candidates whose engine is not configured, each with its engine."""
    engine_of = {candidate: candidate.partition("/")[0] for candidate in route.candidates}
    return {candidate: engine for candidate, engine in engine_of.items() if engine not in engines}


def _make_route(section: RouteSection, post: tuple[PostStep, ...] = (), *, is_shipped: bool = False) -> Route:
    fields = {**msgspec.structs.asdict(section), "language": canonical_tag(section.language), "post": post}
    return Route(**fields, is_shipped=is_shipped)


def _read_post(
    reader: Reader, key: str, tables: Sequence[Mapping[str, Any]], engines: Engines
) -> tuple[PostStep, ...]:
    """Return the post-steps of a route. It is a fault if an earlier step covers the speech of a step."""
    steps: list[PostStep] = []
    earlier_emotions = set[str | None]()
    for number, step_table in enumerate(tables, 1):
        step_key = f"{key}.{number}"
        section = reader.section(PostSection, step_table, step_key)
        if section is None:
            continue
        emotion = None if section.when is None else section.when.removeprefix(_WHEN_PREFIX).lower()
        if emotion == NEUTRAL:
            reader.fault(f"{step_key}.when", "neutral is how speech is without an emotion")
        elif emotion and emotion not in EMOTIONS:
            reader.fault(f"{step_key}.when", f"{emotion!r} is no emotion; {did_you_mean(emotion, EMOTIONS)}")
        if None in earlier_emotions or emotion in earlier_emotions:
            reader.fault(f"{step_key}.when", "is never used: a step before it is for the same speech")
        earlier_emotions.add(emotion)
        engine_name = section.engine.partition("/")[0]
        if engine_name not in engines:
            reader.warn(f"{step_key}.engine", f"cannot repeat speech: no [engines.{engine_name}] here")
        elif engines[engine_name].runner:
            reader.fault(
                f"{step_key}.engine",
                f"{engine_name} works at a runner, where nothing is converted; name an engine without one",
            )
        steps.append(
            PostStep(engine=section.engine, voice=section.voice, emotion=emotion, pitch=section.pitch)
        )
    return tuple(steps)


def _route_key(number: int, table: object) -> str:
    tag = table.get("language") if isinstance(table, dict) else None
    return f"routes.{tag if isinstance(tag, str) and tag else number}"


def _check_route(reader: Reader, key: str, route: Route) -> None:
    for candidate in route.candidates:
        engine, slash, model = candidate.partition("/")
        if not (engine and slash and model):
            reader.fault(f"{key}.candidates", f'{candidate!r} must be written "engine/model"')
    if not route.candidates and route.front_end is None and not route.sentences and not route.post:
        reader.fault(key, "has no effect; it needs candidates, a front_end, sentences or post")
