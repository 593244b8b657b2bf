"""Training: a voice is learnt from recordings. Orders and reports of a trainer, and the messages for both
between the server and the process that trains.

The process is `python -m speech_engine.host.training PIPE_FD`, in the engine's environment. It answers one
order, and ends. Large data goes in pieces of PIECE_BYTES at most, and never through a file:

    server   BeginTraining                     MayLoad
    process                 DeviceFound                 TrainerReady
    server   RecordingPiece…  FilePiece("checkpoint")…  Train
    process  TrainingProgress…  FilePiece("checkpoint")…
    process  FilePiece("voice")…  FilePiece("onnx")…  TrainingDone

The answer may end with TrainingFailed at any time. `Drain` ends a training between two steps, with a
checkpoint and TrainingStopped. To cancel one, kill the process: it leaves no files. `Drain`, MayLoad and
DeviceFound are those of `speech_engine.host.pipe_messages`.

At a far end the same process is fed over HTTP, by a link of the server that trains (`speech_engine.runner`):

    GET  LINK   the recordings, the checkpoint and Train, as the pipe has them
    POST LINK   TrainingProgress, or the next FarPiece of a checkpoint, the voice or a form
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Literal, Protocol

import msgspec

from speech_engine.bounds import Line, Text
from speech_engine.device import DeviceKind
from speech_engine.redacted import Redacted

TRAINING_MODULE = "speech_engine.host.training"
PIECE_BYTES = 1 << 20
BLOB_BYTES = 4 << 20
"""The size of a piece of a stored file, or of one from a far end."""

FileRole = Literal["checkpoint", "voice", "onnx"]
"""A training goes on from a checkpoint; an engine loads a voice's file; other forms are for download."""
Stage = Literal["preparing", "training", "exporting"]


class TrainingError(Exception):
    """A training that cannot be done, or cannot go on. The message is for the voice's owner."""


class TrainingStops(Exception):
    """Raised by a trainer after a request to stop, when its last checkpoint is out."""


class Recording(Redacted, msgspec.Struct, frozen=True):
    """A recording: mono, 16 bit."""

    sample_rate_hz: int
    pcm: bytes


class TrainingOrder(msgspec.Struct, frozen=True, kw_only=True):
    """The order of a training. With the same seed and recordings, a processor gives the same voice.

    It ends after `most_steps`, or when the voice has not become better for `patience` steps. A checkpoint is
    due after `checkpoint_every` steps, or `checkpoint_s`. `sample_rate_hz` is the voice's; 0 leaves it to the
    trainer. `forms` are the requested forms beside the voice's own, if it can have them.
    """

    seed: int
    most_steps: int
    batch: int = 8
    checkpoint_every: int = 500
    checkpoint_s: float = 600.0
    patience: int = 2_000
    sample_rate_hz: int = 0
    forms: tuple[FileRole, ...] = ("onnx",)


class TrainingProgress(msgspec.Struct, frozen=True, kw_only=True, tag="training_progress"):
    """The progress of a training. `mel` is the distance of the voice's sound from the recordings, `best` the
    least so far.

    Both are 0 before the first step. `of` is the most steps of the stage. `eta_s` is None while it is
    not known.
    """

    stage: Stage
    step: int = 0
    of: int = 0
    mel: float = 0.0
    best: float = 0.0
    eta_s: float | None = None


class TrainedVoice(Redacted, msgspec.Struct, frozen=True, kw_only=True):
    """The result of a training. `curve` has the mel loss of each step.

    `best_step` is the one whose voice this is. A training that `ended_early` had become no better.
    """

    voice: bytes
    steps: int
    best_step: int
    best: float
    ended_early: bool
    curve: tuple[float, ...]


class TrainingTalk(Protocol):
    """The reports of a trainer at work."""

    @property
    def must_stop(self) -> bool:
        """Ask between steps. If it is true, send a checkpoint and raise TrainingStops.

        Before its first step a trainer sends none: the checkpoint that it was given is still right.
        """
        ...

    def progress(self, progress: TrainingProgress) -> None:
        """Report the progress. Does not wait."""
        ...

    def is_due(self, step: int) -> bool:
        """Return whether a checkpoint is due. Call it after each step."""
        ...

    def checkpoint(self, step: int, pieces: Iterable[bytes]) -> None:
        """Send the state that a later process needs to go on. It waits until the server has taken it."""
        ...


class Trainer(Protocol):
    """Learns voices. A worker's module opens one, as it opens an engine, and it is used in one thread."""

    def train(
        self, order: TrainingOrder, recordings: Sequence[Recording], checkpoint: bytes, talk: TrainingTalk
    ) -> TrainedVoice:
        """Learn a voice, from the checkpoint on unless that is empty. May take hours.

        Raises TrainingStops, and TrainingError only if the recordings are to blame.
        """
        ...

    def export(self, voice: bytes, form: FileRole) -> bytes:
        """Return a voice's file in another form, after a test of it. Raises TrainingError: then the voice
        goes without this form."""
        ...


class BeginTraining(Redacted, msgspec.Struct, frozen=True, kw_only=True, tag="begin_training"):
    """The first message to the process. `settings` are those of the engine, `module` is its trainer's.

    `device` is as a configuration names it; the trainer is able to use `devices`.
    """

    name: str
    module: str
    settings: bytes
    device: str = "cpu"
    devices: tuple[DeviceKind, ...] = ("cpu",)
    memory_mb: int | None = None


class TrainerReady(msgspec.Struct, frozen=True, tag="trainer_ready"):
    """The trainer has read its model, is confined, and takes recordings."""


class RecordingPiece(Redacted, msgspec.Struct, frozen=True, kw_only=True, tag="recording_piece"):
    """The next piece of a recording. They come one after the other, each to its end."""

    sample_rate_hz: int
    pcm: bytes
    is_last: bool


class FilePiece(Redacted, msgspec.Struct, frozen=True, kw_only=True, tag="file_piece"):
    """The next piece of a file. The last one has the SHA-256 of the whole; a checkpoint has its step."""

    role: FileRole
    data: bytes
    is_last: bool = False
    digest: str = ""
    step: int = 0


class FarPiece(Redacted, msgspec.Struct, frozen=True, kw_only=True, tag="far_piece"):
    """The next piece of a file that a far end sends. They are numbered from 0 in each file. If a number
    comes again with other data, its piece replaces all pieces from there on. `digest` is the SHA-256 of these
    data, and a checkpoint has its step."""

    role: FileRole
    number: int
    data: bytes
    digest: Line
    is_last: bool = False
    step: int = 0


class Train(msgspec.Struct, frozen=True, tag="train"):
    """All recordings have come, and the checkpoint if there is one: begin."""

    order: TrainingOrder


class TrainingDone(msgspec.Struct, frozen=True, kw_only=True, tag="training_done"):
    """The end: all pieces of the voice have been sent before. The fields are those of TrainedVoice."""

    steps: int
    best_step: int
    best: float
    ended_early: bool
    curve: Annotated[tuple[float, ...], msgspec.Meta(max_length=1_000_000)]


class TrainingStopped(msgspec.Struct, frozen=True, tag="training_stopped"):
    """The process has stopped on request, and has sent its last checkpoint, if it had begun to learn. It has
    learnt for `steps` steps."""

    steps: int = 0


class TrainingFailed(msgspec.Struct, frozen=True, tag="training_failed"):
    """There will be no voice. With `is_owners`, the recordings or files are to blame: no second try helps."""

    reason: Text
    is_owners: bool = False


TrainingEnd = TrainingDone | TrainingStopped | TrainingFailed
RemoteMessage = TrainingProgress | FarPiece
"""The messages of a far end while it trains. The end is in the result of its work."""

TrainingMessage = (
    BeginTraining
    | TrainerReady
    | RecordingPiece
    | FilePiece
    | Train
    | TrainingProgress
    | TrainingDone
    | TrainingStopped
    | TrainingFailed
)


def recording_pieces(recording: Recording) -> Iterator[RecordingPiece]:
    """Yield a recording in pieces."""
    hz, pcm = recording.sample_rate_hz, recording.pcm
    for at in range(0, max(1, len(pcm)), PIECE_BYTES):
        piece = pcm[at : at + PIECE_BYTES]
        yield RecordingPiece(sample_rate_hz=hz, pcm=piece, is_last=at + PIECE_BYTES >= len(pcm))


def file_pieces(role: FileRole, parts: Iterable[bytes], step: int = 0) -> Iterator[FilePiece]:
    """Yield a file in pieces, the last one with its digest. Parts may have any length."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
        for at in range(0, len(part), PIECE_BYTES):
            yield FilePiece(role=role, data=bytes(part[at : at + PIECE_BYTES]), step=step)
    yield FilePiece(role=role, data=b"", is_last=True, digest=digest.hexdigest(), step=step)


class Assembly:
    """A file that comes in pieces."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._digest = hashlib.sha256()

    def take(self, piece: FilePiece) -> bytes | None:
        """Return the whole file with its last piece. Raises TrainingError if it is not what was sent."""
        self._data += piece.data
        self._digest.update(piece.data)
        if not piece.is_last:
            return None
        whole = bytes(self._data)
        self._data.clear()
        if piece.digest != self._digest.hexdigest():
            raise TrainingError(f"the file of the {piece.role} has come damaged")
        self._digest = hashlib.sha256()
        return whole
