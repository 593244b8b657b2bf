"""Local engines that are late with their first audio. Routing avoids them until they are quick again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog

from policies import estimate, provider_waits
from policies.preview_texts import preview_text
from policies.routing import Candidate
from proxy.engines.engine_list import NeverLate
from proxy.engines.source import LiveEngine
from speech_engine import Audio, Encoded, EngineError, EngineVoice, Segment, Speak, SpeechJob, VoiceInfo
from speech_engine.host.engine_stream import EngineStream

PROBE_S = 5.0

_log = structlog.get_logger()


class LateEngines(NeverLate):
    """`names` are the engines that are late now.

    A late engine gets a short text every few seconds while it is idle. If it speaks the text in time, it is
    removed from `names`.
    """

    def __init__(self, engine_of: Callable[[str], LiveEngine]) -> None:
        self.names: set[str] = set()
        self._engine_of = engine_of
        self._missed_at: dict[str, tuple[float, ...]] = {}
        self._probes: set[asyncio.Task[None]] = set()

    def note_miss(self, candidate: Candidate, language: str, within_s: float) -> None:
        """Note that a candidate gave no audio within this time.

        Its engine is late after two such misses within a short time, if it can be probed.
        """
        name, now = candidate.model.engine, time.monotonic()
        # `is_late` looks only at the last two misses.
        misses = self._missed_at[name] = (*self._missed_at.get(name, ())[-1:], now)
        if name in self.names or not provider_waits.is_late(misses, now):
            return
        probe = _probe(candidate, self._engine_of(name).voices(), language, within_s)
        if probe is None:
            return
        self.names.add(name)
        _log.warning("engine.late.started", engine=name)
        task = asyncio.create_task(self._wait_until_quick(name, probe))
        self._probes.add(task)
        task.add_done_callback(self._probes.discard)

    async def aclose(self) -> None:
        for task in self._probes:
            task.cancel()
        if self._probes:
            await asyncio.wait(self._probes)

    async def _wait_until_quick(self, name: str, probe: Speak) -> None:
        is_quick = False
        while not is_quick:
            await asyncio.sleep(PROBE_S)
            engine = self._engine_of(name)
            health = await engine.health()
            is_idle = not health.running and not health.waiting and engine.state in ("ready", "unloaded")
            is_quick = is_idle and await _is_quick(engine.open(probe), probe.deadline_s)
        self.names.discard(name)
        del self._missed_at[name]
        _log.info("engine.late.complete", engine=name)


def _probe(
    candidate: Candidate, voices: tuple[VoiceInfo, ...], language: str, within_s: float
) -> Speak | None:
    """Return a short speech with a voice that needs no recordings, or None if there is no such voice.

    Recordings belong to an account, so an engine without other voices cannot be probed.
    """
    voices_to_try = (candidate.voice, *[EngineVoice(each.id) for each in voices])
    voice = next((each for each in voices_to_try if isinstance(each, EngineVoice)), None)
    if voice is None:
        return None
    text = preview_text(language)
    job = SpeechJob(
        id="probe",
        tenant="",
        model=candidate.model.info.id,
        voice=voice,
        segments=(Segment(text, 0, len(text)),),
        language=language,
        deadline_s=within_s,
        estimated_s=estimate.speech_seconds(text, 1.0),
        urgency="idle",
    )
    return Speak(job)


async def _is_quick(stream: EngineStream, within_s: float) -> bool:
    try:
        async with asyncio.timeout(within_s):
            event = await stream.next_event()
            while event is not None and not isinstance(event, (Audio, Encoded)):
                event = await stream.next_event()
            return event is not None
    except (EngineError, TimeoutError):
        return False
    finally:
        await stream.close()
