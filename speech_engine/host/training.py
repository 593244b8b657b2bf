"""The process that trains a voice, `python -m speech_engine.host.training PIPE_FD`; `speech_engine.training`
has its messages.

It reads the engine's model, gives up programs, the network and writing files, and then takes recordings. One
thread trains. Another one reads the pipe, notes a request to stop, and ends the process with its parent.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable
from queue import SimpleQueue

import msgspec

from speech_engine import training
from speech_engine.bounds import cut
from speech_engine.device import Device
from speech_engine.host.confinement import confine, forbid_writing, limit_memory
from speech_engine.host.devices import GB, DeviceLacking, choose_device, find_memory, peak_gb
from speech_engine.host.log import HostLogger
from speech_engine.host.pipe_messages import Broken, DeviceFound, Drain, MayLoad, PeakMemory
from speech_engine.host.plugin_messages import PluginMessage, PluginPipe
from speech_engine.model_files import UnusableModel
from speech_engine.plugin import Context, worker_plugin

_Question = training.RecordingPiece | training.FilePiece | training.Train


class _Talk:
    """A `TrainingTalk` over the pipe, for the training thread. `steps` counts those of this process."""

    def __init__(self, pipe: PluginPipe, device: Device) -> None:
        self.must_stop = False
        self._pipe = pipe
        self._device = device
        self._reported_gb = 0.0
        self._steps = range(0)
        self._order: training.TrainingOrder | None = None
        self._checkpoint_at = 0.0

    def begin(self, order: training.TrainingOrder) -> None:
        self._order, self._checkpoint_at = order, time.monotonic()

    @property
    def steps(self) -> int:
        return len(self._steps)

    def progress(self, progress: training.TrainingProgress) -> None:
        if progress.stage == "training" and progress.step:
            first = self._steps.start or progress.step
            self._steps = range(first, progress.step + 1)
        gb = peak_gb(self._device)
        if gb > self._reported_gb:
            self._reported_gb = gb
            self._pipe.send(PeakMemory(gb))
        self._pipe.send(progress)

    def is_due(self, step: int) -> bool:
        assert self._order is not None, "a training has begun"
        is_late = time.monotonic() >= self._checkpoint_at + self._order.checkpoint_s
        return step % self._order.checkpoint_every == 0 or is_late

    def checkpoint(self, step: int, pieces: Iterable[bytes]) -> None:
        if not self._steps:
            # It would repeat the checkpoint of the process before, and count as progress of this one.
            return
        self.file("checkpoint", pieces, step)
        self._checkpoint_at = time.monotonic()

    def file(self, role: training.FileRole, parts: Iterable[bytes], step: int = 0) -> None:
        for piece in training.file_pieces(role, parts, step):
            self._pipe.send(piece)


class _TrainingQuestion:
    """The recordings and files that have come for the one question of this process."""

    def __init__(self) -> None:
        self.recordings: list[training.Recording] = []
        self.files: dict[training.FileRole, bytes] = {}
        self._pcm = bytearray()
        self._assemblies: dict[training.FileRole, training.Assembly] = {}

    def take(self, piece: training.RecordingPiece | training.FilePiece) -> None:
        if isinstance(piece, training.FilePiece):
            whole = self._assemblies.setdefault(piece.role, training.Assembly()).take(piece)
            if whole is not None:
                self.files[piece.role] = whole
            return
        self._pcm += piece.pcm
        if piece.is_last:
            self.recordings.append(training.Recording(piece.sample_rate_hz, bytes(self._pcm)))
            self._pcm.clear()


class _Process:
    def __init__(self, pipe: PluginPipe, begin: training.BeginTraining) -> None:
        self._pipe = pipe
        self._begin = begin
        self._log = HostLogger(begin.name)
        self._may_load = threading.Event()
        self._questions: SimpleQueue[_Question] = SimpleQueue()
        self._device = choose_device(begin.device, begin.devices)
        self._talk = _Talk(pipe, self._device)

    async def run_training(self) -> None:
        self._pipe.watch(self._on_message, lambda: None)
        memory = find_memory(self._device)
        free_bytes, total_bytes = memory if memory is not None else (0, 0)
        self._pipe.send(DeviceFound(str(self._device), free_bytes / GB, total_bytes / GB))
        self._may_load.wait()
        # Before the trainer reads a model: a file may be made to take any amount.
        limit_memory(self._begin.memory_mb)
        settings_type, create = worker_plugin(self._begin.module, "trainer")
        settings = msgspec.json.decode(self._begin.settings, type=settings_type)
        context = Context(self._log, device=self._device)
        async with create(self._begin.name, settings, context) as trainer:
            lacks = confine()
            for lack in lacks if forbid_writing() else (*lacks, "landlock"):
                self._log.warning("host.confinement.missing", what=lack)
            self._pipe.send(training.TrainerReady())
            # The trainer may block this loop for hours, because no other task runs in it.
            self._answer(trainer)

    def _on_message(self, message: PluginMessage) -> None:
        match message:
            case MayLoad():
                self._may_load.set()
            case Drain():
                self._talk.must_stop = True
            case training.RecordingPiece() | training.FilePiece() | training.Train():
                self._questions.put(message)

    def _answer(self, trainer: training.Trainer) -> None:
        try:
            self._pipe.send(self._train(trainer))
        except training.TrainingStops:
            self._pipe.send(training.TrainingStopped(self._talk.steps))
        except training.TrainingError as error:
            self._pipe.send(training.TrainingFailed(cut(str(error)), is_owners=True))
        except UnusableModel as error:
            self._pipe.send(training.TrainingFailed(cut(str(error))))
        except Exception as error:  # noqa: BLE001 - the seam around a plugin: its class only, it may quote the sound
            self._log.warning("training.failed", error=type(error).__name__)
            self._pipe.send(training.TrainingFailed(type(error).__name__))

    def _train(self, trainer: training.Trainer) -> training.TrainingDone:
        question = _TrainingQuestion()
        while True:
            match self._questions.get():
                case training.Train(order):
                    self._talk.begin(order)
                    checkpoint = question.files.pop("checkpoint", b"")
                    voice = trainer.train(order, question.recordings, checkpoint, self._talk)
                    return self._finish(trainer, order, voice)
                case piece:
                    question.take(piece)

    def _finish(
        self, trainer: training.Trainer, order: training.TrainingOrder, voice: training.TrainedVoice
    ) -> training.TrainingDone:
        """Send the voice, then its other forms. A form that fails does not take the voice with it."""
        self._talk.progress(
            training.TrainingProgress(stage="exporting", step=voice.steps, of=order.most_steps)
        )
        self._talk.file("voice", (voice.voice,))
        for form in order.forms:
            try:
                data = trainer.export(voice.voice, form)
            except Exception as error:  # noqa: BLE001 - the seam around a plugin: it must not take the voice with it
                self._log.warning("training.form.failed", form=form, error=type(error).__name__)
            else:
                self._talk.file(form, (data,))
        return training.TrainingDone(
            steps=voice.steps,
            best_step=voice.best_step,
            best=voice.best,
            ended_early=voice.ended_early,
            curve=voice.curve,
        )


def main() -> None:
    # Ctrl-C in a terminal reaches the whole group, but the server decides when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pipe = PluginPipe(int(sys.argv[1]))
    begin = pipe.receive()
    if isinstance(begin, training.BeginTraining):
        try:
            asyncio.run(_Process(pipe, begin).run_training())
        except DeviceLacking as error:
            pipe.send(Broken(str(error), lasting=True))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the seam around a plugin: the server learns why
            pipe.send(Broken(f"{type(error).__name__}: {error}"))
    # A library's threads must not keep the process.
    os._exit(0)


if __name__ == "__main__":
    main()
