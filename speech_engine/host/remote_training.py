"""A training at the far end: a process trains, as beside a server, and a thread relays its pipe over HTTP.

Each checkpoint goes to the server at once, so a lost machine costs only the steps since the last one. An
address is a secret, so no error message has it.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial

import msgspec

from speech_engine import training
from speech_engine.errors import EngineCannot, EngineFailed, EngineUnavailable
from speech_engine.host.pipe_messages import Broken, DeviceFound, Drain, MayLoad
from speech_engine.host.plugin_messages import PluginPipe
from speech_engine.host.remote_calls import direct_opener, http_errors, until_answered

_PROGRESS_EVERY_S = 5.0
_READ_BYTES = 256 * 1024
_SOCKET_S = 60.0
_TRIES = 10
PAUSE_S = 6.0
"""A server that is started anew is away for some seconds."""
_MOST_TRIES = 3
"""The number of processes that are started if the inputs of a training break off."""
_PASSED_VARIABLES = frozenset({"PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH"})
_PASSED_FAMILIES = ("LC_", "CUDA_", "NVIDIA_", "OMP_", "MKL_", "OPENBLAS_", "PYTORCH_", "XDG_")
"""The variables that a process gets. Any other one may hold a key."""


class HttpLine:
    """The line to the server of one training. A thread uses it. Servers have one of these schemes alone."""

    def __init__(self, url: str, schemes: tuple[str, ...] = ("https",)) -> None:
        if url.partition("://")[0] not in schemes:
            raise EngineFailed(f"A training's server is reached over {' or '.join(schemes)} alone.")
        self._url = url
        self._opener = direct_opener()

    def inputs(self) -> Iterator[bytes]:
        """Yield the inputs of the process, as bytes of its pipe.

        Raises EngineUnavailable if the server does not answer, and EngineFailed if it gave the training up.
        """
        yield from self._reply_to(None)

    def send_message(self, message: training.RemoteMessage) -> None:
        """Send to the server, which has stored it when this returns. Raises as `inputs` does."""
        for _ in self._reply_to(msgspec.msgpack.encode(message)):
            pass

    def _reply_to(self, body: bytes | None) -> Iterator[bytes]:
        headers = {} if body is None else {"content-type": "application/octet-stream"}
        request = urllib.request.Request(self._url, body, headers)
        with http_errors("The server wants no training here"):
            with self._opener.open(request, timeout=_SOCKET_S) as answer:
                while block := answer.read1(_READ_BYTES):
                    yield block


OpenLine = Callable[[str], HttpLine]
"""Opens the line to an address."""


async def train(begin: training.BeginTraining, line: HttpLine, stop_s: float) -> training.TrainingEnd:
    """Train in a process of its own, and return its end. The server has all files by then.

    If this is cancelled, neither process nor files stay. Raises EngineFailed, and EngineCannot if another try
    would fail too.
    """
    relay = _Relay(begin, line)
    stopping = asyncio.get_running_loop().call_later(stop_s, relay.stop_soon)
    running = asyncio.ensure_future(asyncio.to_thread(relay.run))
    try:
        return await asyncio.shield(running)
    finally:
        stopping.cancel()
        relay.end()
        await asyncio.wait({running})
        if not running.cancelled():
            running.exception()


class _Relay:
    """One training. `run` keeps a thread until its end; the event loop calls `stop_soon` and `end`."""

    def __init__(self, begin: training.BeginTraining, line: HttpLine) -> None:
        self._begin = begin
        self._line = line
        self._is_over = threading.Event()
        self._must_stop = False
        # Held while blocks go into the pipe that may end within a message.
        self._feeding = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: PluginPipe | None = None
        self._file = _FileOut()
        self._next_progress_at = 0.0
        self._stage = ""

    def stop_soon(self) -> None:
        self._must_stop = True
        if self._pipe is not None and self._feeding.acquire(blocking=False):
            self._pipe.send(Drain(0.0))
            self._feeding.release()

    def end(self) -> None:
        self._is_over.set()
        if self._process is not None:
            self._process.kill()

    def run(self) -> training.TrainingEnd:
        for tries_left in reversed(range(_MOST_TRIES)):
            try:
                end = self._run_process()
            except EngineUnavailable:
                break
            if end is not None:
                return end
            if not tries_left or self._is_over.wait(PAUSE_S):
                break
        raise EngineFailed("The server of a training does not answer: machines must reach its public_url.")

    def _run_process(self) -> training.TrainingEnd | None:
        """Return the end, or None if the inputs broke off: another process may get all of them."""
        process, pipe = self._start()
        try:
            pipe.send(self._begin)
            while True:
                match pipe.receive():
                    case DeviceFound():
                        pipe.send(MayLoad())
                    case training.TrainerReady():
                        if not self._feed(process, pipe):
                            return None
                    case training.TrainingProgress() as progress:
                        self._tell_progress(progress)
                    case training.FilePiece() as piece:
                        self._tell_file(piece)
                    case (
                        training.TrainingDone() | training.TrainingStopped() | training.TrainingFailed()
                    ) as end:
                        return end
                    case Broken(reason, lasting):
                        failure = EngineCannot if lasting else EngineFailed
                        raise failure("The trainer does not begin.", detail=reason)
                    case None:
                        raise EngineFailed("The process of a training has died.")
        finally:
            process.kill()
            process.wait()
            self._pipe = None
            pipe.close()

    def _start(self) -> tuple[subprocess.Popen[bytes], PluginPipe]:
        ours, theirs = socket.socketpair()
        try:
            environ = {
                name: value
                for name, value in os.environ.items()
                if name in _PASSED_VARIABLES or name.startswith(_PASSED_FAMILIES)
            }
            environ["PYTHONPATH"] = os.pathsep.join(path or os.getcwd() for path in sys.path)
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", training.TRAINING_MODULE, str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                env=environ,
                start_new_session=True,
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        if self._is_over.is_set():
            self._process.kill()
        self._pipe = PluginPipe(ours.detach())
        return self._process, self._pipe

    def _feed(self, process: subprocess.Popen[bytes], pipe: PluginPipe) -> bool:
        """Give the process its inputs, and return False if they broke off."""
        with self._feeding:
            feed = partial(self._feed_once, process, pipe)
            is_fed = until_answered(feed, _TRIES, PAUSE_S, self._is_over)
        if is_fed and self._must_stop:
            pipe.send(Drain(0.0))
        return is_fed

    def _feed_once(self, process: subprocess.Popen[bytes], pipe: PluginPipe) -> bool:
        """Do as `_feed`, in one try. Raise EngineUnavailable if not even a first block came."""
        has_begun = False
        try:
            for block in self._line.inputs():
                has_begun = True
                if self._is_over.is_set() or process.poll() is not None:
                    break
                pipe.forward(block)
        except EngineUnavailable:
            if has_begun:
                return False
            raise
        return True

    def _tell_file(self, piece: training.FilePiece) -> None:
        for part in self._file.split(piece):
            # The training waits meanwhile, so no progress is lost.
            until_answered(partial(self._line.send_message, part), _TRIES, PAUSE_S, self._is_over)

    def _tell_progress(self, progress: training.TrainingProgress) -> None:
        """Report the progress every few seconds. A report is dropped while the server does not answer."""
        now = time.monotonic()
        if progress.stage == self._stage and now < self._next_progress_at:
            return
        self._stage, self._next_progress_at = progress.stage, now + _PROGRESS_EVERY_S
        try:
            self._line.send_message(progress)
        except EngineUnavailable:
            self._next_progress_at = time.monotonic() + _PROGRESS_EVERY_S + _SOCKET_S


class _FileOut:
    """The file that is going out, in pieces of BLOB_BYTES."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._number = 0

    def split(self, piece: training.FilePiece) -> Iterator[training.FarPiece]:
        self._data += piece.data
        # The last bytes stay until it is known that they are the last.
        while len(self._data) > training.BLOB_BYTES:
            yield self._part(piece, is_last=False)
        if piece.is_last:
            yield self._part(piece, is_last=True)
            self._number = 0

    def _part(self, piece: training.FilePiece, *, is_last: bool) -> training.FarPiece:
        data = bytes(self._data[: training.BLOB_BYTES])
        del self._data[: training.BLOB_BYTES]
        part = training.FarPiece(
            role=piece.role,
            number=self._number,
            data=data,
            digest=hashlib.sha256(data).hexdigest(),
            is_last=is_last,
            step=piece.step,
        )
        self._number += 1
        return part
