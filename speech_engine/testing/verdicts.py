"""The contract suite without pytest: a trial of each rule of `EngineContract`, and its verdict."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import msgspec

from speech_engine.engine import Engine, EngineVoices
from speech_engine.hearing import HEARING_HZ
from speech_engine.models import ANY_LANGUAGE
from speech_engine.testing.contract import EngineContract
from speech_engine.testing.hearing_contract import HearingContract
from speech_engine.testing.recordings import hum
from speech_engine.values import Sample, Samples

Open = Callable[[], AbstractAsyncContextManager[Engine]]
"""A function that creates the engine. Each rule calls it again."""


Contract = EngineContract | HearingContract


class _HearsHum(HearingContract):
    """The contract of an engine that hears, without a recording whose words are known."""

    knows_words = False

    async def recording(self) -> bytes:
        return hum(HEARING_HZ, 4.0)


class RuleVerdict(msgspec.Struct, frozen=True):
    """The verdict on one rule, in words. If the engine obeyed the rule, `broken` is empty.

    Otherwise `broken` describes the fault.
    """

    rule: str
    broken: str = ""


async def verdicts(open_engine: Open, voice: str | None = None) -> AsyncIterator[RuleVerdict]:
    """Yield a verdict for each rule. Without `voice`, the engine speaks with its own first voice, or
    from a recording if it has none. An engine whose first model hears is given a hum."""
    kind = await _find_contract(open_engine, voice)
    if isinstance(kind, RuleVerdict):
        yield kind
        return
    for name in dir(HearingContract if issubclass(kind, HearingContract) else EngineContract):
        if name.startswith("test_"):
            yield await _try_rule(kind(), name)


async def _find_contract(open_engine: Open, voice: str | None) -> type[Contract] | RuleVerdict:
    rule = "it can be created, and has a model and a voice"
    try:
        async with open_engine() as engine:
            model = engine.models()[0]
            voices = engine.voices() if isinstance(engine, EngineVoices) else ()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the seam around a plugin: it becomes the verdict
        return RuleVerdict(rule, _describe(error))
    if model.hears:
        return type("Contract", (_HearsHum,), {"engine": lambda _self: open_engine()})
    if voice is None and not voices and not model.speaks_samples:
        return RuleVerdict(rule, "it brings no voice along: name one that it knows with --voice")
    language = model.languages[0].tag
    members = {
        "voice": voice or (voices[0].id if voices else Samples((Sample("hum", text="A hum."),))),
        "language": "en" if language == ANY_LANGUAGE else language,
        "engine": lambda _self: open_engine(),
    }
    return type("Contract", (EngineContract,), members)


async def _try_rule(contract: Contract, name: str) -> RuleVerdict:
    rule = name.removeprefix("test_").replace("_", " ")
    try:
        await getattr(contract, name)()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the seam around a plugin: it becomes the verdict
        return RuleVerdict(rule, _describe(error))
    return RuleVerdict(rule)


def _describe(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(_describe(each) for each in error.exceptions)
    # The message of a broken rule says all. For any other error, the class says half of it.
    message = str(error).split("\n", 1)[0]
    return message if isinstance(error, AssertionError) else f"{type(error).__name__}: {message}"
