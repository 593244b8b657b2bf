"""The seam around an engine: its async generator becomes a stream, in a slot or without one, and every
failure an EngineError.

Hosts and the server's own engines run all work through here, so both behave alike.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Coroutine
from typing import Any, Protocol

from speech_engine.engine import (
    Engine,
    EngineClones,
    EngineConverts,
    EngineDeletesVoices,
    EngineFindsClones,
    EngineHears,
    EngineReadsSounds,
)
from speech_engine.errors import EngineCannot, EngineError, EngineFailed
from speech_engine.events import ClonesListed, Event, Finished, SoundsRead, VoiceMade
from speech_engine.host.slot_turn import SlotTurn
from speech_engine.host.slots import Slots
from speech_engine.plugin import Logger
from speech_engine.work import (
    Clone,
    Convert,
    DeleteVoice,
    FindClone,
    Hear,
    ListClones,
    ReadSounds,
    Speak,
    Work,
    job_of,
    with_deadline,
)

OnDispatch = Callable[[bool], float | None]
"""Called with true when the work leaves our own queues: some providers bill from that moment on. Called with
false when the provider has certainly not begun and the work waits again. May return how long a provider may
be silent."""


def ignore_dispatch(_is_dispatched: bool) -> None:
    """For callers that do not need to know the dispatch."""


class EngineStream(Protocol):
    """The answer to one piece of work. It has one owner, and the owner closes it."""

    async def next_event(self) -> Event | None:
        """Return the next event, and None after Finished. Raises only EngineError, which ends the stream.

        The first call begins the work. If the call is cancelled, the stream is over too.
        """
        ...

    async def close(self) -> None:
        """End the work and give back its slot and memory. A second call has no effect.

        If this call is cancelled, it finishes first.
        """
        ...


class EngineAnswer:
    """The stream of an engine's own generator. It holds no slot."""

    def __init__(
        self, engine: Engine, work: Work, log: Logger, pcm: AsyncIterable[bytes] | None = None
    ) -> None:
        self._engine = engine
        self._work = work
        self._log = log
        self._pcm = pcm
        self._events: AsyncGenerator[Event, None] | None = None
        self._is_over = False

    async def next_event(self) -> Event | None:
        """Return the next event. When it is Finished, the engine has ended its work already."""
        if self._is_over:
            return None
        try:
            if self._events is None:
                self._events = events_of(self._engine, self._work, self._pcm)
            event = await anext(self._events)
        except BaseException as raised:
            self._is_over = True
            error = failure_of(raised, self._work, self._log)
            if error is None:
                raise
            raise error from None
        if isinstance(event, Finished):
            self._is_over = True
            await end_events(self._events, self._work, self._log)
        return event

    async def close(self) -> None:
        events, is_over, self._is_over = self._events, self._is_over, True
        if events is not None and not is_over:
            await run_to_end(end_events(events, self._work, self._log))


def events_of(engine: Engine, work: Work, pcm: AsyncIterable[bytes] | None) -> AsyncGenerator[Event, None]:
    """Return the engine's own generator for this work. `failure_of` is the seam around it."""
    match work:
        case Speak(job=job):
            return engine.speak(job)
        case Convert(job=job) if isinstance(engine, EngineConverts) and pcm is not None:
            return engine.convert(job, aiter(pcm))
        case Hear(job=hear_job) if isinstance(engine, EngineHears) and pcm is not None:
            return engine.transcribe(hear_job, aiter(pcm))
    return _voice_work(engine, work)


def failure_of(raised: BaseException, work: Work, log: Logger) -> EngineError | None:
    """Return the failure that an exception of an engine's generator means, and log a fault of the plugin.
    Return None if the work itself was cancelled."""
    match raised:
        case EngineError():
            return raised
        case StopAsyncIteration():
            return EngineFailed("The engine ended without finishing.")
        case asyncio.CancelledError():
            task = asyncio.current_task()
            is_cancelled = task is None or task.cancelling()
            # Otherwise something inside the engine was cancelled.
            return None if is_cancelled else EngineFailed("The engine broke off its own work.")
        case Exception():
            _log_fault(raised, work, log)
            return EngineFailed("The engine broke while speaking.")
    return None


async def end_events(events: AsyncGenerator[Event, None], work: Work, log: Logger) -> None:
    """Close an engine's generator. An exception here does not change the answer."""
    try:
        await events.aclose()
    except EngineError:
        return
    except Exception as error:  # noqa: BLE001 - the seam around a plugin: logged, since the answer is over
        _log_fault(error, work, log)


def _log_fault(error: Exception, work: Work, log: Logger) -> None:
    log.warning("engine.speak.failed", job=work.id, error=type(error).__name__, where=places_of(error))


async def _voice_work(engine: Engine, work: Work) -> AsyncGenerator[Event, None]:
    """Do work on voices at a provider, or read sounds. Raise EngineCannot if the engine does not."""
    match work:
        case Clone(request=request) if isinstance(engine, EngineClones):
            yield VoiceMade(await engine.clone(request))
        case DeleteVoice(voice=voice) if isinstance(engine, EngineDeletesVoices):
            await engine.delete_voice(voice)
        case FindClone(name=name) if isinstance(engine, EngineFindsClones):
            if (found := await engine.find_clone(name)) is not None:
                yield VoiceMade(found)
        case ListClones(prefix=prefix) if isinstance(engine, EngineFindsClones):
            yield ClonesListed(await engine.list_clones(prefix))
        case ReadSounds(texts=texts, language=language) if isinstance(engine, EngineReadsSounds):
            yield SoundsRead(tuple(await engine.sounds(texts, language)))
        case _:
            raise EngineCannot(f"The engine cannot do this work: {type(work).__name__}.")
    yield Finished()


async def run_to_end(work: Coroutine[Any, Any, None]) -> None:
    """Run the work to its end, even if this call is cancelled. CancelledError is raised afterwards."""
    task, cancelled = asyncio.create_task(work), None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


def places_of(error: BaseException) -> list[str]:
    """Return the traceback as places only, because its messages could quote the text."""
    frames = traceback.extract_tb(error.__traceback__)
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]


class SlotStream(EngineAnswer):
    """The stream of an engine that works in this process: it waits for a slot, and counts what comes out.

    `on_dispatch` is called when it has its slot. The slot is free again when Finished or an error comes out,
    or when the stream is closed. If it `runs_alone`, the engine has no other work meanwhile.
    """

    def __init__(
        self,
        engine: Engine,
        slots: Slots,
        work: Work,
        log: Logger,
        on_dispatch: OnDispatch = ignore_dispatch,
        pcm: AsyncIterable[bytes] | None = None,
    ) -> None:
        super().__init__(engine, work, log, pcm)
        self._slots = slots
        self._on_dispatch = on_dispatch
        self.runs_alone = False
        self._turn: SlotTurn | None = None

    async def next_event(self) -> Event | None:
        if self._is_over:
            return None
        try:
            if self._turn is None:
                self._turn = await self._enter()
            event = await super().next_event()
        except BaseException:
            self._leave()
            raise
        if event is not None:
            self._slots.note(self._turn, event)
        if event is None or isinstance(event, Finished):
            self._leave()
        return event

    async def close(self) -> None:
        try:
            await super().close()
        finally:
            self._leave()

    async def _enter(self) -> SlotTurn:
        work = self._work
        turn = await self._slots.enter(
            work.tenant,
            work.deadline_s,
            work.estimated_s,
            work.share,
            runs_alone=self.runs_alone,
            job=job_of(work),
            urgency=work.urgency,
            hears=isinstance(work, Hear),
        )
        self._on_dispatch(True)
        # The time of waiting is gone.
        self._work = with_deadline(work, turn.left_s)
        return turn

    def _leave(self) -> None:
        self._is_over = True
        turn, self._turn = self._turn, None
        if turn is not None:
            self._slots.leave(turn)
