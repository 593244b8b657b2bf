"""The seam around an engine: runs a job in its turn, and tells every failure as an EngineError.

Hosts and the server's own in-process engines run every job through here, so both behave alike.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec

from speech_engine import API_VERSION
from speech_engine.engine import Engine, EngineVoices
from speech_engine.errors import EngineError, EngineFailed
from speech_engine.events import Audio, Encoded, Event, Finished, Started
from speech_engine.host.messages import Failed, Frame, HelloReply
from speech_engine.host.pulse import Pulse
from speech_engine.host.queue import FairQueue
from speech_engine.host.spool import Spool
from speech_engine.plugin import Logger
from speech_engine.values import SpeechJob


async def in_turn(
    engine: Engine, queue: FairQueue, job: SpeechJob, log: Logger, pulse: Pulse
) -> AsyncGenerator[Event, None]:
    """Yield the engine's events up to Finished. Raises only EngineError; the slot is free afterwards."""
    rate_hz = 0
    async with queue.turn(job.tenant, job.deadline_s, job.estimated_s, job.share) as turn:
        try:
            with pulse.working():
                # The time of waiting is gone.
                left = msgspec.structs.replace(job, deadline_s=turn.left_s)
                async with aclosing(engine.speak(left)) as events:
                    async for event in events:
                        pulse.tick()
                        if isinstance(event, Started):
                            rate_hz = event.sample_rate_hz
                        queue.made(turn, _seconds(event, rate_hz))
                        turn.has_finished = isinstance(event, Finished)
                        yield event
                        if turn.has_finished:
                            return
        except EngineError:
            raise
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Something inside the engine was cancelled; nobody asked the job to stop.
            raise EngineFailed("The engine broke off its own work.") from None
        except Exception as error:  # noqa: BLE001 - the seam around a plugin: logged, and told as a failure
            log.warning("engine.speak.failed", job=job.id, error=type(error).__name__, where=_where(error))
            raise EngineFailed("The engine broke while speaking.") from None
    raise EngineFailed("The engine ended without finishing.")


async def spooled(
    engine: Engine, queue: FairQueue, job: SpeechJob, log: Logger, pulse: Pulse
) -> AsyncGenerator[Frame, None]:
    """Do the same as `in_turn`, but run ahead of the reader, so that a slow reader holds no slot. A failure
    is the last frame. If closed early, the generator returns when the slot is free."""
    spool = Spool()
    speaking = asyncio.create_task(_fill(spool, in_turn(engine, queue, job, log, pulse), pulse))
    try:
        async with aclosing(spool.frames()) as frames:
            async for frame in frames:
                yield frame
    finally:
        speaking.cancel()
        await asyncio.wait([speaking])


async def _fill(spool: Spool, speech: AsyncGenerator[Event, None], pulse: Pulse) -> None:
    try:
        async with aclosing(speech) as events:
            async for event in events:
                if spool.is_full:
                    with pulse.waiting():
                        await spool.put(event)
                else:
                    await spool.put(event)
    except EngineError as error:
        await spool.put(Failed.of(error))
    finally:
        spool.end()


def introduction(engine: Engine) -> HelloReply:
    """Ask an engine once, before it serves, for its description: an exception or nonsense ends the start."""
    voices = engine.voices() if isinstance(engine, EngineVoices) else ()
    welcome = HelloReply(API_VERSION, engine.slots, engine.models(), voices)
    try:
        return msgspec.convert(msgspec.to_builtins(welcome), HelloReply)
    except msgspec.ValidationError as error:
        raise EngineFailed(f"The engine describes itself wrongly: {error}.") from None


def _seconds(event: Event, rate_hz: int) -> float:
    """Return the length of the audio, if it can be counted."""
    match event:
        case Audio(pcm=pcm) if rate_hz > 0:
            return len(pcm) / 2 / rate_hz
        case Encoded(samples=int(samples)) if rate_hz > 0:
            return samples / rate_hz
    return 0.0


def _where(error: BaseException) -> list[str]:
    """The traceback as places only: its messages could quote the text."""
    frames = traceback.extract_tb(error.__traceback__)
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
