"""`voxgate check`: the post-steps of a route.

A step that can never be done is wrong, because its requests are refused. Every other fault is a note.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from policies.routing import PostStep, Route
from proxy.config.config_toml import Config
from proxy.config.finding import ProbeResults
from proxy.config.reader import hint
from speech_engine import ModelInfo

Never = tuple[str, str]
"""The reason why a step can never be done, and the remedy."""


class Judged(NamedTuple):
    """Findings about the post-steps of routes: their engines, their faults, and steps that can never work."""

    repeats: list[str]
    faults: list[str]
    never: list[Never]


def judge(config: Config, results: ProbeResults, sick: Collection[str], route: Route) -> Judged:
    """Judge the post-steps of a route. `sick` are the engines that cannot run."""
    judged = Judged([], [], [])
    for step in route.post:
        if fault := _fault(config, results, sick, route, step):
            judged.faults.append(fault)
        elif (never := _never(config, results, step)) is not None:
            judged.never.append(never)
        else:
            judged.repeats.append(f"repeated by {step.engine} as {step.voice}")
    judged.faults.extend(
        f"{engine} and {other} repeat each other's speech, so when both are busy, requests wait for one "
        "another in vain until [server] first_audio_s is over"
        for engine, other in _circles(config, route)
    )
    return judged


def is_missing(engine: str, voice: str, results: ProbeResults) -> bool:
    """Tell whether an engine is known to lack a voice."""
    return engine in results.voices and voice not in results.voices[engine]


def like(voice: str, results: ProbeResults, engine: str) -> str:
    """Return a hint for a voice that an engine lacks."""
    near = hint(voice, sorted(results.voices[engine]))
    return near if near.startswith("did") else "voxgate engines --json lists its voices"


def _fault(config: Config, results: ProbeResults, sick: Collection[str], route: Route, step: PostStep) -> str:
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
