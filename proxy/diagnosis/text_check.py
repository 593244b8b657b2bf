"""`voxgate check`: the findings about voices, and about routes with their post-steps."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import msgspec

from policies import routing
from policies.language import base
from policies.routing import PostStep, Route
from proxy.config import model_names
from proxy.config.config_toml import Config
from proxy.config.finding import Finding, ProbeResults, note, ok, wrong
from proxy.config.reader import hint
from proxy.config.routes import missing_engines
from proxy.config.sections import Remark, VoiceSection
from proxy.diagnosis.model_check import imported_infos, known_models
from proxy.engines.registry import Registry
from speech_engine import ModelInfo


def routes(config: Config, registry: Registry, results: ProbeResults, sick: Collection[str]) -> list[Finding]:
    """Judge the routes. `sick` are the engines that cannot run."""
    known = known_models(config, registry, results)
    return [_route(config, registry, results, sick, route) for route in _in_use(config, known)]


def _in_use(config: Config, known: model_names.Known) -> Iterator[Route]:
    """Yield the routes. A shipped route has only the candidates that the engines here may have."""
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
    """Judge a route. A fault is only a note, because requests skip missing candidates."""
    faults = {
        full: _fault(config, registry, results, sick, full, route.language) for full in route.candidates
    }
    warnings = [fault for fault in faults.values() if fault]
    there = [full for full, fault in faults.items() if not fault]
    if faults and not there:
        return note("route", f"not used: {', '.join(warnings)}", name=route.language)
    notes = [", ".join(there) or "the model of the request"]
    repeats, post_faults, never = _judge_post(config, results, sick, route)
    notes += repeats
    warnings += post_faults
    if route.front_end is not None and (remark := _front_end(registry, results, route)):
        warnings.append(remark)
    elif route.front_end is not None:
        notes.append(f"prepared by {route.front_end}")
    if route.voice is not None and route.voice not in config.voices and "/" not in route.voice:
        warnings.append(f"there is no voice {route.voice!r} here")
    if never:
        found = "; ".join((*notes, *warnings, *(found for found, _ in never)))
        return wrong("route", found, "; ".join(do for _, do in never), name=route.language)
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


Never = tuple[str, str]
"""The reason why a step can never be done, and the remedy."""


def _judge_post(
    config: Config, results: ProbeResults, sick: Collection[str], route: Route
) -> tuple[list[str], list[str], list[Never]]:
    """Return the working post-steps of a route, the faults of others, and the steps that can never work.

    A step that can never be done is wrong, because its requests are refused. A fault is a note.
    """
    repeats, faults, never = list[str](), list[str](), list[Never]()
    for step in route.post:
        if fault := _post_fault(config, results, sick, route, step):
            faults.append(fault)
        elif (reason := _never(config, results, step)) is not None:
            never.append(reason)
        else:
            repeats.append(f"repeated by {step.engine} as {step.voice}")
    faults.extend(
        f"{engine} and {other} repeat each other's speech, so when both are busy, requests wait for one "
        "another in vain until [server] first_audio_s is over"
        for engine, other in _circles(config, route)
    )
    return repeats, faults, never


def is_missing(engine: str, voice: str, results: ProbeResults) -> bool:
    return engine in results.voices and voice not in results.voices[engine]


def like(voice: str, results: ProbeResults, engine: str) -> str:
    near = hint(voice, sorted(results.voices[engine]))
    return near if near.startswith("did") else "voxgate engines --json lists its voices"


def _post_fault(
    config: Config, results: ProbeResults, sick: Collection[str], route: Route, step: PostStep
) -> str:
    """Return why a post-step cannot be done now, or "" if no reason is known."""
    engine, _, name = step.engine.partition("/")
    what = f"the post-step {step.engine}"
    if engine not in config.engines:
        return f"no [engines.{engine}] for {what}"
    if engine in sick:
        return f"{engine}, for {what}, cannot run"
    infos = results.models.get(engine, ())
    if infos and not _named(infos, name):
        return f"{engine} has no model of {step.engine!r}; {hint(name, [info.id for info in infos])}"
    if engine in _speaking(route):
        return f"{what} does not repeat what {engine} speaks itself"
    section = config.voices.get(step.voice)
    if section is not None and engine not in section.bindings:
        return f"the voice {step.voice!r} of the post-step is not on {engine}"
    refused = [
        plan.name
        for plan in config.plans.values()
        if (plan.engines is not None and engine not in plan.engines)
        or plan.prices.of_conversion(engine, name) is None
    ]
    if not refused:
        return ""
    return f"refused to the plans {', '.join(refused)}: they lack {engine}, or a price for conversions"


def _never(config: Config, results: ProbeResults, step: PostStep) -> Never | None:
    """Return why an engine that answered can never do a step, or None if no reason is known."""
    engine, _, name = step.engine.partition("/")
    infos = results.models.get(engine, ())
    named = _named(infos, name)
    # As in a request, an engine stands for the first of its models that can do it.
    info = next((each for each in named if each.converts), None)
    if named and info is None:
        able = [f"{engine}/{each.id}" for each in infos if each.converts]
        return (
            f"the post-step {step.engine} cannot be done: it does not convert",
            f"name {able[0]}" if able else "name an engine that converts, or leave the step out",
        )
    if info is not None and not info.pitch[0] <= step.pitch <= info.pitch[1]:
        low, high = info.pitch
        return (
            f"the post-step {step.engine} cannot be done: it has no pitch of {step.pitch:g}",
            "leave out pitch: it cannot change that"
            if low == high
            else f"set pitch from {low:g} to {high:g}",
        )
    return _no_voice(config, results, engine, step)


def _named(infos: Sequence[ModelInfo], name: str) -> list[ModelInfo]:
    return [info for info in infos if name in ("", info.id)]


def _no_voice(config: Config, results: ProbeResults, engine: str, step: PostStep) -> Never | None:
    section = config.voices.get(step.voice)
    voice = step.voice.removeprefix(f"{engine}/") if section is None else section.bindings[engine]
    if step.voice in results.saved_voices or not is_missing(engine, voice, results):
        return None
    if section is not None:
        return f"{engine} has no voice {voice!r}", like(voice, results, engine)
    return (
        f"{engine} has no voice {step.voice!r}, and none of that name is saved for all accounts",
        f"{like(voice, results, engine)}; or save one for all accounts",
    )


def _circles(config: Config, route: Route) -> list[tuple[str, str]]:
    """Return pairs of engines that repeat each other's speech, by this route and by others.

    Each of their requests holds a slot of one engine and waits for a slot of the other.
    """
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
