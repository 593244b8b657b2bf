"""The findings of `voxgate check` about voices, and about routes with their front-ends and post-steps."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

import msgspec

from policies import routing
from policies.language import base_tag
from policies.routing import PostStep, Route
from proxy.config import model_names
from proxy.config.config_toml import Config
from proxy.config.finding import Finding, ProbeResults, note, ok, wrong
from proxy.config.reader import did_you_mean
from proxy.config.routes import missing_engines
from proxy.config.sections import Remark, VoiceSection
from proxy.diagnosis.model_check import imported_infos, known_models
from proxy.engines.registry import Registry
from speech_engine import ModelInfo

_SUCCESSORS = {r"^jf_\w+$": "af_heart", r"^jm_\w+$": "am_michael", r":up[\d.]+$": ""}
"""Patterns of voices of earlier versions, and the voices in their place."""


def check_routes(
    config: Config, registry: Registry, results: ProbeResults, broken_engines: Collection[str]
) -> list[Finding]:
    """Return a finding for each route. The engines in `broken_engines` cannot run."""
    known = known_models(config, registry, results)
    return [
        _judge_route(config, registry, results, broken_engines, route)
        for route in _routes_in_use(config, known)
    ]


def _routes_in_use(config: Config, known: model_names.ModelsByEngine) -> Iterator[Route]:
    """Yield the routes that requests use. A shipped route keeps only the candidates that may exist here."""
    for route in config.routes:
        if not route.is_shipped:
            yield route
        elif available := tuple(
            candidate for candidate in route.candidates if _may_exist(config, known, candidate)
        ):
            yield msgspec.structs.replace(route, candidates=available)


def _may_exist(config: Config, known: model_names.ModelsByEngine, candidate: str) -> bool:
    """Return false if the engine of a candidate is not configured, or is known to lack the model."""
    engine, _, model = candidate.partition("/")
    return engine in config.engines and (engine not in known or model in known[engine])


def check_voices(config: Config, results: ProbeResults) -> list[Finding]:
    """Return findings about the voices in the file. A voice that every one of its engines lacks is wrong."""
    from_file = [remark for remark in config.warnings if remark.key.startswith("voices.")]
    unknown = [
        Remark(
            f"voices.{name}.{engine}",
            f"{engine} has no voice {voice!r}; {voice_hint(voice, results, engine)}",
        )
        for name, section in config.voices.items()
        for engine, voice in section.bindings.items()
        if lacks_voice(engine, voice, results)
    ]
    silent = [
        Remark(f"voices.{name}", "no engine has it, so it is not offered")
        for name, section in config.voices.items()
        if is_silent(section, results)
    ]
    return [
        *(note("voice", each.text, name=each.key) for each in (*from_file, *unknown)),
        *(wrong("voice", each.text, "name a voice that an engine has", name=each.key) for each in silent),
    ]


def is_silent(section: VoiceSection, results: ProbeResults) -> bool:
    """Tell whether every engine of a voice is known to lack it."""
    bindings = section.bindings.items()
    return bool(bindings) and all(lacks_voice(engine, voice, results) for engine, voice in bindings)


def front_end_remarks(config: Config, registry: Registry) -> tuple[Remark, ...]:
    """Return a remark for each route whose front-end is not installed. The server logs them at its start.

    A route is left out if none of its candidates has a configured engine.
    """
    installed = registry.plugins("front_end")
    return tuple(
        Remark(f"routes.{route.language}.front_end", _missing_front_end(route.front_end))
        for route in config.routes
        if route.front_end is not None
        and route.front_end not in installed
        and (not route.candidates or len(missing_engines(route, config.engines)) < len(route.candidates))
    )


def _judge_route(
    config: Config, registry: Registry, results: ProbeResults, broken_engines: Collection[str], route: Route
) -> Finding:
    """Return the finding about a route. A faulty candidate is only a note, because requests skip it."""
    faults = {
        candidate: _candidate_fault(config, registry, results, broken_engines, candidate, route.language)
        for candidate in route.candidates
    }
    warnings = [fault for fault in faults.values() if fault]
    available = [candidate for candidate, fault in faults.items() if not fault]
    if faults and not available:
        return note("route", f"not used: {', '.join(warnings)}", name=route.language)
    notes = [", ".join(available) or "the model of the request"]
    repeats, post_faults, impossible = _judge_post(config, results, broken_engines, route)
    notes += repeats
    warnings += post_faults
    if route.front_end is not None and (remark := _front_end_fault(registry, results, route)):
        warnings.append(remark)
    elif route.front_end is not None:
        notes.append(f"prepared by {route.front_end}")
    if route.voice is not None and route.voice not in config.voices and "/" not in route.voice:
        warnings.append(f"there is no voice {route.voice!r} here")
    if impossible:
        found = "; ".join((*notes, *warnings, *(reason for reason, _ in impossible)))
        return wrong("route", found, "; ".join(remedy for _, remedy in impossible), name=route.language)
    return (note if warnings else ok)("route", "; ".join((*notes, *warnings)), name=route.language)


def _candidate_fault(
    config: Config,
    registry: Registry,
    results: ProbeResults,
    broken_engines: Collection[str],
    candidate: str,
    tag: str,
) -> str:
    """Return the reason why a candidate cannot speak, or "" if none is known."""
    engine, _, name = candidate.partition("/")
    if engine not in config.engines:
        return f"no [engines.{engine}] for {candidate}"
    if engine in broken_engines:
        return f"{engine}, for {candidate}, cannot run"
    # If no server runs, the engines report no models. Imported models are known without a server.
    infos = results.models.get(engine) or imported_infos(config, registry, engine)
    if not infos:
        return ""
    info = next((info for info in infos if info.id == name), None)
    if info is None:
        return f"{engine} has no model of {candidate!r}; {did_you_mean(name, [info.id for info in infos])}"
    return "" if routing.speaks(info, tag) else f"{candidate} does not speak {tag} well enough"


def _front_end_fault(registry: Registry, results: ProbeResults, route: Route) -> str:
    """Return what is wrong with the front-end of a route, or "" if nothing is known."""
    name = route.front_end or ""
    if name not in registry.plugins("front_end"):
        return _missing_front_end(name)
    made_for = results.front_ends.get(name, frozenset())
    if not made_for or base_tag(route.language) in made_for:
        return ""
    return f"prepared by {name}, which was made for {', '.join(sorted(made_for))}"


def _missing_front_end(name: str | None) -> str:
    return f"the front_end {name} is not installed, so plain prepares its texts"


Impossibility = tuple[str, str]
"""The reason why a post-step always fails, and the remedy."""


def _judge_post(
    config: Config, results: ProbeResults, broken_engines: Collection[str], route: Route
) -> tuple[list[str], list[str], list[Impossibility]]:
    """Return three lists of texts about a route's post-steps: those that work, faults, and impossible ones.

    An impossible step is an error, because every request for it is refused. A fault is a note.
    """
    repeats, faults, impossible = list[str](), list[str](), list[Impossibility]()
    for step in route.post:
        if fault := _post_fault(config, results, broken_engines, route, step):
            faults.append(fault)
        elif (impossibility := _impossibility(config, results, step)) is not None:
            impossible.append(impossibility)
        else:
            repeats.append(f"repeated by {step.engine} as {step.voice}")
    faults.extend(
        f"{engine} and {other} repeat each other's speech, so when both are busy, requests wait for one "
        "another in vain until [server] first_audio_s is over"
        for engine, other in _mutual_repeats(config, route)
    )
    return repeats, faults, impossible


def lacks_voice(engine: str, voice: str, results: ProbeResults) -> bool:
    return engine in results.voices and voice not in results.voices[engine]


def voice_hint(voice: str, results: ProbeResults, engine: str) -> str:
    """Return the successor of a voice, a similar name of the engine, or the command that lists its voices."""
    for former, successor in _SUCCESSORS.items():
        if (newer := re.sub(former, successor, voice)) != voice and newer in results.voices[engine]:
            return f"it speaks no more, and {newer} does"
    hint = did_you_mean(voice, sorted(results.voices[engine]))
    return hint if hint.startswith("did") else "voxgate engines --json lists its voices"


def _post_fault(
    config: Config, results: ProbeResults, broken_engines: Collection[str], route: Route, step: PostStep
) -> str:
    """Return the reason why a post-step cannot be done now, or "" if none is known."""
    engine, _, name = step.engine.partition("/")
    what = f"the post-step {step.engine}"
    if engine not in config.engines:
        return f"no [engines.{engine}] for {what}"
    if engine in broken_engines:
        return f"{engine}, for {what}, cannot run"
    infos = results.models.get(engine, ())
    if infos and not _models_named(infos, name):
        hint = did_you_mean(name, [info.id for info in infos])
        return f"{engine} has no model of {step.engine!r}; {hint}"
    if engine in _speaking_engines(route):
        return f"{what} does not repeat what {engine} speaks itself"
    section = config.voices.get(step.voice)
    if section is not None and engine not in section.bindings:
        return f"the voice {step.voice!r} of the post-step is not on {engine}"
    refused = [
        plan.name
        for plan in config.plans.values()
        if (plan.engines is not None and engine not in plan.engines)
        or plan.prices.conversion_price(engine, name) is None
    ]
    if not refused:
        return ""
    return f"refused to the plans {', '.join(refused)}: they lack {engine}, or a price for conversions"


def _impossibility(config: Config, results: ProbeResults, step: PostStep) -> Impossibility | None:
    """Return the reason why a post-step always fails, or None if no reason is known."""
    engine, _, name = step.engine.partition("/")
    infos = results.models.get(engine, ())
    named = _models_named(infos, name)
    # If a step names an engine without a model, requests use the engine's first model that converts.
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
    return _voice_impossibility(config, results, engine, step)


def _models_named(infos: Sequence[ModelInfo], name: str) -> list[ModelInfo]:
    """Return the model of this name, or all models if a step names none."""
    return [info for info in infos if name in ("", info.id)]


def _voice_impossibility(
    config: Config, results: ProbeResults, engine: str, step: PostStep
) -> Impossibility | None:
    """Return an impossibility if the engine is known to lack the voice of a step."""
    section = config.voices.get(step.voice)
    voice = step.voice.removeprefix(f"{engine}/") if section is None else section.bindings[engine]
    if step.voice in results.saved_voices or not lacks_voice(engine, voice, results):
        return None
    if section is not None:
        return f"{engine} has no voice {voice!r}", voice_hint(voice, results, engine)
    return (
        f"{engine} has no voice {step.voice!r}, and none of that name is saved for all accounts",
        f"{voice_hint(voice, results, engine)}; or save one for all accounts",
    )


def _mutual_repeats(config: Config, route: Route) -> list[tuple[str, str]]:
    """Return the pairs of engines that repeat each other's speech, by this route together with other routes.

    Their requests can deadlock: each holds a slot of one engine and waits for a slot of the other.
    """
    repeated: dict[str, set[str]] = {}
    for each in config.routes:
        for speaks in _speaking_engines(each):
            repeated.setdefault(speaks, set()).update(_repeating_engines(each))
    found = list[tuple[str, str]]()
    for engine in _repeating_engines(route):
        reached, remaining = set[str](), [engine]
        while remaining:
            more = repeated.get(remaining.pop(), set()) - reached
            reached |= more
            remaining += more
        found += [
            (engine, other) for other in _speaking_engines(route) if other in reached and other != engine
        ]
    return found


def _speaking_engines(route: Route) -> list[str]:
    return list(dict.fromkeys(candidate.partition("/")[0] for candidate in route.candidates))


def _repeating_engines(route: Route) -> list[str]:
    return list(dict.fromkeys(step.engine.partition("/")[0] for step in route.post))
