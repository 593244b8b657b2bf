"""The tone engine's trainer. It does not learn, but sends all messages of a real trainer, so tests can use
it.

The settings give the length of a step. The voice is a timbre.
"""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec

from plugins.tone.plugin import ToneSettings
from plugins.tone.timbre import blend, measure
from plugins.tone.voice_format import FORMAT, ToneVoice, read_voice
from plugins.tone.voices import CRASH_STATUS
from speech_engine import training
from speech_engine.plugin import Context, Plugin

_FIRST_MEL, _LEAST_MEL, _FALL = 100.0, 20.0, 0.97
_HANG_S = 3_600.0


class _Checkpoint(msgspec.Struct, frozen=True):
    step: int
    curve: list[float]


class ToneTrainer:
    """A trainer whose steps take `delay_s`. Before step `fail_at_s` it fails as `fail` says."""

    def __init__(self, settings: ToneSettings) -> None:
        self._settings = settings

    def train(
        self,
        order: training.TrainingOrder,
        recordings: Sequence[training.Recording],
        checkpoint: bytes,
        talk: training.TrainingTalk,
    ) -> training.TrainedVoice:
        if not recordings:
            raise training.TrainingError("there is no recording")
        talk.progress(training.TrainingProgress(stage="preparing", of=order.most_steps))
        curve = msgspec.json.decode(checkpoint, type=_Checkpoint).curve if checkpoint else []
        timbre = blend((measure([each.pcm], each.sample_rate_hz), 1 / len(recordings)) for each in recordings)
        while len(curve) < order.most_steps and (
            not curve or len(curve) - curve.index(min(curve)) - 1 < order.patience
        ):
            if talk.must_stop:
                self._send_checkpoint(curve, talk)
                raise training.TrainingStops
            self._step(curve, order, talk)
            if talk.is_due(len(curve)):
                self._send_checkpoint(curve, talk)
        best_step = curve.index(min(curve)) + 1
        voice = msgspec.json.encode(ToneVoice(FORMAT, *timbre, step=best_step))
        return training.TrainedVoice(
            voice=voice,
            steps=len(curve),
            best_step=best_step,
            best=min(curve),
            ended_early=len(curve) < order.most_steps,
            curve=tuple(curve),
        )

    def export(self, voice: bytes, form: training.FileRole) -> bytes:
        if self._settings.fail_form:
            raise training.TrainingError("it sounds otherwise in this form")
        try:
            read_voice(voice)
        except ValueError as error:
            raise training.TrainingError(f"the voice's file cannot be read: {error}") from None
        return b"tone as " + form.encode() + b"\n" + voice

    def _step(self, curve: list[float], order: training.TrainingOrder, talk: training.TrainingTalk) -> None:
        if self._settings.fail and len(curve) >= self._settings.fail_at_s:
            _fail(self._settings.fail)
        time.sleep(self._settings.delay_s)
        step = len(curve) + 1
        jitter = zlib.crc32(f"{order.seed} {step}".encode()) % 100 / 1000
        curve.append(max(_LEAST_MEL, _FIRST_MEL * _FALL**step + jitter))
        left = order.most_steps - step
        talk.progress(
            training.TrainingProgress(
                stage="training",
                step=step,
                of=order.most_steps,
                mel=curve[-1],
                best=min(curve),
                eta_s=left * self._settings.delay_s,
            )
        )

    def _send_checkpoint(self, curve: list[float], talk: training.TrainingTalk) -> None:
        talk.checkpoint(len(curve), (msgspec.json.encode(_Checkpoint(len(curve), curve)),))


def _fail(fault: str) -> None:
    if fault == "crash":
        os._exit(CRASH_STATUS)
    if fault == "UnusableSample":
        raise training.TrainingError("tone hears nothing in these recordings")
    if fault in ("hang", "freeze"):
        time.sleep(_HANG_S)
    raise RuntimeError(fault)


@asynccontextmanager
async def _create(name: str, settings: ToneSettings, context: Context) -> AsyncIterator[ToneTrainer]:
    yield ToneTrainer(settings)


def voxgate_register() -> tuple[Plugin[ToneSettings], ...]:
    return (Plugin(kind="trainer", name="tone", settings=ToneSettings, create=_create),)
