"""The behaviour of the tone engine's voices. Special voices let one server serve all tests."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from typing import Literal

import msgspec

from speech_engine.errors import error_named

Fault = Literal[
    "",
    "EngineFailed",
    "EngineUnavailable",
    "EngineBusy",
    "EngineTimeout",
    "UnsupportedLanguage",
    "UnsupportedText",
    "VoiceNotFound",
    "ContentRefused",
    "UnusableSample",
    "no_finish",
    "hang",
    "freeze",
    "bug",
    "crash",
]
"""A fault: an error of speech_engine.errors, or one of five ways to break the contract.

`no_finish` ends without Finished. `hang` waits for ever. `freeze` blocks the thread for ever. `bug`
raises an error that no engine may raise. `crash` ends the process.
"""


class Behaviour(msgspec.Struct, frozen=True, kw_only=True):
    """The way in which a voice behaves.

    `pace` is seconds of clock per second of audio; 0 is as fast as possible. `fail_at_s` is in
    seconds of audio. With `says_voice`, each sentence begins with the voice's name and a colon.
    """

    delay_s: float = 0.0
    pace: float = 0.0
    fail: Fault = ""
    fail_at_s: float = 0.0
    silent: bool = False
    level_db: float = 0.0
    says_voice: bool = False


SPECIAL: dict[str, Behaviour] = {
    "slow": Behaviour(pace=1.0),
    "late": Behaviour(delay_s=2.0),
    "silent": Behaviour(silent=True),
    "fail": Behaviour(fail="EngineFailed"),
    "fail-late": Behaviour(fail="EngineFailed", fail_at_s=0.3),
    "unavailable": Behaviour(fail="EngineUnavailable"),
    "busy": Behaviour(fail="EngineBusy"),
    "timeout": Behaviour(fail="EngineTimeout"),
    "refuse": Behaviour(fail="ContentRefused"),
    "no-language": Behaviour(fail="UnsupportedLanguage"),
    "no-text": Behaviour(fail="UnsupportedText"),
    "no-finish": Behaviour(fail="no_finish", fail_at_s=0.3),
    "hang": Behaviour(fail="hang"),
    "hang-late": Behaviour(fail="hang", fail_at_s=0.3),
    "freeze": Behaviour(fail="freeze"),
    "bug": Behaviour(fail="bug"),
    "crash": Behaviour(fail="crash"),
    "crash-late": Behaviour(fail="crash", fail_at_s=0.3),
}
"""Behaviours by voice id. Each of them replaces the behaviour in the engine's settings."""


CRASH_STATUS = 70
RETRY_AFTER_S = 2.0
_STEP_S = 0.5


async def delay(behaviour: Behaviour, tick: Callable[[], None]) -> None:
    """Wait in steps, with a tick for each step, like a model that is slow but not frozen."""
    left_s = behaviour.delay_s
    while left_s > 0:
        await asyncio.sleep(min(left_s, _STEP_S))
        left_s -= _STEP_S
        tick()


async def commit(fault: Fault) -> None:
    """Raise, wait or die as the fault says. Only for `no_finish` it returns: the answer just ends."""
    match fault:
        case "" | "no_finish":
            return
        case "hang":
            await asyncio.Event().wait()
        case "freeze":
            # This blocks the loop's own thread on purpose: not even a heartbeat gets through.
            threading.Event().wait()
        case "bug":
            raise ZeroDivisionError("the tone engine was told to have a bug")
        case "crash":
            os._exit(CRASH_STATUS)
        case _:
            retry_after_s = RETRY_AFTER_S if fault in ("EngineBusy", "EngineUnavailable") else None
            raise error_named(
                fault, f"the tone engine was told to fail: {fault}", retry_after_s=retry_after_s
            )
