"""The faults of the tone engine on request: the ways in which an engine, or its process, can fail."""

from __future__ import annotations

import asyncio
import os
import threading

from plugins.tone.voices import Fault
from speech_engine.errors import error_named

CRASH_STATUS = 70
RETRY_AFTER_S = 2.0


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
