"""`voxgate check`: routes and voices, which decide how a text is spoken."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import msgspec

from policies import routing
from policies.language import base
from policies.routing import Route
from proxy.config import model_names
from proxy.config.config_toml import Config
from proxy.config.finding import Finding, ProbeResults, note, ok, wrong
from proxy.config.reader import hint
from proxy.config.routes import missing_engines
from proxy.config.sections import Remark, VoiceSection
from proxy.diagnosis import post_check
from proxy.diagnosis.model_check import imported_infos, known_models
from proxy.diagnosis.post_check import is_missing, like
from proxy.engines.registry import Registry


def routes(config: Config, registry: Registry, results: ProbeResults, sick: Collection[str]) -> list[Finding]:
    """Judge the routes. `sick` are the engines that cannot run."""
    known = known_models(config, registry, results)
    return [_route(config, registry, results, sick, route) for route in _in_use(config, known)]


def _in_use(config: Config, known: model_names.Known) -> Iterator[Route]:
    """Yield the routes. Of a shipped one, only the candidates that the engines here may have."""
    for route in config.routes:
        if not route.is_shipped:
            yield route
        elif there := tuple(full for full in route.candidates if _may_be_there(config, known, full)):
            yield msgspec.structs.replace(route, candidates=there)


def _may_be_there(config: Config, known: model_names.Known, full: str) -> bool:
    engine, _, model = full.partition("/")
    return engine in config.engines and (engine not in known or model in known[engine])


def voices(config: Config, results: ProbeResults) -> list[Finding]:
    """Return a note for each voice that an engine is known to lack."""
    written = [remark for remark in config.warnings if remark.key.startswith("voices.")]
    unknown = [
        Remark(f"voices.{name}.{engine}", f"{engine} has no voice {voice!r}; {like(voice, results, engine)}")
        for name, section in config.voices.items()
        for engine, voice in section.bindings.items()
        if is_missing(engine, voice, results)
    ]
    silent = [
        Remark(f"voices.{name}", "no engine has it, so it is not offered")
        for name, section in config.voices.items()
        if is_silent(section, results)
    ]
    return [note("voice", each.text, name=each.key) for each in (*written, *unknown, *silent)]


def is_silent(section: VoiceSection, results: ProbeResults) -> bool:
    """Tell whether every engine of a voice is known to lack it."""
    bindings = section.bindings.items()
    return bool(bindings) and all(is_missing(engine, voice, results) for engine, voice in bindings)


def front_end_remarks(config: Config, registry: Registry) -> tuple[Remark, ...]:
    """Return a remark for each missing front-end of a route that an engine speaks. A server logs them."""
    installed = registry.plugins("front_end")
    return tuple(
        Remark(f"routes.{route.language}.front_end", _no_front_end(route.front_end))
        for route in config.routes
        if route.front_end is not None
        and route.front_end not in installed
        and (not route.candidates or len(missing_engines(route, config.engines)) < len(route.candidates))
    )


def _route(
    config: Config, registry: Registry, results: ProbeResults, sick: Collection[str], route: Route
) -> Finding:
    """Judge a route. A fault is only a note, because requests skip what is missing."""
    faults = {
        full: _fault(config, registry, results, sick, full, route.language) for full in route.candidates
    }
    warnings = [fault for fault in faults.values() if fault]
    there = [full for full, fault in faults.items() if not fault]
    if faults and not there:
        return note("route", f"not used: {', '.join(warnings)}", name=route.language)
    notes = [", ".join(there) or "the model of the request"]
    post = post_check.judge(config, results, sick, route)
    notes += post.repeats
    warnings += post.faults
    if route.front_end is not None and (remark := _front_end(registry, results, route)):
        warnings.append(remark)
    elif route.front_end is not None:
        notes.append(f"prepared by {route.front_end}")
    if route.voice is not None and route.voice not in config.voices and "/" not in route.voice:
        warnings.append(f"there is no voice {route.voice!r} here")
    if post.never:
        found = "; ".join((*notes, *warnings, *(found for found, _ in post.never)))
        return wrong("route", found, "; ".join(do for _, do in post.never), name=route.language)
    return (note if warnings else ok)("route", "; ".join((*notes, *warnings)), name=route.language)


def _fault(
    config: Config, registry: Registry, results: ProbeResults, sick: Collection[str], full: str, tag: str
) -> str:
    """Return why a candidate would not speak, or "" if no reason is known."""
    engine, _, name = full.partition("/")
    if engine not in config.engines:
        return f"no [engines.{engine}] for {full}"
    if engine in sick:
        return f"{engine}, for {full}, cannot run"
    # Without a server no engine answers, but imported models are known.
    infos = results.models.get(engine) or imported_infos(config, registry, engine)
    if not infos:
        return ""
    info = next((info for info in infos if info.id == name), None)
    if info is None:
        return f"{engine} has no model of {full!r}; {hint(name, [info.id for info in infos])}"
    return "" if routing.speaks(info, tag) else f"{full} does not speak {tag} well enough"


def _front_end(registry: Registry, results: ProbeResults, route: Route) -> str:
    name = route.front_end or ""
    if name not in registry.plugins("front_end"):
        return _no_front_end(name)
    made_for = results.front_ends.get(name, frozenset())
    if not made_for or base(route.language) in made_for:
        return ""
    return f"prepared by {name}, which was made for {', '.join(sorted(made_for))}"


def _no_front_end(name: str | None) -> str:
    return f"the front_end {name} is not installed, so plain prepares its texts"
