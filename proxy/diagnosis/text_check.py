"""`voxgate check`: routes and voices, which decide how a text is spoken."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import msgspec

from policies import routing
from policies.language import base
from policies.routing import PostStep, Route
from proxy.config import config_toml
from proxy.config.config_toml import Config
from proxy.config.finding import Finding, ProbeResults, note, ok
from proxy.config.reader import hint
from proxy.config.routes import missing_engines
from proxy.config.sections import Remark, VoiceSection
from proxy.diagnosis.model_check import imported_infos
from proxy.engines.registry import Registry


def routes(config: Config, registry: Registry, results: ProbeResults, sick: Collection[str]) -> list[Finding]:
    """Judge the routes. `sick` are the engines that cannot run."""
    return [_route(config, registry, results, sick, route) for route in _in_use(config)]


def _in_use(config: Config) -> Iterator[Route]:
    """Yield the routes, of the built-in ones only what the configured engines speak."""
    built_in = config_toml.built_in_routes()
    for route in config.routes:
        missing = missing_engines(route, config.engines) if route in built_in else {}
        there = tuple(full for full in route.candidates if full not in missing)
        if there or not missing:
            yield msgspec.structs.replace(route, candidates=there)


def voices(config: Config, results: ProbeResults) -> list[Finding]:
    """Return a note for each voice that an engine is known to lack."""
    written = [remark for remark in config.warnings if remark.key.startswith("voices.")]
    unknown = [
        Remark(f"voices.{name}.{engine}", f"{engine} has no voice {voice!r}; {_like(voice, results, engine)}")
        for name, section in config.voices.items()
        for engine, voice in section.bindings.items()
        if _is_missing(engine, voice, results)
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
    return bool(bindings) and all(_is_missing(engine, voice, results) for engine, voice in bindings)


def _is_missing(engine: str, voice: str, results: ProbeResults) -> bool:
    return engine in results.voices and voice not in results.voices[engine]


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
    for step in route.post:
        fault = _post_fault(config, results, sick, route, step)
        (warnings if fault else notes).append(fault or f"repeated by {step.engine} as {step.voice}")
    warnings += [
        f"{engine} and {other} repeat each other's speech, so when both are busy, requests wait for one "
        "another in vain until [server] first_audio_s is over"
        for engine, other in _circles(config, route)
    ]
    if route.front_end is not None and (remark := _front_end(registry, results, route)):
        warnings.append(remark)
    elif route.front_end is not None:
        notes.append(f"prepared by {route.front_end}")
    if route.voice is not None and route.voice not in config.voices and "/" not in route.voice:
        warnings.append(f"there is no voice {route.voice!r} here")
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


def _post_fault(
    config: Config, results: ProbeResults, sick: Collection[str], route: Route, step: PostStep
) -> str:
    """Return why a post-step cannot be done, or "" if no reason is known."""
    engine, _, name = step.engine.partition("/")
    what = f"the post-step {step.engine}"
    if engine not in config.engines:
        return f"no [engines.{engine}] for {what}"
    if engine in sick:
        return f"{engine}, for {what}, cannot run"
    infos = results.models.get(engine, ())
    named = [info for info in infos if name in ("", info.id)]
    if infos and not named:
        return f"{engine} has no model of {step.engine!r}; {hint(name, [info.id for info in infos])}"
    if named and not any(info.converts for info in named):
        return f"{what} cannot be done: it does not convert"
    if engine in {full.partition("/")[0] for full in route.candidates}:
        return f"{what} does not repeat what {engine} speaks itself"
    if fault := _post_voice_fault(config, results, engine, step):
        return fault
    refused = [
        plan.name
        for plan in config.plans.values()
        if (plan.engines is not None and engine not in plan.engines)
        or plan.prices.of_conversion(engine, name) is None
    ]
    if not refused:
        return ""
    return f"refused to the plans {', '.join(refused)}: they lack {engine}, or a price for conversions"


def _circles(config: Config, route: Route) -> list[tuple[str, str]]:
    """Return the engines that repeat what the candidates' engines speak, each with one of these that repeats
    its own speech by other routes: each request holds a slot of the one and waits for a slot of the other."""
    repeated: dict[str, set[str]] = {}
    for each in config.routes:
        for speaks in _speaking(each):
            repeated.setdefault(speaks, set()).update(_repeating(each))
    found = list[tuple[str, str]]()
    for engine in _repeating(route):
        reached, left = set[str](), [engine]
        while left:
            more = repeated.get(left.pop(), set()) - reached
            reached |= more
            left += more
        found += [(engine, other) for other in _speaking(route) if other in reached and other != engine]
    return found


def _speaking(route: Route) -> list[str]:
    return list(dict.fromkeys(full.partition("/")[0] for full in route.candidates))


def _repeating(route: Route) -> list[str]:
    return list(dict.fromkeys(step.engine.partition("/")[0] for step in route.post))


def _post_voice_fault(config: Config, results: ProbeResults, engine: str, step: PostStep) -> str:
    if (section := config.voices.get(step.voice)) is not None:
        if (bound := section.bindings.get(engine)) is None:
            return f"the voice {step.voice!r} of the post-step is not on {engine}"
        is_missing = _is_missing(engine, bound, results)
        return f"{engine} has no voice {bound!r}; {_like(bound, results, engine)}" if is_missing else ""
    if not _is_missing(engine, step.voice.removeprefix(f"{engine}/"), results):
        return ""
    return f"{engine} has no voice {step.voice!r}, so it must be one that was saved for all accounts"


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


def _like(voice: str, results: ProbeResults, engine: str) -> str:
    near = hint(voice, sorted(results.voices[engine]))
    return near if near.startswith("did") else "voxgate engines --json lists its voices"
